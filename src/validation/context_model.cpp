// SPDX-License-Identifier: Apache-2.0
#include "validation/context_model.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "validation/attention_groups.hpp"
#include "validation/table_facts.hpp"

namespace ringscale::validation {

namespace {

struct ContextCell {
  Prediction *prediction = nullptr;
  std::string system;
  double linear = 0.0;    ///< bytes left over hidden x layers: tokens without scores, but for a factor
  double per_score = 0.0; ///< (bytes left) / heads: tokens^2 with scores, but for a factor
  bool keeps_scores = false;
  double published = 0.0; ///< tokens
  double scale = 1.0;
};

std::optional<ContextCell> read_cell(const Table &table, const std::vector<machine::Machine> &machines,
                                     const std::vector<ModelShape> &shapes, Prediction &prediction) {
  const Column &column = table.columns[prediction.column];
  if (column.unit.dimension != "token" || !has_word(column.words, "max")) {
    return std::nullopt;
  }
  const RowFacts facts(table, prediction.row);
  const machine::Machine *machine = choose_machine(machines, facts.all_words());
  const auto parameters = facts.number({"model_params_b", "parameters_b"});
  constexpr double billion = 1e9;
  const ModelShape *shape = parameters ? find_shape(shapes, *parameters / billion) : nullptr;
  const auto devices = facts.number({"gpus", "devices", "devices_in_name", "ranks"});
  if (machine == nullptr || shape == nullptr || !devices) {
    prediction.reason = machine == nullptr ? "no machine file for the device of this row"
                        : shape == nullptr ? "no public shape is listed for a model of this size"
                                           : "the row gives no devices";
    return std::nullopt;
  }
  constexpr double state_bytes = 16.0;
  const double left = machine->device.memory_bytes.value - state_bytes * *parameters / *devices;
  if (!(left > 0.0)) {
    prediction.reason = "the training state alone does not fit";
    return std::nullopt;
  }
  ContextCell cell;
  cell.prediction = &prediction;
  cell.system = facts.labels();
  cell.linear = left / static_cast<double>(shape->hidden_size * shape->layers);
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
  const std::size_t base_column = base->prediction->column;
  std::map<std::string, double> of_system; // tokens over `linear`
  std::map<std::string, double> of_kind;   // by column, and by system where scores are kept
  const auto kind_of = [&](const ContextCell &cell) {
    return table.columns[cell.prediction->column].name + (cell.keeps_scores ? " on " + cell.system : "");
  };
  const auto fitted = [&](const ContextCell &cell, const std::string &what, double value, const std::string &unit) {
    cell.prediction->role = Role::fitted;
    fits.push_back({what, value, unit, {cell_name(table, cell.prediction->row, cell.prediction->column)}});
  };
  for (const ContextCell &cell : cells) {
    if (cell.prediction->column == base_column && !of_system.contains(cell.system)) {
      of_system[cell.system] = cell.published / cell.linear;
      fitted(cell, "bytes of a token over hidden x layers on " + cell.system, 1.0 / of_system[cell.system], "bytes");
    }
  }
  const auto plain = [&](const ContextCell &cell) {
    const double tokens = of_system.at(cell.system);
    return cell.keeps_scores ? std::sqrt(tokens * cell.per_score) : tokens * cell.linear;
  };
  for (const ContextCell &cell : cells) {
    if (cell.prediction->column != base_column && of_system.contains(cell.system) && !of_kind.contains(kind_of(cell))) {
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
