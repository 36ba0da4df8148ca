// SPDX-License-Identifier: Apache-2.0
#include "validation/attention_model.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "machine/links.hpp"
#include "validation/attention_groups.hpp"
#include "validation/attention_time.hpp"
#include "validation/calibration_choice.hpp"
#include "validation/constant_search.hpp"
#include "validation/reading.hpp"
#include "validation/work_limits.hpp"

namespace ringscale::validation {

namespace {

using Places = std::map<std::pair<std::size_t, std::size_t>, Prediction *>;

/// How unlike two figures are: machine and head_dim first, then labels, then lengths.
double distance(const PlacedCell &left, const PlacedCell &right) {
  const problem::AttentionProblem &one = left.cell.attention;
  const problem::AttentionProblem &other = right.cell.attention;
  const auto apart = [](std::int64_t first, std::int64_t second) {
    return std::abs(std::log(static_cast<double>(first) / static_cast<double>(second)));
  };
  double result = left.cell.row == right.cell.row ? 0.0 : left.cell.labels == right.cell.labels ? 1.0 : 100.0;
  result += left.machine == right.machine ? 0.0 : 10000.0;
  result += one.head_dim == other.head_dim ? 0.0 : 1000.0;
  return result + apart(one.tokens, other.tokens) + apart(one.batch, other.batch);
}

/// The nearest yardstick with these passes; nullptr without one.
const PlacedCell *nearest(const AttentionGroup &group, const PlacedCell &placed, bool forward, bool backward) {
  const PlacedCell *best = nullptr;
  for (const PlacedCell &candidate : group.yardsticks) {
    const bool fits = candidate.cell.forward == forward && candidate.cell.backward == backward;
    if (fits && (best == nullptr || distance(placed, candidate) < distance(placed, *best))) {
      best = &candidate;
    }
  }
  return best;
}

/// Rate and backward ratio from yardsticks: forward alone and both passes in one row give both; one of them gives the
/// rate, with the ratio at 2.5.
void set_tile(const AttentionGroup &group, const PlacedCell &placed, AttentionConstants &constants) {
  const PlacedCell *forward = nearest(group, placed, true, false);
  const PlacedCell *both = nearest(group, placed, true, true);
  const bool in_one_row = forward != nullptr && both != nullptr && forward->cell.row == both->cell.row;
  if (in_one_row && both->cell.attention.tokens == forward->cell.attention.tokens) {
    constants.flop_per_s = flop_of(forward->cell) / seconds_of(forward->cell);
    constants.backward_ratio = std::max(0.5, seconds_of(both->cell) / seconds_of(forward->cell) - 1.0);
    return;
  }
  const PlacedCell *exact = nearest(group, placed, placed.cell.forward, placed.cell.backward);
  const PlacedCell *used = exact != nullptr ? exact : both != nullptr ? both : forward;
  constants.flop_per_s = flop_of(used->cell) / seconds_of(used->cell);
}

/// The constants that a group has to find.
struct Unknowns {
  std::vector<Unknown> list;
  std::vector<std::string> names;
  std::vector<std::string> units;
  std::vector<double AttentionConstants::*> fields; ///< nullptr: the tile's share of the peak
  bool has_share = false;                           ///< it is the first

