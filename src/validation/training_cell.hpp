// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "validation/model_shapes.hpp"
#include "validation/prediction.hpp"
#include "validation/published_tables.hpp"
#include "validation/training_step.hpp"

namespace ringscale::validation {

enum class TrainingQuantity { time, flop_rate, token_rate, utilisation, state_memory, activation_memory, memory };

/// A published figure about training a whole model.
struct TrainingCell {
  std::size_t row = 0;
  std::size_t column = 0;
  TrainingStep step;
  TrainingQuantity quantity = TrainingQuantity::time;
  double published = 0.0; ///< base units; a share for utilisation
  double scale = 1.0;
  bool per_device = false;
  bool is_rate_unstated = false; ///< FLOP/s of which neither unit nor name says whether of one device; taken as such
  bool has_layout = true;        ///< devices, their division and batch are known; a utilisation may do without
  std::string assumed;           ///< what neither row nor setup say and was taken, for people
};

/// Bytes, which need no constants.
bool is_memory(TrainingQuantity quantity);

/// What a row says of a training step; nothing, and `reason` where it is about a model after all. `needs_division` asks
/// for tensor or pipeline parallelism to be stated, which memory depends on; `needs_layout` for devices and batch.
std::optional<TrainingStep> read_training_step(const Table &table, const std::vector<ModelShape> &shapes,
                                               std::size_t row, std::size_t column, bool needs_division,
                                               std::string &reason, bool needs_layout = true);

/// The figure of a cell as one about training, or nothing; `reason` says why where it is about a model after all.
std::optional<TrainingCell> read_training_cell(const Table &table, const std::vector<ModelShape> &shapes,
                                               const Prediction &open, std::string &reason);

/// The figure in base units by training_seconds, utilisation, state_bytes and activation_bytes.
double figure(const TrainingCell &cell, const machine::Machine &machine, const TrainingConstants &constants);

} // namespace ringscale::validation
