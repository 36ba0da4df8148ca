// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace ringscale::validation {

/// predicted: computed without the cell. fitted: a constant was taken from the cell. not_predicted: nothing covers it.
enum class Role { predicted, fitted, not_predicted };

/// What is said about one published figure.
struct Prediction {
  std::size_t row = 0;
  std::size_t column = 0;
  Role role = Role::not_predicted;
  std::optional<double> value; ///< in the column's unit
  std::string kind;            ///< analytic or simulated; empty when not predicted
  std::string method;          ///< the formula or the model
  bool by_formula = false;     ///< by a formula of the table, from other published figures of the row
  std::string reason;          ///< why nothing was predicted
  bool formula_failed = false; ///< a formula of the table is for it and gave no number: no model stands in
};

/// A constant and where it was taken from.
struct Fit {
  std::string name;
  double value = 0.0;
  std::string unit;
  std::vector<std::string> cells; ///< names of cells
};

/// Adds a constant; one of the same name and value only gains cells.
void add_fit(std::vector<Fit> &fits, const std::string &name, double value, const std::string &unit,
             const std::vector<std::string> &cells);

} // namespace ringscale::validation
