// SPDX-License-Identifier: Apache-2.0
#include "validation/attention_groups.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "problem/invalid_input.hpp"
#include "validation/attention_time.hpp"
#include "validation/device_words.hpp"
#include "validation/table_facts.hpp"
#include "validation/training_step.hpp"
#include "validation/work_limits.hpp"

namespace ringscale::validation {

namespace {

constexpr double assumed_heads = 32.0;
constexpr double most_heads = 65536.0; // of a problem
constexpr std::size_t fewest_of_variant = 40;
constexpr std::size_t fewest_on_one_device = 6; // with two constants: a third of the figures

bool can_be_simulated(const PlacedCell &placed, RingWork &work, std::string &reason) {
  AttentionConstants constants;
  constants.flop_per_s = 1e12; // any: what is asked is whether the problem is one
  AttentionCell cell = placed.cell;
  if (cell.attention.query_heads == 0) {
    cell.attention.query_heads = cell.attention.kv_heads = static_cast<std::int64_t>(assumed_heads);
  }
  try {
    if (!work.take(2.0 * attention_steps(cell, *placed.machine))) { // here and for the answer
      reason = RingWork::reason();
      return false;
    }
    if (std::isfinite(attention_seconds(cell, *placed.machine, constants))) {
      return true;
    }
    reason = "cannot be simulated: its time is no number";
  } catch (const problem::InvalidInput &failure) {
    reason = std::string("cannot be simulated: ") + failure.what();
  }
  return false;
}

bool lacks_heads(const PlacedCell &placed) { return placed.cell.attention.query_heads == 0; }

/// Geometric mean over the yardsticks of heads at the published share of each machine.
double heads_of_yardsticks(const std::vector<PlacedCell> &yardsticks) {
  double logarithms = 0.0;
  double count = 0.0;
  for (const PlacedCell &yardstick : yardsticks) {
    if (lacks_heads(yardstick)) {
      AttentionCell one = yardstick.cell;
      one.attention.query_heads = one.attention.kv_heads = 1;
      const machine::Machine &machine = *yardstick.machine;
      const double rate = machine.roofline.arithmetic.front().efficiency.value * machine.device.peak_flop_per_s.value;
      logarithms += std::log(rate * seconds_of(one) / flop_of(one));
      count += 1.0;
    }
  }
  return count > 0.0 ? std::clamp(std::round(std::exp(logarithms / count)), 1.0, most_heads) : assumed_heads;
}

void complete_heads(const Table &table, std::vector<PlacedCell> &yardsticks, std::vector<PlacedCell> &cells,
                    std::vector<Fit> &fits) {
  if (std::none_of(yardsticks.begin(), yardsticks.end(), lacks_heads) &&
      std::none_of(cells.begin(), cells.end(), lacks_heads)) {
    return;
  }
  const double heads = heads_of_yardsticks(yardsticks);
  std::vector<std::string> names;
  for (auto *list : {&yardsticks, &cells}) {
    for (PlacedCell &placed : *list) {
      if (lacks_heads(placed)) {
        placed.cell.attention.query_heads = placed.cell.attention.kv_heads = static_cast<std::int64_t>(heads);
        if (list == &yardsticks) {
          names.push_back(cell_name(table, placed.cell.row, placed.cell.column));
        }
      }
    }
  }
  add_fit(fits, names.empty() ? "query heads, assumed" : "query heads, not published", heads, "heads", names);
}

/// FLOP/s that do not say so are those of one device, as papers print them, unless a figure of the column is beyond the
/// device's peak: then the column is about all devices.
void take_rates_above_the_peak_as_totals(std::vector<PlacedCell> &cells) {
  std::set<std::size_t> totals;
  for (const PlacedCell &placed : cells) {
    const double peak = peak_of_bytes(*placed.machine, static_cast<double>(placed.cell.element_bytes));
    if (placed.cell.is_rate_unstated && placed.cell.published > peak) {
      totals.insert(placed.cell.column);
    }
  }
  for (PlacedCell &placed : cells) {
    if (placed.cell.is_rate_unstated && totals.contains(placed.cell.column)) {
      const auto devices = static_cast<double>(placed.cell.devices * placed.cell.tensor_degree);
      placed.cell.published /= devices;
      placed.cell.scale /= devices;
    }
  }
}

bool has_yardstick(const std::vector<PlacedCell> &yardsticks, const machine::Machine *machine) {
  return std::any_of(yardsticks.begin(), yardsticks.end(),
                     [&](const PlacedCell &placed) { return placed.machine == machine; });
}

} // namespace

double seconds_of(const AttentionCell &cell) {
  switch (cell.quantity) {
  case Quantity::rate:
    return 1.0 / cell.published;
  case Quantity::time:
    return cell.published;
  case Quantity::token_rate:
    return static_cast<double>(cell.attention.batch * cell.attention.tokens) / cell.published;
  default:
    return flop_of(cell) / (cell.published * static_cast<double>(cell.devices));
  }
}

double shown(const AttentionCell &cell, double seconds) {
  switch (cell.quantity) {
  case Quantity::rate:
    return 1.0 / seconds / cell.scale;
  case Quantity::time:
    return seconds / cell.scale;
  case Quantity::token_rate:
    return static_cast<double>(cell.attention.batch * cell.attention.tokens) / seconds / cell.scale;
  default:
    return flop_of(cell) / (seconds * static_cast<double>(cell.devices)) / cell.scale;
  }
}

std::string cell_name(const Table &table, std::size_t row, std::size_t column) {
  return table.id + "[" + std::to_string(row) + "]." + table.columns[column].name;
}

AttentionGroups collect_attention(const Table &table, const std::vector<machine::Machine> &machines,
                                  std::vector<Prediction> &predictions, std::vector<Fit> &fits, RingWork &work) {
  AttentionGroups result;
  std::vector<PlacedCell> cells;
  for (Prediction &prediction : predictions) {
    const auto cell = read_attention_cell(table, prediction.row, prediction.column, prediction.reason);
    if (!cell) {
      continue;
    }
    const std::vector<std::string> words = RowFacts(table, prediction.row).all_words();
    const MachineChoice choice = machine_of(table, prediction.row, prediction.column, machines);
    const PlacedCell placed{*cell, choice.machine, has_word(words, "pcie")};
    if (placed.machine == nullptr) {
      prediction.reason = choice.reason;
    } else if (can_be_simulated(placed, work, prediction.reason)) {
      (cell->one_device ? result.yardsticks : cells).push_back(placed);
    }
  }
  take_rates_above_the_peak_as_totals(cells);
  complete_heads(table, result.yardsticks, cells, fits);
  const bool all_have_yardsticks = std::all_of(cells.begin(), cells.end(), [&](const PlacedCell &placed) {
    return has_yardstick(result.yardsticks, placed.machine);
  });
  std::map<std::string, std::size_t> figures;
  for (const PlacedCell &placed : cells) {
    ++figures[placed.cell.variant];
  }
  const bool all_on_one_device =
      std::all_of(cells.begin(), cells.end(), [](const PlacedCell &placed) { return placed.cell.devices == 1; });
  const std::size_t fewest = all_on_one_device ? fewest_on_one_device : fewest_of_variant;
  const bool by_variant =
      std::all_of(figures.begin(), figures.end(), [&](const auto &entry) { return entry.second >= fewest; });
  std::map<std::string, AttentionGroup> groups;
  for (const PlacedCell &placed : cells) {
    std::string label = all_have_yardsticks ? "" : placed.machine->name;
    if (by_variant && figures.size() > 1) {
      label += (label.empty() ? "" : ", ") + placed.cell.variant;
    }
    AttentionGroup &group = groups[label];
    group.label = label;
    group.variants = by_variant ? 1 : figures.size();
    group.cells.push_back(placed);
  }
  for (auto &[label, group] : groups) {
    if (all_have_yardsticks) {
      group.yardsticks = result.yardsticks;
    }
    result.groups.push_back(std::move(group));
  }
  return result;
}

} // namespace ringscale::validation