  void add(const std::string &name, const std::string &unit, Unknown unknown, double AttentionConstants::*field) {
    names.push_back(name);
    units.push_back(unit);
    list.push_back(unknown);
    fields.push_back(field);
  }
};

/// Where each search begins is what is known before any figure: docs/published-tables.md says from where.
Unknowns unknowns_of(const AttentionGroup &group) {
  const auto any = [&](auto test) {
    return std::any_of(group.cells.begin(), group.cells.end(),
                       [&](const PlacedCell &placed) { return test(placed.cell); });
  };
  const AttentionConstants start = starting_constants();
  Unknowns unknowns;
  if (group.yardsticks.empty()) {
    unknowns.has_share = true;
    unknowns.add("share of the peak that products reach", "1", {starting_share, 0.02, 1.0, 0.5}, nullptr);
  }
  const bool masked = any(
      [](const AttentionCell &cell) { return cell.attention.mask == problem::Mask::causal && cell.ring_degree > 1; });
  if (masked) {
    unknowns.add("rate of a whole tile over one on the diagonal", "1", {start.unmasked_gain, 1.0, 2.0, 0.3},
                 &AttentionConstants::unmasked_gain);
  }
  if (any([](const AttentionCell &cell) { return cell.ring_degree > 1; })) {
    unknowns.add("bytes moved to join partial outputs", "bytes per element", {start.merge_bytes, 4.0, 400.0, 0.02},
                 &AttentionConstants::merge_bytes);
    if (any([](const AttentionCell &cell) { return cell.backward && cell.ring_degree > 1; })) {
      unknowns.add("bytes moved to add gradients", "bytes per element", {start.gradient_bytes, 4.0, 800.0, 0.02},
                   &AttentionConstants::gradient_bytes);
    }
  }
  if (any([](const AttentionCell &cell) { return cell.devices > 1; })) {
    unknowns.add("time of a call beside attention", "s", {start.iteration_s, 1e-6, 0.1, 0.005},
                 &AttentionConstants::iteration_s);
  } else {
    unknowns.add("tokens at which a tile reaches half its rate", "tokens", {start.half_rate_tokens, 1.0, 4096.0, 0.02},
                 &AttentionConstants::half_rate_tokens);
  }
  if (std::any_of(group.cells.begin(), group.cells.end(), [](const PlacedCell &placed) { return placed.shared_bus; })) {
    unknowns.add("share of the link's bandwidth in a ring", "1", {0.6, 0.02, 2.0, 0.02},
                 &AttentionConstants::link_gain);
    unknowns.add("share of a hop that runs behind compute", "1", {0.7, 0.01, 1.0, 0.02},
                 &AttentionConstants::hidden_fraction);
    if (any([](const AttentionCell &cell) { return cell.ulysses_degree > 1; })) {
      unknowns.add("bandwidth of an all-to-all over a ring's", "1", {1.0, 0.05, 10.0, 0.02},
                   &AttentionConstants::all_to_all_gain);
      unknowns.add("share of an all-to-all's messages that wait for one another", "1", {0.5, 0.01, 2.0, 0.02},
                   &AttentionConstants::all_to_all_sharing);
    }
  }
  return unknowns;
}

AttentionConstants constants_of(const AttentionGroup &group, const PlacedCell &placed, const Unknowns &unknowns,
                                const std::vector<double> &values) {
  AttentionConstants constants;
  for (std::size_t index = 0; index < values.size(); ++index) {
    if (unknowns.fields[index] != nullptr) {
      constants.*unknowns.fields[index] = values[index];
    }
  }
  if (unknowns.has_share) {
    constants.flop_per_s =
        tile_rate(*placed.machine, values.front(), placed.cell.attention.head_dim, placed.cell.element_bytes);
  } else {
    set_tile(group, placed, constants);
  }
  return constants;
}

/// What tells figures apart when some are taken to fit constants.
std::vector<std::string> features_of(const PlacedCell &placed) {
  const AttentionCell &cell = placed.cell;
  return {std::to_string(static_cast<int>(cell.kind)),
          std::to_string(static_cast<int>(cell.backward)),
          std::to_string(cell.ring_degree),
          std::to_string(cell.attention.tokens),
          cell.variant,
          cell.labels,
          std::to_string(cell.attention.head_dim),
          std::to_string(cell.attention.query_heads)};
}

/// Whether a fit can afford to simulate the figure some hundred times: a small ring, or one that folds into a node.
bool is_cheap(const PlacedCell &placed) {
  constexpr std::int64_t most_ranks = 128;
  const AttentionCell &cell = placed.cell;
  const bool folds = !cell.backward && cell.kind == RingKind::zigzag &&
                     cell.attention.tokens % (2 * cell.ring_degree) == 0 &&
                     cell.ring_degree % machine::link_period(*placed.machine, cell.ring_degree) == 0;
  return cell.ring_degree <= most_ranks || folds;
}

/// About one figure in eight, or as many as there are unknowns; at most a third of all.
std::vector<std::size_t> calibration_places(const std::vector<PlacedCell> &cells, std::size_t unknowns) {
  std::vector<std::vector<std::string>> features;
  std::vector<std::size_t> cheap;
  for (std::size_t place = 0; place < cells.size(); ++place) {
    if (is_cheap(cells[place])) {
      cheap.push_back(place);
      features.push_back(features_of(cells[place]));
    }
  }
  const std::size_t share = std::min(most_calibration_figures, (cells.size() + 4) / 8);
  const std::size_t wanted = std::max<std::size_t>({2, unknowns, share});
  std::vector<std::size_t> places = choose_calibration(features, std::min(wanted, (cells.size() + 1) / 3));
  for (std::size_t &place : places) {
    place = cheap[place];
  }
  return places;
}

void predict_group(const Table &table, const AttentionGroup &group, const Places &places, std::vector<Fit> &fits,
                   RingWork &work) {
  const auto at = [&](const AttentionCell &cell) -> Prediction & { return *places.at({cell.row, cell.column}); };
  const Unknowns unknowns = unknowns_of(group);
  const std::vector<std::size_t> calibration = calibration_places(group.cells, unknowns.list.size());
  constexpr double evaluations = 500.0;   // of a search with some unknowns
  constexpr double most_of_a_cheap = 4e5; // is_cheap lets pass small rings and larger ones that fold
  double steps = 0.0;
  for (const std::size_t place : calibration) {
    const PlacedCell &placed = group.cells[place];
    steps += evaluations * std::min(most_of_a_cheap, attention_steps(placed.cell, *placed.machine));
  }
  if (!work.take(steps)) {
    for (const PlacedCell &placed : group.cells) {
      at(placed.cell).reason = RingWork::reason();
    }
    return;
  }
  const auto seconds = [&](const PlacedCell &placed, const std::vector<double> &values) {
    return attention_seconds(placed.cell, *placed.machine, constants_of(group, placed, unknowns, values));
  };
  const std::vector<double> values = search_constants(unknowns.list, [&](const std::vector<double> &tried) {
    double sum = 0.0;
    for (const std::size_t place : calibration) {
      const PlacedCell &placed = group.cells[place];
      sum += soft_distance(seconds(placed, tried) / seconds_of(placed.cell));
    }
    return calibration.empty() ? 0.0 : sum / static_cast<double>(calibration.size());
  });
  std::vector<std::string> names;
  for (const std::size_t place : calibration) {
    const AttentionCell &cell = group.cells[place].cell;
    names.push_back(cell_name(table, cell.row, cell.column));
    at(cell).role = Role::fitted;
  }
  for (std::size_t index = 0; index < values.size(); ++index) {
    const std::string label = group.label.empty() ? "" : " (" + group.label + ")";
    add_fit(fits, unknowns.names[index] + label + bound_of(unknowns.list[index], values[index]), values[index],
            unknowns.units[index], names);
  }
  for (const PlacedCell &placed : group.cells) {
    Prediction &prediction = at(placed.cell);
    prediction.role = prediction.role == Role::fitted ? Role::fitted : Role::predicted;
    prediction.value = shown(placed.cell, seconds(placed, values));
    prediction.kind = placed.cell.devices == 1 ? "analytic" : "simulated";
    prediction.method = (placed.cell.devices == 1 ? "tile on " : "ring simulated on ") + placed.machine->name;
    if (placed.cell.devices == 1 && group.variants > 1) {
      prediction.method += ", constants shared by " + std::to_string(group.variants) + " implementations";
    }
  }
}

/// Says what was understood of a figure, and whether it can be right.
void describe(const PlacedCell &placed, Prediction &prediction) {
  const AttentionCell &cell = placed.cell;
  prediction.read_as = reading_of(cell, *placed.machine);
  const double devices = static_cast<double>(cell.devices);
  prediction.doubt =
      doubt_of(flop_of(cell) / (seconds_of(cell) * devices), *placed.machine, static_cast<double>(cell.element_bytes));
}

} // namespace

void predict_attention(const Table &table, const std::vector<machine::Machine> &machines,
                       std::vector<Prediction> &predictions, std::vector<Fit> &fits, RingWork &work) {
  Places places;
  for (Prediction &prediction : predictions) {
    places[{prediction.row, prediction.column}] = &prediction;
  }
  const AttentionGroups attention = collect_attention(table, machines, predictions, fits, work);
  for (const PlacedCell &placed : attention.yardsticks) {
    Prediction &prediction = *places.at({placed.cell.row, placed.cell.column});
    describe(placed, prediction);
    prediction.role = Role::fitted;
    prediction.value = shown(placed.cell, seconds_of(placed.cell));
    prediction.kind = "analytic";
    prediction.method = "gives the rate of tiles on one device";
    add_fit(fits, "FLOP/s of a tile on one " + placed.machine->name, flop_of(placed.cell) / seconds_of(placed.cell),
            "FLOP/s", {cell_name(table, placed.cell.row, placed.cell.column)});
  }
  for (const AttentionGroup &group : attention.groups) {
    for (const PlacedCell &placed : group.cells) {
      describe(placed, *places.at({placed.cell.row, placed.cell.column}));
    }
    predict_group(table, group, places, fits, work);
  }
}

} // namespace ringscale::validation
