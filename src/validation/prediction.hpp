// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace ringscale::validation {

/// predicted: computed without the cell. fitted: a constant was taken from the cell. not_predicted: nothing covers it.
enum class Role { predicted, fitted, not_predicted };

/// What a run that was out of memory needs by the model, and what its device has. Bytes of one device.
struct MemoryCheck {
  double needed_bytes = 0.0;
  double device_bytes = 0.0;
  bool fits() const { return needed_bytes <= device_bytes; }
};

/// What is said about one published figure.
struct Prediction {
  std::size_t row = 0;
  std::size_t column = 0;
  Role role = Role::not_predicted;
  std::optional<double> value;             ///< in the column's unit
  std::string kind;                        ///< analytic or simulated; empty when not predicted
  std::string method;                      ///< the formula or the model
  bool by_formula = false;                 ///< by a formula of the table, from other published figures of the row
  std::string reason;                      ///< why nothing was predicted
  std::string printed;                     ///< the text that stands in place of a figure ("OOM")
  std::string read_as;                     ///< what the model understood to have been run
  std::string doubt;                       ///< why the figure and what was understood cannot both be right
  std::optional<MemoryCheck> memory_check; ///< of a figure printed as out of memory
  bool formula_failed = false;             ///< a formula of the table is for it and gave no number: no model stands in
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
