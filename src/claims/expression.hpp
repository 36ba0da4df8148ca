// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringscale::claims {

/// The value a name stands for, or nothing when the name is unknown.
using NameLookup = std::function<std::optional<double>(std::string_view)>;

/// Arithmetic over named numbers, as a claim ledger writes it: + - * / ^ (right to left), parentheses, decimal
/// numbers, dotted names (rows.3.ring_size) and the functions min, max, log2, log10, sqrt, abs, floor, ceil.
/// It can only compute: no assignment, no loops, no access to anything but the lookup it is given.
class Expression {
public:
  /// Throws problem::InvalidInput with one line: `where`, what is wrong and at which letter.
  Expression(std::string_view text, const std::string &where);

  /// IEEE arithmetic: 1/0 is infinity and 0/0 is NaN, which no check accepts. Throws problem::InvalidInput when a
  /// name is unknown to `lookup`.
  double evaluate(const NameLookup &lookup) const;

  /// Names that occur, each once, in the order met.
  const std::vector<std::string> &names() const { return names_; }
  const std::string &text() const { return text_; }

  struct Node;

private:
  std::string text_;
  std::string where_;
  std::vector<std::string> names_;
  std::shared_ptr<const Node> root_;
};

} // namespace ringscale::claims
