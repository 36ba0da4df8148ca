// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "validation/model_shapes.hpp"
#include "validation/prediction.hpp"
#include "validation/published_tables.hpp"

namespace ringscale::validation {

/// |predicted / published - 1| over some predicted cells.
struct ErrorSummary {
  std::size_t cells = 0; ///< with an error: a published 0 has none
  double median = 0.0;
  double ninth_decile = 0.0;
  double largest = 0.0;
};

/// Counts and errors of one table, also by what predicted: its own formulas from other published figures of the row, or
/// models that know settings alone.
struct TableSummary {
  std::size_t predicted = 0;
  std::size_t fitted = 0;
  std::size_t not_predicted = 0;
  std::size_t missing = 0;        ///< null in the file
  std::size_t doubted = 0;        ///< beyond the peak of the device, as the model understands the row
  std::size_t memory_exceeds = 0; ///< printed as out of memory, and too large by the model
  std::size_t memory_fits = 0;    ///< printed as out of memory, and not too large by the model
  ErrorSummary all;
  ErrorSummary formulas;
  ErrorSummary models;
};

struct TableResult {
  const Table *table = nullptr;
  std::vector<Prediction> predictions; ///< every published figure, in rows and then columns
  std::vector<Fit> fits;
  std::vector<std::string> settings; ///< columns that say what was run and are no results
  TableSummary summary;
};

/// Predicts every published figure of `tables` from their settings. Layers are tried in this order: formulas of the
/// table, attention timing by simulation, training steps, longest contexts, closed forms; each looks at units, names of
/// columns and the setup, never at the id of a table.
std::vector<TableResult> validate_tables(const std::vector<Table> &tables,
                                         const std::vector<machine::Machine> &machines,
                                         const std::vector<ModelShape> &shapes);

/// predicted / published - 1; nothing when there is no prediction or the published figure is 0.
std::optional<double> relative_error(const Table &table, const Prediction &prediction);

/// The published number of a cell; of a formula as printed, value_of_printed_formula.
std::optional<double> published_number(const Table &table, std::size_t row, std::size_t column);

} // namespace ringscale::validation
