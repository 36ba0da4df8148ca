// SPDX-License-Identifier: Apache-2.0
#include "validation/training_model.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "validation/attention_groups.hpp"
#include "validation/calibration_choice.hpp"
#include "validation/constant_search.hpp"
#include "validation/device_words.hpp"
#include "validation/reading.hpp"
#include "validation/table_facts.hpp"
#include "validation/training_cell.hpp"
#include "validation/work_limits.hpp"

namespace ringscale::validation {

namespace {

/// Model FLOP/s of one device that a published figure means; 0 for bytes.
double published_flop_per_s(const TrainingCell &cell, const machine::Machine &machine) {
  const TrainingStep &step = cell.step;
  const double flop = 3.0 * (product_flop(step, step.global_batch) + attention_flop(step, step.global_batch));
  const double per_device = cell.per_device ? 1.0 : step.devices();
  switch (cell.quantity) {
  case TrainingQuantity::time:
    return flop / (cell.published * step.devices());
  case TrainingQuantity::flop_rate:
    return cell.published / per_device;
  case TrainingQuantity::token_rate:
    return cell.published / per_device * flop / (step.global_batch * step.tokens);
  case TrainingQuantity::utilisation:
    return cell.published * peak_of_bytes(machine, step.element_bytes);
  default:
    return 0.0;
  }
}

struct TrainingGroup {
  const machine::Machine *machine = nullptr;
  std::vector<TrainingCell> cells;
  std::vector<TrainingCell> repeated; ///< a run that another column of the row has too: with and without nothing
};

/// Several utilisations of one row are of one model and machine at different contexts: the shortest context gives the
/// level (fitted), and longer ones are expected to keep it. Takes these figures out of the group.
void predict_kept_utilisation(const Table &table, TrainingGroup &group,
                              std::map<std::pair<std::size_t, std::size_t>, Prediction *> &places,
                              std::vector<Fit> &fits) {
  std::vector<TrainingCell> rest;
  for (const TrainingCell &cell : group.cells) {
    const TrainingCell *shortest = nullptr;
    std::size_t figures = 0;
    for (const TrainingCell &other : group.cells) {
      if (other.row == cell.row && other.quantity == TrainingQuantity::utilisation) {
        ++figures;
        shortest = shortest == nullptr || other.step.tokens < shortest->step.tokens ? &other : shortest;
      }
    }
    if (cell.quantity != TrainingQuantity::utilisation || cell.has_layout || figures < 2) {
      rest.push_back(cell);
      continue;
    }
    Prediction &prediction = *places.at({cell.row, cell.column});
    prediction.value = shortest->published / cell.scale;
    prediction.kind = "analytic";
    prediction.method = "utilisation of the shortest context, kept";
    prediction.role = Role::predicted;
    if (shortest->column == cell.column) {
      prediction.role = Role::fitted;
      const std::string name = cell_name(table, cell.row, cell.column);
      add_fit(fits, "utilisation of the shortest context of row " + std::to_string(cell.row), cell.published, "1",
              {name});
    }
  }
  group.cells = std::move(rest);
}

void predict_group(const Table &table, const TrainingGroup &group,
                   std::map<std::pair<std::size_t, std::size_t>, Prediction *> &places, std::vector<Fit> &fits) {
  const bool shares_alone = !group.cells.front().has_layout;
  // Without a layout the shares stand for the whole step, so both begin at what whole steps reach.
  const double product_start = shares_alone ? 0.35 : 0.65;
  const double attention_start = shares_alone ? 0.35 : 0.45;
  std::vector<Unknown> unknowns{{product_start, 0.02, 1.0, 0.03}, {attention_start, 0.02, 1.0, 0.03}};
  if (!shares_alone) {
    unknowns.push_back({1.0, 0.01, 4.0, 0.005});
  }
  const auto constants_of = [&](const std::vector<double> &values) {
    return TrainingConstants{values[0], values[1], values.size() > 2 ? values[2] : 0.0};
  };
  const std::size_t figures = group.cells.size();
  const std::size_t count =
      std::min((figures + 1) / 3, std::max(unknowns.size(), std::min(most_calibration_figures, (figures + 4) / 8)));
  std::vector<std::vector<std::string>> features;
  for (const TrainingCell &cell : group.cells) {
    const TrainingStep &step = cell.step;
    features.push_back({std::to_string(step.tokens), std::to_string(static_cast<int>(step.recompute)),
                        std::to_string(step.tensor), std::to_string(step.pipeline), std::to_string(step.hidden),
                        std::to_string(step.context)});
  }
  const std::vector<std::size_t> calibration = choose_calibration(features, count);
  std::vector<std::string> names;
  for (const std::size_t place : calibration) {
    const TrainingCell &cell = group.cells[place];
    names.push_back(cell_name(table, cell.row, cell.column));
    places.at({cell.row, cell.column})->role = Role::fitted;
  }
  const std::vector<double> values = search_constants(unknowns, [&](const std::vector<double> &tried) {
    double sum = 0.0;
    for (const std::size_t place : calibration) {
      const TrainingCell &cell = group.cells[place];
      sum += soft_distance(figure(cell, *group.machine, constants_of(tried)) / cell.published);
    }
    return calibration.empty() ? 0.0 : sum / static_cast<double>(calibration.size());
  });
  const std::array<const char *, 3> meanings{"share of the peak of weight products", "share of the peak of attention",
                                             "wait for tensor-parallel messages over their time at full bandwidth"};
  for (std::size_t index = 0; index < values.size(); ++index) {
    add_fit(fits,
            std::string(meanings[index]) + " on " + group.machine->name + bound_of(unknowns[index], values[index]),
            values[index], "1", names);
  }
  for (const TrainingCell &cell : group.cells) {
    Prediction &prediction = *places.at({cell.row, cell.column});
    prediction.role = prediction.role == Role::fitted ? Role::fitted : Role::predicted;
    prediction.value = figure(cell, *group.machine, constants_of(values)) / cell.scale;
    prediction.kind = "analytic";
    prediction.method = "training step on " + group.machine->name;
    for (const TrainingCell &twin : group.repeated) {
      if (twin.row == cell.row && twin.quantity == cell.quantity && twin.step == cell.step) {
        Prediction &same = *places.at({twin.row, twin.column});
        same.role = prediction.role;
        same.value = figure(twin, *group.machine, constants_of(values)) / twin.scale; // of one device or of all
        same.kind = prediction.kind;
        same.method = "the same run as " + cell_name(table, cell.row, cell.column);
      }
    }
  }
}

struct PlacedStep {
  TrainingCell cell;
  const machine::Machine *machine = nullptr;
};

/// The figures about training and their machines. FLOP/s that do not say so are those of one device unless a figure of
/// the column is beyond its peak, as for attention.
std::vector<PlacedStep> placed_cells(const Table &table, const std::vector<machine::Machine> &machines,
                                     const std::vector<ModelShape> &shapes, std::vector<Prediction> &predictions) {
  std::vector<PlacedStep> placed;
  std::set<std::size_t> totals;
  for (Prediction &prediction : predictions) {
    std::string reason;
    const auto cell = read_training_cell(table, shapes, prediction, reason);
    if (!cell) {
      prediction.reason = reason.empty() ? prediction.reason : reason;
      continue;
    }
    const MachineChoice choice = machine_of(table, prediction.row, prediction.column, machines);
    if (choice.machine == nullptr) {
      prediction.reason = choice.reason;
      continue;
    }
    if (cell->is_rate_unstated && cell->published > peak_of_bytes(*choice.machine, cell->step.element_bytes)) {
      totals.insert(cell->column);
    }
    placed.push_back({*cell, choice.machine});
  }
  for (PlacedStep &step : placed) {
    if (step.cell.is_rate_unstated && totals.contains(step.cell.column)) {
      step.cell.per_device = false;
    }
  }
  return placed;
}

} // namespace

void predict_training(const Table &table, const std::vector<machine::Machine> &machines,
                      const std::vector<ModelShape> &shapes, std::vector<Prediction> &predictions,
                      std::vector<Fit> &fits) {
  std::map<std::string, TrainingGroup> groups;
  std::map<std::pair<std::size_t, std::size_t>, Prediction *> places;
  for (const auto &[cell, machine] : placed_cells(table, machines, shapes, predictions)) {
    Prediction &prediction = *std::find_if(predictions.begin(), predictions.end(), [&](const Prediction &candidate) {
      return candidate.row == cell.row && candidate.column == cell.column;
    });
    places[{prediction.row, prediction.column}] = &prediction;
    prediction.read_as = reading_of(cell.step, *machine) +
                         (cell.assumed.empty() ? "" : "; not said and assumed: " + cell.assumed.substr(2));
    prediction.doubt = doubt_of(published_flop_per_s(cell, *machine), *machine, cell.step.element_bytes);
    // Shares of whole steps and of what fills a step with a layout are other constants.
    TrainingGroup &group = groups[machine->name + (cell.has_layout ? "" : " without layout")];
    group.machine = machine;
    if (is_memory(cell.quantity)) {
      prediction.role = Role::predicted;
      prediction.value = figure(cell, *machine, {}) / cell.scale;
      prediction.kind = "analytic";
      prediction.method = "bytes of a training step";
      continue;
    }
    const bool again = cell.quantity != TrainingQuantity::utilisation &&
                       std::any_of(group.cells.begin(), group.cells.end(), [&](const TrainingCell &other) {
                         return other.row == cell.row && other.quantity == cell.quantity && other.step == cell.step;
                       });
    (again ? group.repeated : group.cells).push_back(cell);
  }
  for (auto &[name, group] : groups) {
    predict_kept_utilisation(table, group, places, fits);
    if (!group.cells.empty()) {
      predict_group(table, group, places, fits);
    }
  }
}

} // namespace ringscale::validation
