// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "claims/evidence.hpp"
#include "claims/expression.hpp"
#include "claims/names.hpp"
#include "claims/result_rows.hpp"
#include "claims/row_selector.hpp"

namespace ringscale::claims {

/// What a check may read: the claim's numbers, constants, and the result rows.
struct Context {
  const report::Json &values;           ///< of the claim
  const report::Json &check_constants;  ///< of the check
  const report::Json &ledger_constants; ///< of the whole ledger
  std::string published_source;         ///< "document: section"
  const ResultRows &rows;

  NameScope scope() const;
};

/// One number with its interval (low == value == high where none is known) and where it comes from.
struct Figure {
  double value = 0.0, low = 0.0, high = 0.0;
  Evidence evidence;
  report::Json fields; ///< the row it was computed from; null when it came from none
};

struct Figures {
  std::vector<Figure> figures;
  std::string missing;                   ///< what rows would be needed, empty when there are some
  std::vector<std::string> invalid_rows; ///< sources of rows that matched but whose runs were invalid
};

/// How several rows become one number; `all` keeps each.
enum class Reduction { all, median, smallest, largest };

/// A number or a series of numbers that a check works on. Forms in JSON:
///   "sequence_length_tokens / throughput_tokens_per_s"      expression over the claim's values and constants
///   {"formula": ..., "figure": "time_s"}                    the same with a name and unit
///   {"each": "rows", "formula": ..., "figure": ...}         once per row of the claim's own table
///   {"select": {...}, "figure": "time_s", "formula": ..., "reduce": "median", "delivered_by": "..."}   result rows;
///       the formula may use the fields of the row and defaults to the figure
/// An optional "source" names where a published number stands when it is not the claim's own section.
class Quantity {
public:
  /// Reads the value of `key`. Throws problem::InvalidInput with file, path and what is wrong.
  Quantity(const report::ObjectReader &parent, const std::string &key, const NameScope &scope);
  /// An expression given in code, as the default of a key that may be left out.
  Quantity(const std::string &formula, const std::string &where);

  Figures figures(const Context &context) const;
  bool reads_results() const { return selector_ != nullptr; }

private:
  Figure figure_of(const Context &context, const NameScope &scope, const report::Json *fields) const;
  Figures from_results(const Context &context) const;
  Evidence analytic_or_published(const Context &context, const NameScope &scope, const report::Json *fields) const;
  /// "; figure = formula; with constant = value (source)"; constants that are not published make `kind` analytic.
  std::string derivation(const NameScope &scope, EvidenceKind &kind) const;

  std::string figure_;
  std::string source_;
  std::string each_;
  std::string delivered_by_;
  Reduction reduction_ = Reduction::all;
  std::shared_ptr<const Expression> formula_;
  std::shared_ptr<const RowSelector> selector_;
};

} // namespace ringscale::claims
