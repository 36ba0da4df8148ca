// SPDX-License-Identifier: Apache-2.0
#include "simulator/strip_costs.hpp"

#include <algorithm>
#include <bit>

#include "simulator/device_time.hpp"
#include "simulator/lane_draws.hpp"
#include "simulator/noise.hpp"

namespace ringscale::simulator {

namespace {

constexpr std::uint32_t in_all_bytes = 0x01010101U;

std::size_t place(std::int64_t index) { return static_cast<std::size_t>(index); }

const Lanes &lanes(const BundleArray<std::int32_t> &array, std::int64_t cell) {
  return *reinterpret_cast<const Lanes *>(array.lanes_of(cell));
}
Lanes &lanes(BundleArray<std::int32_t> &array, std::int64_t cell) {
  return *reinterpret_cast<Lanes *>(array.lanes_of(cell));
}
const UnsignedLanes &lanes(const BundleArray<std::uint32_t> &array, std::int64_t cell) {
  return *reinterpret_cast<const UnsignedLanes *>(array.lanes_of(cell));
}
UnsignedLanes &lanes(BundleArray<std::uint32_t> &array, std::int64_t cell) {
  return *reinterpret_cast<UnsignedLanes *>(array.lanes_of(cell));
}

} // namespace

StripCosts::StripCosts(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale,
                       const Strips &strips, std::int64_t first_bundle, std::int64_t last_bundle)
    : costs_(costs), options_(options), scale_(scale), strips_(strips), first_bundle_(first_bundle) {
  noise_.present = has_jitter(options);
  noise_.measured = options.measured_jitter ? &costs.measured_jitter() : nullptr;
  noise_.left_shift = std::max(0, scale.jitter_exponent);
  noise_.right_shift = std::max(0, -scale.jitter_exponent);
  std::int64_t longest_hop = 0;
  pace_ = scale.longest_step;
  for (std::int64_t rank = 0; rank < costs.ring_size(); ++rank) {
    const std::int64_t hop = hop_ticks(costs, scale, rank);
    pace_ = std::min(pace_, hop);
    longest_hop = std::max(longest_hop, hop);
  }
  if (costs.work_is_by_class()) {
    hops_alike_ = pace_ == longest_hop && costs.classes().query_classes() == 1 && costs.types() == 1;
    find_relations();
  } else {
    for (std::int64_t rank = 0; rank < costs.ring_size(); ++rank) {
      factor_.push_back(device_time_factor(options, rank));
    }
  }
  bundles_.resize(place(last_bundle - first_bundle));
}

void StripCosts::find_relations() {
  const StepClasses &classes = costs_.classes();
  const auto work_s = [&](std::size_t type, int query_class, int relation) {
    return costs_.class_work(type, query_class, relation).total();
  };
  for (int relation = 0; relation < classes.key_relations(); ++relation) {
    int first = 0;
    const auto differs = [&] {
      for (std::size_t type = 0; type < costs_.types(); ++type) {
        for (int query_class = 0; query_class < classes.query_classes(); ++query_class) {
          if (work_s(type, query_class, first) != work_s(type, query_class, relation)) {
            return true;
          }
        }
      }
      return !classes.occurs(first);
    };
    while (first < relation && differs()) {
      ++first;
    }
    stands_for_.push_back(first);
    // With one type, one query class and equal hops, what is exposed depends on the relation alone.
    exposed_of_relation_.push_back(
        hops_alike_ ? step_ticks(costs_, options_, scale_, 0, work_s(0, 0, relation), 1.0).exposed : 0);
  }
}

void StripCosts::fill_bundle(std::int64_t index) {
  const StepClasses &classes = costs_.classes();
  const std::int64_t cells = strips_.cells();
  Bundle &bundle = bundles_[place(index - first_bundle_)];
  bundle.hop = BundleArray<std::int32_t>(cells);
  bundle.rank_keys = BundleArray<std::uint32_t>(noise_.present ? cells : 0);
  if (noise_.measured != nullptr) {
    find_tables(index, bundle);
  }
  bundle.by_relation.resize(costs_.work_is_by_class() ? place(classes.key_relations()) : 0);
  for (std::size_t relation = 0; relation < bundle.by_relation.size(); ++relation) {
    const bool occurs = is_filled(static_cast<int>(relation));
    bundle.by_relation[relation] = {BundleArray<std::int32_t>(occurs ? cells : 0),
                                    BundleArray<std::int32_t>(occurs ? cells : 0),
                                    BundleArray<std::uint32_t>(occurs && noise_.present ? cells : 0), true};
  }
  for (std::int64_t cell = 0; cell < cells; ++cell) {
    for (std::int64_t lane = 0; lane < lane_count; ++lane) {
      const std::int64_t rank = strips_.rank_in(index * lane_count + lane, cell);
      bundle.hop.lanes_of(cell)[lane] = static_cast<std::int32_t>(hop_ticks(costs_, scale_, rank) - pace_);
      if (noise_.present) {
        bundle.rank_keys.lanes_of(cell)[lane] = noise_rank_key(options_.seed, rank);
      }
      if (bundle.by_relation.empty()) {
        continue;
      }
      const double factor = device_time_factor(options_, rank);
      for (int relation = 0; relation < classes.key_relations(); ++relation) {
        if (is_filled(relation)) {
          Arrays &arrays = bundle.by_relation[place(relation)];
          const double work_s = costs_.class_work(costs_.type_of(rank), classes.query_class(rank), relation).total();
          const StepTicks ticks = step_ticks(costs_, options_, scale_, rank, work_s, factor);
          arrays.all_hidden = arrays.all_hidden && ticks.exposed == 0;
          put(ticks, cell, lane, arrays.work, arrays.exposed, arrays.amplitude);
        }
      }
    }
  }
}

void StripCosts::find_tables(std::int64_t index, Bundle &bundle) const {
  const MeasuredJitter &measured = *noise_.measured;
  const auto table_in = [&](std::int64_t cell, std::int64_t lane) -> const MeasuredJitter::Table & {
    return measured.table(strips_.rank_in(index * lane_count + lane, cell));
  };
  const MeasuredJitter::Table &first = table_in(0, 0);
  bool all_alike = first.cells <= most_cells_in_registers;
  bundle.table_cells = bundle.table_first_cell = BundleArray<std::uint32_t>(strips_.cells());
  for (std::int64_t cell = 0; cell < strips_.cells(); ++cell) {
    for (std::int64_t lane = 0; lane < lane_count; ++lane) {
      const MeasuredJitter::Table &table = table_in(cell, lane);
      all_alike = all_alike && table == first;
      bundle.table_cells.lanes_of(cell)[lane] = table.cells;
      bundle.table_first_cell.lanes_of(cell)[lane] = table.first_cell;
    }
  }
  if (all_alike) {
    bundle.table = &first;
    bundle.table_cells = bundle.table_first_cell = BundleArray<std::uint32_t>();
  }
}

void StripCosts::put(const StepTicks &ticks, std::int64_t cell, std::int64_t lane, BundleArray<std::int32_t> &work,
                     BundleArray<std::int32_t> &exposed, BundleArray<std::uint32_t> &amplitude) const {
  work.lanes_of(cell)[lane] = static_cast<std::int32_t>(ticks.work - pace_);
  exposed.lanes_of(cell)[lane] = static_cast<std::int32_t>(ticks.exposed);
  if (noise_.present) {
    amplitude.lanes_of(cell)[lane] = noise_.measured != nullptr
                                         ? std::bit_cast<std::uint32_t>(static_cast<float>(ticks.amplitude))
                                         : static_cast<std::uint32_t>(ticks.amplitude) * in_all_bytes;
  }
}

LaneRow StripCosts::row_of(const Bundle &bundle, const BundleArray<std::int32_t> &work,
                           const BundleArray<std::int32_t> *exposed,
                           const BundleArray<std::uint32_t> &amplitude) const {
  LaneRow row;
  row.work = &lanes(work, 0);
  row.hop = &lanes(bundle.hop, 0);
  row.exposed = exposed == nullptr ? nullptr : &lanes(*exposed, 0);
  if (noise_.present) {
    row.amplitude = &lanes(amplitude, 0);
    row.rank_keys = &lanes(bundle.rank_keys, 0);
    row.table = bundle.table;
    row.table_cells = &lanes(bundle.table_cells, 0);
    row.table_first_cell = &lanes(bundle.table_first_cell, 0);
  }
  return row;
}

void StripCosts::find_runs(std::int64_t bundle, std::int64_t step, std::vector<ClassRun> &runs) const {
  const StepClasses &classes = costs_.classes();
  const std::int64_t ranks = position(bundle, lane_count - 1) + strips_.cells();
  if (classes.uniform()) {
    runs.assign(1, {0, ranks, stands_for_[place(classes.key_relation(0, step))]});
    return;
  }
  const std::int64_t begin = strips_.rank_in(bundle * lane_count, 0);
  classes.runs(step, begin, begin + ranks, runs);
  std::size_t kept = 0;
  for (const ClassRun &run : runs) {
    const int relation = stands_for_[place(run.key_relation)];
    if (kept > 0 && runs[kept - 1].key_relation == relation) {
      runs[kept - 1].rank_end = run.rank_end - begin;
    } else {
      runs[kept++] = {run.rank_begin - begin, run.rank_end - begin, relation};
    }
  }
  runs.resize(kept);
}

LaneRow StripCosts::one_step(std::int64_t bundle, std::int64_t step, ComposedStep &room) const {
  const Bundle &arrays = bundles_[place(bundle - first_bundle_)];
  if (arrays.by_relation.empty()) {
    fill_by_rank(bundle, step, room);
    return row_of(arrays, room.work, &room.exposed, room.amplitude);
  }
  find_runs(bundle, step, room.wanted_runs);
  return row_of_runs(bundle, room);
}

LaneRow StripCosts::four_steps(std::int64_t bundle, std::int64_t step, ComposedStep &room) const {
  const Bundle &arrays = bundles_[place(bundle - first_bundle_)];
  if (arrays.by_relation.empty()) {
    return {};
  }
  // Where classes meet moves by one rank a step, so nothing comes and goes within four steps.
  find_runs(bundle, step, room.wanted_runs);
  find_runs(bundle, step + steps_per_noise_group - 1, room.later_runs);
  if (room.wanted_runs != room.later_runs) {
    return {};
  }
  LaneRow row = row_of_runs(bundle, room);
  if (hops_alike_ && room.wanted_runs.size() == 1) {
    row.hop = nullptr;
    row.exposed = nullptr;
    row.common_exposed = exposed_of_relation_[place(room.wanted_runs.front().key_relation)];
  }
  return row;
}

LaneRow StripCosts::row_of_runs(std::int64_t bundle, ComposedStep &room) const {
  const Bundle &arrays = bundles_[place(bundle - first_bundle_)];
  if (room.wanted_runs.size() == 1) {
    const Arrays &only = arrays.by_relation[place(room.wanted_runs.front().key_relation)];
    return row_of(arrays, only.work, only.all_hidden ? nullptr : &only.exposed, only.amplitude);
  }
  if (room.bundle != bundle || !move_cuts(bundle, room)) {
    compose(bundle, room);
  }
  room.bundle = bundle;
  room.runs = room.wanted_runs;
  return row_of(arrays, room.work, &room.exposed, room.amplitude);
}

void StripCosts::fill_by_rank(std::int64_t bundle, std::int64_t step, ComposedStep &room) const {
  for (std::int64_t cell = 0; cell < strips_.cells(); ++cell) {
    for (std::int64_t lane = 0; lane < lane_count; ++lane) {
      const std::int64_t rank = strips_.rank_in(bundle * lane_count + lane, cell);
      put(step_ticks(costs_, options_, scale_, rank, costs_.work(rank, step).total(), factor_[place(rank)]), cell, lane,
          room.work, room.exposed, room.amplitude);
    }
  }
}

void StripCosts::compose(std::int64_t bundle, ComposedStep &room) const {
  const std::vector<Arrays> &by_relation = bundles_[place(bundle - first_bundle_)].by_relation;
  Lanes positions = {};
  for (int lane = 0; lane < lane_count; ++lane) {
    positions[lane] = static_cast<std::int32_t>(position(bundle, lane));
  }
  const Arrays &first = by_relation[place(room.wanted_runs.front().key_relation)];
  for (std::int64_t cell = 0; cell < strips_.cells(); ++cell) {
    Lanes work = lanes(first.work, cell);
    Lanes exposed = lanes(first.exposed, cell);
    UnsignedLanes amplitude = {};
    if (noise_.present) {
      amplitude = lanes(first.amplitude, cell);
    }
    // Runs are in order: each takes all positions from its first one on.
    for (std::size_t run = 1; run < room.wanted_runs.size(); ++run) {
      const Arrays &arrays = by_relation[place(room.wanted_runs[run].key_relation)];
      const auto begin = static_cast<std::int32_t>(room.wanted_runs[run].rank_begin);
      work = positions >= begin ? lanes(arrays.work, cell) : work;
      exposed = positions >= begin ? lanes(arrays.exposed, cell) : exposed;
      if (noise_.present) {
        amplitude = positions >= begin ? lanes(arrays.amplitude, cell) : amplitude;
      }
    }
    lanes(room.work, cell) = work;
    lanes(room.exposed, cell) = exposed;
    if (noise_.present) {
      lanes(room.amplitude, cell) = amplitude;
    }
    positions += 1;
  }
}

/// Brings what is composed up to date where it differs by cuts that moved one rank on; false where it differs by more.
bool StripCosts::move_cuts(std::int64_t bundle, ComposedStep &room) const {
  if (room.runs.size() != room.wanted_runs.size()) {
    return false;
  }
  for (std::size_t run = 0; run < room.runs.size(); ++run) {
    const std::int64_t moved = room.wanted_runs[run].rank_begin - room.runs[run].rank_begin;
    if (room.wanted_runs[run].key_relation != room.runs[run].key_relation || moved < 0 || moved > 1) {
      return false;
    }
  }
  for (std::size_t run = 1; run < room.runs.size(); ++run) {
    if (room.wanted_runs[run].rank_begin != room.runs[run].rank_begin) {
      copy_cells(bundle, room.runs[run].rank_begin, room.runs[run - 1].key_relation, room);
    }
  }
  return true;
}

/// A position is in one strip, or in one and the ghosts of another.
void StripCosts::copy_cells(std::int64_t bundle, std::int64_t at, int key_relation, ComposedStep &room) const {
  const Arrays &arrays = bundles_[place(bundle - first_bundle_)].by_relation[place(key_relation)];
  for (std::int64_t lane = 0; lane < lane_count; ++lane) {
    const std::int64_t cell = at - position(bundle, lane);
    if (cell >= 0 && cell < strips_.cells()) {
      room.work.lanes_of(cell)[lane] = arrays.work.lanes_of(cell)[lane];
      room.exposed.lanes_of(cell)[lane] = arrays.exposed.lanes_of(cell)[lane];
      if (noise_.present) {
        room.amplitude.lanes_of(cell)[lane] = arrays.amplitude.lanes_of(cell)[lane];
      }
    }
  }
}

} // namespace ringscale::simulator
