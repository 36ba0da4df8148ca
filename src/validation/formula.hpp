// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "claims/expression.hpp"

namespace ringscale::validation {

/// Letters of a formula at most; what is longer is no formula.
inline constexpr std::size_t longest_formula = 4096;

/// A formula as published tables state it: arithmetic (claims::Expression), "A if LEFT < RIGHT else B" with any of
/// < <= > >= == !=, a remark in parentheses at its end, and an equation "name = A" or "A = B", whose first side counts
/// unless it is a name alone.
class Formula {
public:
  /// Nothing when the text is no formula but prose.
  static std::optional<Formula> parse(const std::string &text);

  /// IEEE arithmetic; throws problem::InvalidInput for a name that `lookup` does not know.
  double evaluate(const claims::NameLookup &lookup) const;

  /// Names that occur, each once.
  const std::vector<std::string> &names() const { return names_; }
  /// The name on the left of an equation, or empty.
  const std::string &left() const { return left_; }

private:
  std::optional<claims::Expression> value_;
  std::string comparison_; ///< empty without a condition
  std::optional<claims::Expression> condition_left_;
  std::optional<claims::Expression> condition_right_;
  std::optional<claims::Expression> otherwise_;
  std::vector<std::string> names_;
  std::string left_;
};

} // namespace ringscale::validation
