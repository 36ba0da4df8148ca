// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <barrier>
#include <limits>
#include <thread>
#include <utility>

#include "simulator/engines.hpp"
#include "simulator/lanes.hpp"
#include "simulator/recurrence.hpp"

namespace ringscale::simulator {

namespace {

// A block's times, work, amplitudes and mixed keys, 4 bytes each, fill a first-level cache of 32 KiB.
constexpr std::int64_t block_ranks = 2048;
constexpr std::int64_t most_steps_at_once = 512;
constexpr std::int64_t margin = most_steps_at_once + 4 * lane_count;
static_assert(smallest_blocked_ring >= 2 * most_steps_at_once + 2 * lane_count);
static_assert(block_ranks >= smallest_blocked_ring);
static_assert(most_steps_at_once % steps_per_noise_group == 0);

/// Times of the two outermost ranks that a block still knows after each step, for the gap between two blocks.
struct EdgeHistory {
  std::vector<std::int64_t> left;  ///< [step][2]: ranks begin + step, begin + step + 1
  std::vector<std::int64_t> right; ///< [step][2]: ranks end - step - 2, end - step - 1
};

struct Block {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t earliest = 0; ///< of its times when the turn began
  std::int64_t latest = 0;
  EdgeHistory edges;
};

/// The room one thread computes in.
template <class Tick> struct Workspace {
  AlignedVector<Tick> times;
  AlignedVector<std::uint32_t> bits;
  RowScratch<Tick> scratch;

  void prepare(std::int64_t cells) {
    const auto length = static_cast<std::size_t>(cells + 4 * lane_count);
    times.assign(length, 0);
    bits.resize(length);
  }
  Tick *cells() { return times.data() + 2 * lane_count; }
  std::uint32_t *bit_cells() { return bits.data() + 2 * lane_count; }
};

std::int64_t down_to_lanes(std::int64_t cell) { return problem::floor_divide(cell, lane_count) * lane_count; }
std::int64_t up_to_lanes(std::int64_t cell) { return -down_to_lanes(-cell); }

/// One turn advances all ranks by up to most_steps_at_once steps in two phases. First every block alone: after s
/// steps it knows its ranks but s at either end (a trapezoid), and keeps the history of its edges. Then every gap
/// between two blocks, which grows as the blocks shrank, from the histories on either side. Cells beyond what is
/// known are computed along with whole vectors and never read.
class BlockedRing {
public:
  BlockedRing(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale)
      : costs_(costs), options_(options), scale_(scale), narrow_(costs, options, scale, margin),
        wide_(costs, options, scale, margin), times_(static_cast<std::size_t>(costs.ring_size()), 0) {
    const std::int64_t ring_size = costs.ring_size();
    const std::int64_t count = std::max<std::int64_t>(1, ring_size / block_ranks);
    for (std::int64_t index = 0; index < count; ++index) {
      Block block;
      block.begin = down_to_lanes(ring_size * index / count);
      block.end = index + 1 == count ? ring_size : down_to_lanes(ring_size * (index + 1) / count);
      block.edges.left.resize(2 * most_steps_at_once);
      block.edges.right.resize(2 * most_steps_at_once);
      blocks_.push_back(std::move(block));
    }
  }

  void run(int threads) {
    const std::int64_t hops = costs_.steps() - 1;
    std::barrier<> together(threads);
    const auto work = [&](int thread) {
      Workspaces workspaces;
      for (std::int64_t step = 0; step < hops; step += most_steps_at_once) {
        const std::int64_t count = std::min(most_steps_at_once, hops - step);
        share(thread, threads, [&](std::size_t index) { advance_block(index, step, count, workspaces); });
        together.arrive_and_wait();
        share(thread, threads, [&](std::size_t index) { advance_gap(index, step, count, workspaces); });
        together.arrive_and_wait();
      }
    };
    std::vector<std::jthread> helpers;
    for (int thread = 1; thread < threads; ++thread) {
      helpers.emplace_back(work, thread);
    }
    work(0);
  }

  std::vector<std::int64_t> &times() { return times_; }

private:
  struct Workspaces {
    Workspace<std::int32_t> narrow;
    Workspace<std::int64_t> wide;
  };

  template <class Function> void share(int thread, int threads, const Function &function) const {
    const auto count = static_cast<std::int64_t>(blocks_.size());
    for (std::int64_t index = count * thread / threads; index < count * (thread + 1) / threads; ++index) {
      function(static_cast<std::size_t>(index));
    }
  }

  /// Whether times between the bounds, grown by `count` steps, fit 32 bits relative to the earliest.
  bool fits(std::int64_t earliest, std::int64_t latest, std::int64_t count) const {
    return latest - earliest + (count + 2) * scale_.longest_step < std::numeric_limits<std::int32_t>::max();
  }

  void advance_block(std::size_t index, std::int64_t step, std::int64_t count, Workspaces &workspaces) {
    Block &block = blocks_[index];
    const auto range = std::minmax_element(times_.begin() + block.begin, times_.begin() + block.end);
    block.earliest = *range.first;
    block.latest = *range.second;
    if (fits(block.earliest, block.latest, count)) {
      advance_block_in(narrow_, workspaces.narrow, block, step, count);
    } else {
      advance_block_in(wide_, workspaces.wide, block, step, count);
    }
  }

