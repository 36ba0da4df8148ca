// SPDX-License-Identifier: Apache-2.0
#include "validation/context_model.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "validation/attention_groups.hpp"
#include "validation/device_words.hpp"
#include "validation/table_facts.hpp"

namespace ringscale::validation {

namespace {

struct ContextCell {
  Prediction *prediction = nullptr;
  std::string system;
  std::string kind;       ///< what the column's name says beside numbers of devices
  double linear = 0.0;    ///< bytes left over hidden x layers: tokens without scores, but for a factor
  double per_score = 0.0; ///< (bytes left) / heads: tokens^2 with scores, but for a factor
  bool keeps_scores = false;
  double published = 0.0; ///< tokens
  double scale = 1.0;
};

/// Whether the devices of a figure share one sequence: by words of its column or its row's labels; of the title too
/// where the table has one column of longest contexts.
bool divides_the_sequence(const Table &table, const Column &column, const RowFacts &facts) {
  const auto says = [](const std::vector<std::string> &words) {
    return std::any_of(words.begin(), words.end(), [](const std::string &word) {
      return word == "ring" || word == "ulysses" || word == "usp" || word == "striped" || word == "stripe" ||
             word == "zigzag" || word == "burst" || word == "distflashattn" || word == "lightseq" ||
             word == "loongtrain";
    });
  };
  const auto columns = std::count_if(table.columns.begin(), table.columns.end(), [](const Column &other) {
    return other.unit.dimension == "token" && is_longest_length(other);
  });
  return says(column.words) || says(facts.label_words()) || (columns == 1 && says(words_of(table.title)));
}

std::optional<ContextCell> read_cell(const Table &table, const std::vector<machine::Machine> &machines,
                                     const std::vector<ModelShape> &shapes, Prediction &prediction) {
  const Column &column = table.columns[prediction.column];
  if (column.unit.dimension != "token" || !is_longest_length(column)) {
    return std::nullopt;
  }
  const RowFacts facts(table, prediction.row);
  const MachineChoice choice = machine_of(table, prediction.row, prediction.column, machines);
  const machine::Machine *machine = choice.machine;
  const auto billions = facts.model_billions();
  const ModelShape *shape = billions ? find_shape(shapes, *billions) : nullptr;
  const auto devices = devices_of(table, prediction.row, prediction.column);
  if (machine == nullptr || shape == nullptr || !devices) {
    prediction.reason = machine == nullptr ? choice.reason
                        : !billions        ? "the row and the setup give no size of the model"
                        : shape == nullptr ? "no public shape is listed for a model of this size"
                        : devices_of_row(table, prediction.row).is_unclear ? std::string(unclear_devices)
                                                                           : "the row and the setup give no devices";
    return std::nullopt;
  }
  constexpr double state_bytes = 16.0;
  const double memory_bytes = choice.memory_bytes.value_or(machine->device.memory_bytes.value);
  const double left = memory_bytes - state_bytes * *billions * 1e9 / *devices;
  if (!(left > 0.0)) {
    prediction.reason = "the training state alone does not fit";
    return std::nullopt;
  }
  ContextCell cell;
  cell.prediction = &prediction;
  cell.system = facts.labels();
  for (const std::string &word : parse_name(column.name).stem) {
    const bool is_number = word.find_first_not_of("0123456789") == std::string::npos;
    if (!devices_in_name(column.words) || (!is_number && !is_unit_of_devices(word))) {
      cell.kind += word + " ";
    }
  }
  // Devices that divide a sequence hold as many times more of it.
  const bool is_shared = divides_the_sequence(table, column, facts);
  const double sharers = is_shared ? *devices : 1.0;
  prediction.read_as =
      std::to_string(std::llround(*devices)) + " x " + machine->name + " of " +
      std::to_string(std::llround(memory_bytes / 1e9)) + " GB, " + shape->name + ", " +
      (is_shared ? "which share one sequence" : "each with a sequence of its own: no method that divides one is named");
  cell.linear = sharers * left / static_cast<double>(shape->hidden_size * shape->layers);
  cell.per_score = left / static_cast<double>(shape->query_heads);
  cell.keeps_scores = has_word(column.words, "vanilla") || has_word(column.words, "materialised");
  cell.scale = column.unit.scale;
  cell.published = *table.number(prediction.row, prediction.column) * cell.scale;
  return cell;
}

bool is_power_of_two(double value) {
  const double exponent = std::log2(value);
  return std::abs(exponent - std::round(exponent)) < 1e-9;
}

} // namespace

void predict_contexts(const Table &table, const std::vector<machine::Machine> &machines,
                      const std::vector<ModelShape> &shapes, std::vector<Prediction> &predictions,
                      std::vector<Fit> &fits) {
  std::vector<ContextCell> cells;
  for (Prediction &prediction : predictions) {
    if (const auto cell = read_cell(table, machines, shapes, prediction)) {
      cells.push_back(*cell);
    }
  }
  // The last kind without scores is what the others are compared with: the one that holds least.
  const auto base =
      std::find_if(cells.rbegin(), cells.rend(), [](const ContextCell &cell) { return !cell.keeps_scores; });
  if (base == cells.rend()) {
    return;
  }
  const std::string base_kind = base->kind;
  std::map<std::string, double> of_system; // tokens over `linear`
  std::map<std::string, double> of_kind;   // by column, and by system where scores are kept
  const auto kind_of = [&](const ContextCell &cell) {
    return cell.kind + (cell.keeps_scores ? "on " + cell.system : "");
  };
  const auto fitted = [&](const ContextCell &cell, const std::string &what, double value, const std::string &unit) {
    cell.prediction->role = Role::fitted;
    fits.push_back({what, value, unit, {cell_name(table, cell.prediction->row, cell.prediction->column)}});
  };
  for (const ContextCell &cell : cells) {
    if (cell.kind == base_kind && !of_system.contains(cell.system)) {
      of_system[cell.system] = cell.published / cell.linear;
      fitted(cell, "bytes of a token over hidden x layers on " + cell.system, 1.0 / of_system[cell.system], "bytes");
    }
  }
  const auto plain = [&](const ContextCell &cell) {
    const double tokens = of_system.at(cell.system);
    return cell.keeps_scores ? std::sqrt(tokens * cell.per_score) : tokens * cell.linear;
  };
  for (const ContextCell &cell : cells) {
    if (cell.kind != base_kind && of_system.contains(cell.system) && !of_kind.contains(kind_of(cell))) {
      of_kind[kind_of(cell)] = cell.published / plain(cell);
      fitted(cell, "tokens of " + kind_of(cell) + " over the plain estimate", of_kind[kind_of(cell)], "1");
    }
  }
  // Whether lengths are powers of two is seen from the fitted figures alone: a prediction knows nothing of its own.
  const bool powers = std::all_of(cells.begin(), cells.end(), [](const ContextCell &cell) {
    return cell.prediction->role != Role::fitted || is_power_of_two(cell.published / cell.scale);
  });
  for (const ContextCell &cell : cells) {
    if (!of_system.contains(cell.system)) {
      cell.prediction->reason = "no figure of this system without scores gives its bytes of a token";
      continue;
    }
    const auto kind = of_kind.find(kind_of(cell));
    double tokens = plain(cell) * (kind == of_kind.end() ? 1.0 : kind->second) / cell.scale;
    tokens = powers ? std::exp2(std::round(std::log2(tokens))) : tokens;
    cell.prediction->role = cell.prediction->role == Role::fitted ? Role::fitted : Role::predicted;
    cell.prediction->value = tokens;
    cell.prediction->kind = "analytic";
    cell.prediction->method = "memory left beside the training state";
  }
}

} // namespace ringscale::validation
