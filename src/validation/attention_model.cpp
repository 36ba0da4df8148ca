// SPDX-License-Identifier: Apache-2.0
#include "validation/attention_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "validation/attention_cell.hpp"
#include "validation/attention_time.hpp"
#include "validation/constant_search.hpp"
#include "validation/table_facts.hpp"

namespace ringscale::validation {

namespace {

/// Figures of one machine in one table.
struct Group {
  const machine::Machine *machine = nullptr;
  bool shared_bus = false;               ///< devices of a node meet at one PCIe root: an all-to-all divides it
  std::vector<AttentionCell> yardsticks; ///< on one device
  std::vector<AttentionCell> cells;      ///< all others
};

double seconds_of(const AttentionCell &cell) {
  switch (cell.quantity) {
  case Quantity::rate:
    return 1.0 / cell.published;
  case Quantity::time:
    return cell.published;
  default:
    return flop_of(cell) / (cell.published * static_cast<double>(cell.devices));
  }
}

/// What the column would show for a time.
double shown(const AttentionCell &cell, double seconds) {
  switch (cell.quantity) {
  case Quantity::rate:
    return 1.0 / seconds / cell.scale;
  case Quantity::time:
    return seconds / cell.scale;
  default:
    return flop_of(cell) / (seconds * static_cast<double>(cell.devices)) / cell.scale;
  }
}

/// How unlike two figures are: labels first, then passes, then lengths.
double distance(const AttentionCell &left, const AttentionCell &right) {
  double result = left.row == right.row ? 0.0 : left.labels == right.labels ? 1.0 : 100.0;
  result += left.attention.head_dim == right.attention.head_dim ? 0.0 : 1000.0;
  result +=
      std::abs(std::log(static_cast<double>(left.attention.tokens) / static_cast<double>(right.attention.tokens)));
  return result +
         std::abs(std::log(static_cast<double>(left.attention.batch) / static_cast<double>(right.attention.batch)));
}

/// The nearest yardstick with these passes; nullptr without one.
const AttentionCell *nearest(const Group &group, const AttentionCell &cell, bool forward, bool backward) {
  const AttentionCell *best = nullptr;
  for (const AttentionCell &candidate : group.yardsticks) {
    const bool fits = candidate.forward == forward && candidate.backward == backward;
    if (fits && (best == nullptr || distance(cell, candidate) < distance(cell, *best))) {
      best = &candidate;
    }
  }
  return best;
}

/// Rate and backward ratio from yardsticks: both passes and forward alone give both; one of them gives the rate at 2.5.
void set_tile(const Group &group, const AttentionCell &cell, AttentionConstants &constants) {
  const AttentionCell *forward = nearest(group, cell, true, false);
  const AttentionCell *both = nearest(group, cell, true, true);
  const bool both_in_row = forward != nullptr && both != nullptr && forward->row == both->row;
  if (both_in_row && both->attention.tokens == forward->attention.tokens) {
    constants.flop_per_s = problem::forward_flop(forward->attention) / seconds_of(*forward);
    constants.backward_ratio = std::max(0.5, seconds_of(*both) / seconds_of(*forward) - 1.0);
    return;
  }
  const AttentionCell *exact = nearest(group, cell, cell.forward, cell.backward);
  const AttentionCell *used = exact != nullptr ? exact : both != nullptr ? both : forward;
  if (used != nullptr) {
    constants.flop_per_s = flop_of(*used) / seconds_of(*used);
  }
}

/// The constants of a group in the order of its unknowns.
struct Unknowns {
  std::vector<Unknown> list;
  std::vector<std::string> names;
  std::vector<std::string> units;
  std::vector<double AttentionConstants::*> fields;
  bool has_share = false; ///< the first unknown is the tile's share of the peak

