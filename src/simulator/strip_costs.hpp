// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "simulator/aligned_vector.hpp"
#include "simulator/lane_steps.hpp"
#include "simulator/strips.hpp"
#include "simulator/tick_costs.hpp"

namespace ringscale::simulator {

/// A vector of sixteen values for every cell of a bundle, with padding before and behind.
template <class Value> class BundleArray {
public:
  explicit BundleArray(std::int64_t cells = 0)
      : values_(static_cast<std::size_t>((cells + 2 * lane_step_padding) * lane_count)) {}
  Value *lanes_of(std::int64_t cell) { return values_.data() + (cell + lane_step_padding) * lane_count; }
  const Value *lanes_of(std::int64_t cell) const { return values_.data() + (cell + lane_step_padding) * lane_count; }

private:
  AlignedVector<Value> values_;
};

/// Room for the costs of one step that has several classes of work in a bundle, and what stands there now.
struct ComposedStep {
  BundleArray<std::int32_t> work, exposed;
  BundleArray<std::uint32_t> amplitude;
  std::int64_t bundle = -1;
  std::vector<ClassRun> runs; ///< that it was composed of
  std::vector<ClassRun> wanted_runs, later_runs;

  explicit ComposedStep(std::int64_t cells) : work(cells), exposed(cells), amplitude(cells) {}
};

/// The costs of the ranks of some bundles as lane_steps.hpp wants them. Work and hops are less the pace, the shortest
/// hop, which every rank takes in every step: where all hops are alike nothing is left to add for them.
class StripCosts {
public:
  /// For bundles [first_bundle, last_bundle). Scales of at most most_lane_bits.
  StripCosts(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale, const Strips &strips,
             std::int64_t first_bundle, std::int64_t last_bundle);

  std::int64_t pace() const { return pace_; }
  const LaneNoise &noise() const { return noise_; }

  /// Costs of `step` in a bundle, composed in `room` where its ranks are of several classes.
  LaneRow one_step(std::int64_t bundle, std::int64_t step, ComposedStep &room) const;
  /// Costs of the four steps from `step` on, if they are the same in all four; else a row without work.
  LaneRow four_steps(std::int64_t bundle, std::int64_t step, ComposedStep &room) const;
  /// To be called once for every bundle before the others; different bundles by different threads.
  void fill_bundle(std::int64_t bundle);

private:
  struct Arrays {
    BundleArray<std::int32_t> work, exposed;
    BundleArray<std::uint32_t> amplitude;
    bool all_hidden = true;
  };
  /// What never changes, and per key relation what does.
  struct Bundle {
    BundleArray<std::int32_t> hop;
    BundleArray<std::uint32_t> rank_keys;
    const MeasuredJitter::Table *table = nullptr; ///< of all ranks; else each rank's:
    BundleArray<std::uint32_t> table_cells, table_first_cell;
    std::vector<Arrays> by_relation; ///< empty when work is no function of the class
  };

  void find_relations();
  void find_tables(std::int64_t index, Bundle &bundle) const;
  bool is_filled(int relation) const {
    return costs_.classes().occurs(relation) && stands_for_[static_cast<std::size_t>(relation)] == relation;
  }
  void fill_by_rank(std::int64_t bundle, std::int64_t step, ComposedStep &room) const;
  /// Runs of equal key relation in a bundle; positions count from the first cell of its first strip.
  void find_runs(std::int64_t bundle, std::int64_t step, std::vector<ClassRun> &runs) const;
  /// Costs of room.wanted_runs: from memory where they are of one relation, else composed in `room`.
  LaneRow row_of_runs(std::int64_t bundle, ComposedStep &room) const;
  void compose(std::int64_t bundle, ComposedStep &room) const;
  bool move_cuts(std::int64_t bundle, ComposedStep &room) const;
  void copy_cells(std::int64_t bundle, std::int64_t position, int key_relation, ComposedStep &room) const;
  std::int64_t position(std::int64_t bundle, std::int64_t lane) const {
    return strips_.first_rank(bundle * lane_count + lane) - strips_.first_rank(bundle * lane_count);
  }
  LaneRow row_of(const Bundle &bundle, const BundleArray<std::int32_t> &work, const BundleArray<std::int32_t> *exposed,
                 const BundleArray<std::uint32_t> &amplitude) const;
  void put(const StepTicks &ticks, std::int64_t cell, std::int64_t lane, BundleArray<std::int32_t> &work,
           BundleArray<std::int32_t> &exposed, BundleArray<std::uint32_t> &amplitude) const;

  const RingCosts &costs_;
  SimulationOptions options_;
  TickScale scale_;
  Strips strips_;
  std::int64_t first_bundle_;
  std::int64_t pace_ = 0;
  LaneNoise noise_;
  std::vector<double> factor_; ///< of all ranks' times, where work is no function of the class
  bool hops_alike_ = false;    ///< and the exposed part of each relation is
  std::vector<std::int64_t> exposed_of_relation_;
  std::vector<int> stands_for_; ///< by key relation: the first one with the same work; itself in most rings
  std::vector<Bundle> bundles_;
};

} // namespace ringscale::simulator