  template <class Tick>
  void advance_block_in(const TickCosts<Tick> &ticks, Workspace<Tick> &workspace, Block &block, std::int64_t step,
                        std::int64_t count) {
    const std::int64_t ranks = block.end - block.begin;
    workspace.prepare(up_to_lanes(ranks));
    for (std::int64_t cell = 0; cell < ranks; ++cell) {
      workspace.cells()[cell] =
          static_cast<Tick>(times_[static_cast<std::size_t>(block.begin + cell)] - block.earliest);
    }
    for (std::int64_t done = 0; done < count; ++done) {
      const Tick *current = workspace.cells();
      const auto slot = static_cast<std::size_t>(2 * done);
      for (std::int64_t side = 0; side < 2; ++side) {
        const auto place = slot + static_cast<std::size_t>(side);
        block.edges.left[place] = block.earliest + current[done + side];
        block.edges.right[place] = block.earliest + current[ranks - done - 2 + side];
      }
      advance_row(ticks, workspace, block.begin, step + done, done + 1, ranks - done - 1, false);
    }
    for (std::int64_t cell = count; cell < ranks - count; ++cell) {
      times_[static_cast<std::size_t>(block.begin + cell)] = block.earliest + workspace.cells()[cell];
    }
  }

  /// The gap at the end of block `index`.
  void advance_gap(std::size_t index, std::int64_t step, std::int64_t count, Workspaces &workspaces) {
    const Block &left = blocks_[index];
    const Block &right = blocks_[(index + 1) % blocks_.size()];
    const std::int64_t earliest = std::min(left.earliest, right.earliest);
    if (fits(earliest, std::max(left.latest, right.latest), count)) {
      advance_gap_in(narrow_, workspaces.narrow, left, right, earliest, step, count);
    } else {
      advance_gap_in(wide_, workspaces.wide, left, right, earliest, step, count);
    }
  }

  template <class Tick>
  void advance_gap_in(const TickCosts<Tick> &ticks, Workspace<Tick> &workspace, const Block &left, const Block &right,
                      std::int64_t earliest, std::int64_t step, std::int64_t count) {
    const std::int64_t centre = most_steps_at_once + 2 * lane_count;
    const std::int64_t begin = left.end - centre; // rank of cell 0; negative or beyond the ring's end at its ends
    workspace.prepare(2 * centre);
    for (std::int64_t done = 0; done < count; ++done) {
      Tick *current = workspace.cells();
      const auto slot = static_cast<std::size_t>(2 * done);
      for (std::int64_t side = 0; side < 2; ++side) {
        const auto place = slot + static_cast<std::size_t>(side);
        current[centre - done - 2 + side] = static_cast<Tick>(left.edges.right[place] - earliest);
        current[centre + done + side] = static_cast<Tick>(right.edges.left[place] - earliest);
      }
      advance_row(ticks, workspace, begin, step + done, centre - done - 1, centre + done + 1, true);
    }
    const std::int64_t ring_size = costs_.ring_size();
    for (std::int64_t cell = centre - count; cell < centre + count; ++cell) {
      const std::int64_t rank = (begin + cell + ring_size) % ring_size;
      times_[static_cast<std::size_t>(rank)] = earliest + workspace.cells()[cell];
    }
  }

  /// Cells [first, last) of the row whose cell 0 is rank `begin`, rounded out to whole vectors. In a growing row the
  /// keys mixed for a group of steps must reach the cells that the group's later steps add.
  template <class Tick>
  void advance_row(const TickCosts<Tick> &ticks, Workspace<Tick> &workspace, std::int64_t begin, std::int64_t step,
                   std::int64_t first, std::int64_t last, bool grows) {
    const int step_in_group = static_cast<int>(step % steps_per_noise_group);
    const bool fresh = step_in_group == 0;
    const std::int64_t extra = grows && fresh ? lane_count : 0;
    const std::int64_t low = down_to_lanes(first) - extra;
    const std::int64_t high = up_to_lanes(last) + extra;
    StepRow<Tick> row = ticks.row(step, begin + low, begin + high, workspace.scratch);
    // Cells are counted from the row's cell 0 everywhere.
    row.work -= low;
    row.hop_in -= low;
    row.hop_out -= low;
    row.amplitude -= row.amplitude == nullptr ? 0 : low;
    const std::uint32_t *keys = options_.jitter > 0.0 ? ticks.rank_keys(begin) : nullptr;
    const std::uint32_t group_key = noise_group_key(options_.seed, step);
    if constexpr (std::is_same_v<Tick, std::int32_t>) {
      advance_lanes(workspace.cells(), row, keys, group_key, step_in_group, fresh, workspace.bit_cells(), low, high);
    } else {
      advance_cells(workspace.cells(), row, keys, group_key, step_in_group, first, last);
    }
  }

  const RingCosts &costs_;
  SimulationOptions options_;
  TickScale scale_;
  TickCosts<std::int32_t> narrow_;
  TickCosts<std::int64_t> wide_;
  std::vector<std::int64_t> times_;
  std::vector<Block> blocks_;
};

} // namespace

Finish run_blocked(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale, int threads) {
  BlockedRing ring(costs, options, scale);
  ring.run(threads);
  Finish finish;
  finish.ticks = std::move(ring.times());
  finish.steps_computed = static_cast<double>(costs.ring_size()) * static_cast<double>(costs.steps());
  add_last_step(costs, options, scale, finish);
  return finish;
}

} // namespace ringscale::simulator