  void add(const std::string &name, const std::string &unit, Unknown unknown, double AttentionConstants::*field) {
    names.push_back(name);
    units.push_back(unit);
    list.push_back(unknown);
    fields.push_back(field);
  }
};

Unknowns unknowns_of(const Group &group) {
  const auto any = [&](auto test) { return std::any_of(group.cells.begin(), group.cells.end(), test); };
  Unknowns unknowns;
  if (group.yardsticks.empty()) {
    unknowns.has_share = true;
    unknowns.add("share of the peak that products reach", "1", {0.7, 0.02, 1.0, 0.02}, nullptr);
  }
  const bool rings = any([](const AttentionCell &cell) { return cell.ring_degree > 1; });
  if (any([](const AttentionCell &cell) {
        return cell.attention.mask == problem::Mask::causal && cell.ring_degree > 1;
      })) {
    unknowns.add("rate of a whole tile over one on the diagonal", "1", {1.12, 1.0, 2.0, 1.0},
                 &AttentionConstants::unmasked_gain);
  }
  if (rings) {
    unknowns.add("bytes moved to join partial outputs", "bytes per element", {40.0, 4.0, 400.0, 0.02},
                 &AttentionConstants::merge_bytes);
    if (any([](const AttentionCell &cell) { return cell.backward; })) {
      unknowns.add("bytes moved to add gradients", "bytes per element", {80.0, 4.0, 800.0, 0.02},
                   &AttentionConstants::gradient_bytes);
    }
  }
  unknowns.add("time of a call beside attention", "s", {3e-4, 1e-6, 0.1, 0.005}, &AttentionConstants::iteration_s);
  if (group.shared_bus) {
    unknowns.add("share of the link's bandwidth", "1", {0.6, 0.02, 2.0, 0.02}, &AttentionConstants::link_gain);
  }
  return unknowns;
}

AttentionConstants constants_of(const Group &group, const AttentionCell &cell, const Unknowns &unknowns,
                                const std::vector<double> &values) {
  AttentionConstants constants;
  constants.all_to_all_sharing = group.shared_bus ? 1.0 : 0.0;
  for (std::size_t index = 0; index < values.size(); ++index) {
    if (unknowns.fields[index] != nullptr) {
      constants.*unknowns.fields[index] = values[index];
    }
  }
  if (unknowns.has_share) {
    constants.flop_per_s = tile_rate(*group.machine, values.front(), cell.attention.head_dim, cell.element_bytes);
  } else {
    set_tile(group, cell, constants);
  }
  return constants;
}

/// About one figure in eight, spread evenly; at least as many as a constant needs.
std::vector<std::size_t> calibration_places(std::size_t figures, std::size_t unknowns) {
  const std::size_t wanted = std::clamp<std::size_t>((figures + 4) / 8, std::min<std::size_t>(unknowns, 2), 24);
  const std::size_t count = std::min(wanted, figures / 2);
  std::vector<std::size_t> places;
  for (std::size_t index = 0; index < count; ++index) {
    places.push_back((2 * index + 1) * figures / (2 * count));
  }
  return places;
}

/// Head count of a table that does not say it: what makes the yardsticks as fast as the machine's published share.
void complete_heads(Group &group, const Table &table, std::vector<Fit> &fits) {
  const auto unknown = [](const AttentionCell &cell) { return cell.attention.query_heads == 0; };
  if (std::none_of(group.yardsticks.begin(), group.yardsticks.end(), unknown) &&
      std::none_of(group.cells.begin(), group.cells.end(), unknown)) {
    return;
  }
  double heads = 1.0;
  std::vector<std::string> names;
  for (AttentionCell &cell : group.yardsticks) {
    cell.attention.query_heads = cell.attention.kv_heads = 1;
    const double share = group.machine->roofline.arithmetic.front().efficiency.value;
    const double rate = share * group.machine->device.peak_flop_per_s.value;
    heads = std::max(1.0, std::round(rate * seconds_of(cell) / flop_of(cell)));
    names = {cell_name(table, cell.row, cell.column)};
    break;
  }
  const auto count = static_cast<std::int64_t>(heads);
  for (auto *list : {&group.yardsticks, &group.cells}) {
    for (AttentionCell &cell : *list) {
      cell.attention.query_heads = cell.attention.kv_heads = count;
    }
  }
  fits.push_back({table.id + ": heads on " + group.machine->name + ", not published", heads, "heads", names});
}

void predict_group(const Table &table, Group &group,
                   std::map<std::pair<std::size_t, std::size_t>, Prediction *> &places, std::vector<Fit> &fits) {
  complete_heads(group, table, fits);
  const auto at = [&](const AttentionCell &cell) -> Prediction & { return *places.at({cell.row, cell.column}); };
  for (const AttentionCell &cell : group.yardsticks) {
    Prediction &prediction = at(cell);
    prediction.role = Role::fitted;
    prediction.value = shown(cell, seconds_of(cell));
    prediction.kind = "analytic";
    prediction.method = "gives the rate of tiles on one device";
    const double rate = flop_of(cell) / seconds_of(cell);
    fits.push_back({table.id + ": FLOP/s of a tile on one " + group.machine->name,
                    rate,
                    "FLOP/s",
                    {cell_name(table, cell.row, cell.column)}});
  }
  if (group.cells.empty()) {
    return;
  }
  const Unknowns unknowns = unknowns_of(group);
  const std::vector<std::size_t> calibration = calibration_places(group.cells.size(), unknowns.list.size());
  const auto objective = [&](const std::vector<double> &values) {
    double sum = 0.0;
    for (const std::size_t place : calibration) {
      const AttentionCell &cell = group.cells[place];
      sum += std::abs(std::log(attention_seconds(cell, *group.machine, constants_of(group, cell, unknowns, values)) /
                               seconds_of(cell)));
    }
    return calibration.empty() ? 0.0 : sum / static_cast<double>(calibration.size());
  };
  const std::vector<double> values = search_constants(unknowns.list, objective);
  std::vector<std::string> names;
  for (const std::size_t place : calibration) {
    names.push_back(cell_name(table, group.cells[place].row, group.cells[place].column));
    at(group.cells[place]).role = Role::fitted;
  }
  for (std::size_t index = 0; index < values.size(); ++index) {
    fits.push_back({table.id + ": " + unknowns.names[index] + " on " + group.machine->name, values[index],
                    unknowns.units[index], names});
  }
  for (const AttentionCell &cell : group.cells) {
    Prediction &prediction = at(cell);
    prediction.role = prediction.role == Role::fitted ? Role::fitted : Role::predicted;
    prediction.value =
        shown(cell, attention_seconds(cell, *group.machine, constants_of(group, cell, unknowns, values)));
    prediction.kind = "simulated";
    prediction.method = "ring simulated on " + group.machine->name;
  }
}

} // namespace

std::string cell_name(const Table &table, std::size_t row, std::size_t column) {
  return table.id + "[" + std::to_string(row) + "]." + table.columns[column].name;
}

void predict_attention(const Table &table, const std::vector<machine::Machine> &machines,
                       std::vector<Prediction> &predictions, std::vector<Fit> &fits) {
  std::map<std::string, Group> groups;
  std::map<std::pair<std::size_t, std::size_t>, Prediction *> places;
  for (Prediction &prediction : predictions) {
    auto cell = read_attention_cell(table, prediction.row, prediction.column, prediction.reason);
    if (!cell) {
      continue;
    }
    const std::vector<std::string> words = RowFacts(table, prediction.row).all_words();
    const machine::Machine *machine = choose_machine(machines, words);
    if (machine == nullptr) {
      prediction.reason = "no machine file for the device of this row";
      continue;
    }
    places[{prediction.row, prediction.column}] = &prediction;
    Group &group = groups[machine->name];
    group.machine = machine;
    group.shared_bus = has_word(words, "pcie");
    (cell->one_device ? group.yardsticks : group.cells).push_back(*cell);
  }
  for (auto &[name, group] : groups) {
    predict_group(table, group, places, fits);
  }
}

} // namespace ringscale::validation
