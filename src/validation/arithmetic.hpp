// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "validation/published_tables.hpp"

namespace ringscale::validation {

struct ArithmeticValue {
  double value = 0.0;
  std::string formula; ///< as the table states it
};

/// The figure of a cell by a formula of its own table: one of reference_formula with the column's name (also in another
/// unit, for a label of the row such as recompute = none, or as the left side of an equation), or the column's meaning
/// where that is a formula. Nothing when there is none or a name in it has no value in this row; the cell is not read.
/// `failure` says which formula has all its names and still no finite value (a division by zero), where no other one
/// gives any.
std::optional<ArithmeticValue> evaluate_cell(const std::vector<Table> &tables, const Table &table, std::size_t row,
                                             std::size_t column, std::string *failure = nullptr);

/// One line for each reference formula that is for a column, label, unit or another formula and cannot be read.
std::vector<std::string> unreadable_formulas(const Table &table);

} // namespace ringscale::validation
