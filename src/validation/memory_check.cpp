// SPDX-License-Identifier: Apache-2.0
#include "validation/memory_check.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>

#include "problem/invalid_input.hpp"
#include "validation/attention_cell.hpp"
#include "validation/cell_text.hpp"
#include "validation/device_words.hpp"
#include "validation/run_parts.hpp"
#include "validation/table_facts.hpp"
#include "validation/training_cell.hpp"

namespace ringscale::validation {

namespace {

/// Bytes of one device for what the row and column of a figure say was run, or nothing and why.
std::optional<double> needed_bytes(const Table &table, const std::vector<ModelShape> &shapes,
                                   const Prediction &prediction, std::string &reason) {
  const RowFacts facts(table, prediction.row);
  const bool is_model = facts.model_billions() || facts.number({"layers", "num_layers"});
  if (is_model) {
    const auto step = read_training_step(table, shapes, prediction.row, prediction.column, true, reason);
    return step ? std::optional(state_bytes(*step) + activation_bytes(*step)) : std::nullopt;
  }
  const auto cell = read_attention_setting(table, prediction.row, prediction.column, reason);
  if (!cell || cell->attention.query_heads == 0) {
    reason = cell ? "the row and the setup give no heads" : reason;
    return std::nullopt;
  }
  try {
    return ring_memory_bytes(*cell, keeps_scores(table.columns[prediction.column].words, facts.label_words()));
  } catch (const problem::InvalidInput &failure) {
    reason = failure.what();
    return std::nullopt;
  }
}

std::string gigabytes(double bytes) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3g GB", bytes / 1e9);
  return text.data();
}

} // namespace

void check_memory(const Table &table, const std::vector<machine::Machine> &machines,
                  const std::vector<ModelShape> &shapes, std::vector<Prediction> &predictions) {
  for (Prediction &prediction : predictions) {
    const auto text = read_cell_text(prediction.printed, table.columns[prediction.column].unit);
    if (prediction.printed.empty() || !text || text->kind != CellText::Kind::out_of_memory) {
      continue;
    }
    if (!table.unclear_setting.empty()) {
      prediction.reason += "; not checked: " + table.unclear_setting;
      continue;
    }
    const MachineChoice choice = machine_of(table, prediction.row, prediction.column, machines);
    std::string reason = choice.reason;
    const auto bytes = choice.machine == nullptr ? std::nullopt : needed_bytes(table, shapes, prediction, reason);
    if (!bytes || !std::isfinite(*bytes)) {
      prediction.reason += "; its memory is not modelled" + (reason.empty() ? "" : ": " + reason);
      continue;
    }
    const MemoryCheck check{*bytes, choice.memory_bytes.value_or(choice.machine->device.memory_bytes.value)};
    prediction.memory_check = check;
    prediction.reason += "; by the model a device needs " + gigabytes(check.needed_bytes) + " of " +
                         gigabytes(check.device_bytes) + (check.fits() ? " and it fits" : " and it does not fit");
  }
}

} // namespace ringscale::validation
