// SPDX-License-Identifier: Apache-2.0
#include "validation/attention_ratios.hpp"

#include <optional>
#include <utility>

#include "problem/invalid_input.hpp"
#include "validation/attention_cell.hpp"
#include "validation/attention_time.hpp"
#include "validation/device_words.hpp"
#include "validation/reading.hpp"
#include "validation/table_facts.hpp"
#include "validation/training_step.hpp"
#include "validation/work_limits.hpp"

namespace ringscale::validation {

namespace {

/// The two kinds that a column compares; nothing unless it names exactly two.
std::optional<std::pair<RingKind, RingKind>> compared_kinds(const Column &column) {
  for (const std::vector<std::string> &words : {column.words, words_of(column.meaning)}) {
    std::vector<RingKind> kinds;
    for (const std::string &word : words) {
      const auto kind = ring_kind_in({word});
      if (kind && (kinds.empty() || kinds.back() != *kind)) {
        kinds.push_back(*kind);
      }
    }
    if (kinds.size() == 2) {
      return std::pair(kinds[0], kinds[1]);
    }
  }
  return std::nullopt;
}

} // namespace

void predict_attention_ratios(const Table &table, const std::vector<machine::Machine> &machines,
                              std::vector<Prediction> &predictions, RingWork &work) {
  for (Prediction &prediction : predictions) {
    const Column &column = table.columns[prediction.column];
    const auto kinds = compared_kinds(column);
    const bool speedup = column.unit.dimension == "x" && kinds;
    const bool is_share = column.unit.dimension == "%" || column.unit.dimension == "1";
    const bool efficiency = is_share && has_word(column.words, "efficiency");
    const bool utilised = is_share && (has_word(column.words, "mfu") || has_word(column.words, "utilization") ||
                                       has_word(column.words, "utilisation"));
    if (!speedup && !efficiency && !utilised) {
      continue;
    }
    auto cell = read_attention_setting(table, prediction.row, prediction.column, prediction.reason);
    const MachineChoice choice = machine_of(table, prediction.row, prediction.column, machines);
    const machine::Machine *machine = choice.machine;
    if (!cell || machine == nullptr) {
      prediction.reason = cell ? choice.reason : prediction.reason;
      continue;
    }
    if (cell->attention.query_heads == 0) {
      prediction.reason = "the row and the setup give no heads";
      continue;
    }
    const double whole = column.unit.dimension == "%" ? 100.0 : 1.0;
    AttentionConstants constants = starting_constants();
    constants.flop_per_s = tile_rate(*machine, starting_share, cell->attention.head_dim, cell->element_bytes);
    try {
      if (!work.take((speedup ? 2.0 : 1.0) * attention_steps(*cell, *machine))) {
        prediction.reason = RingWork::reason();
        continue;
      }
      if (speedup) {
        // A ratio of times is the other way round than one of speeds.
        const bool of_times =
            has_word(column.words, "time") || has_word(column.words, "latency") || has_word(column.words, "slowdown");
        cell->kind = of_times ? kinds->first : kinds->second;
        const double base_s = attention_seconds(*cell, *machine, constants);
        cell->kind = of_times ? kinds->second : kinds->first;
        prediction.value = base_s / attention_seconds(*cell, *machine, constants) / column.unit.scale;
      } else if (utilised) {
        const double peak = peak_of_bytes(*machine, static_cast<double>(cell->element_bytes));
        prediction.value = whole * flop_of(*cell) /
                           (static_cast<double>(cell->devices) * peak * attention_seconds(*cell, *machine, constants));
      } else {
        const double passes = (cell->forward ? 1.0 : 0.0) + (cell->backward ? constants.backward_ratio : 0.0);
        const double one_s = passes * problem::forward_flop(cell->attention) / constants.flop_per_s;
        prediction.value =
            whole * one_s / (static_cast<double>(cell->devices) * attention_seconds(*cell, *machine, constants));
      }
    } catch (const problem::InvalidInput &failure) {
      prediction.reason = std::string("cannot be simulated: ") + failure.what();
      continue;
    }
    prediction.read_as = reading_of(*cell, *machine);
    prediction.role = Role::predicted;
    prediction.kind = "simulated";
    prediction.method = "rings simulated on " + machine->name + ", nothing fitted";
  }
}

} // namespace ringscale::validation
