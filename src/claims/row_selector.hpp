// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "claims/expression.hpp"
#include "claims/names.hpp"
#include "claims/result_rows.hpp"

namespace ringscale::claims {

/// Which result rows a check reads: {"kind": "measured", "verb": "ring", "ring_size": {"min": 2}, "tokens":
/// {"equals": "sequence_length_tokens"}, "placement": ["zigzag", "striped"], "schedule": {"not": "local_only"}}.
/// A row without a named field does not match. `kind` and `verb` must be given: a check says what it rests on.
class RowSelector {
public:
  /// Throws problem::InvalidInput naming the field whose condition is no such form or whose names are unknown.
  RowSelector(const report::Json &conditions, const std::string &where, const NameScope &scope);

  struct Selection {
    std::vector<const ResultRow *> rows;         ///< valid ones, in the order read
    std::vector<const ResultRow *> invalid_rows; ///< matched, but the run itself was invalid
  };
  Selection select(const ResultRows &rows, const NameScope &scope) const;

  /// "kind=measured verb=ring ring_size>=2", for the message that names what is missing.
  std::string text() const;

private:
  struct Condition {
    std::string field;
    std::vector<report::Json> any_of;
    std::vector<report::Json> none_of;
    std::optional<Expression> equals, low, high;
    std::string text;
    bool matches(const report::Json &row, const NameScope &scope) const;
  };
  static Condition read_condition(const std::string &field, const report::Json &form, const std::string &where,
                                  const NameScope &scope);
  std::vector<Condition> conditions_;
};

} // namespace ringscale::claims
