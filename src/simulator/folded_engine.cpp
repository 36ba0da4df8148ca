// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "simulator/device_time.hpp"
#include "simulator/engines.hpp"
#include "simulator/recurrence.hpp"

namespace ringscale::simulator {

namespace {

/// Ranks of the short ring when the last period of links is not filled: news travels one rank a step, so what happens
/// at the ring's end stays within this many steps' reach of it.
constexpr std::int64_t short_ring_ranks = 4096;

/// The ranks that stand for all.
struct ShortRing {
  std::int64_t size = 1;
  std::int64_t fold_at = 0;
  std::int64_t fold_skips = 0;
  bool seamless = true; ///< periods fill the ring, or it is the whole ring: its end is where the long one's is
};

ShortRing short_ring_of(const RingCosts &costs) {
  ShortRing result;
  const std::int64_t ring_size = costs.ring_size();
  const std::int64_t period = costs.hop_period();
  result.seamless = period < ring_size || ring_size <= 2 * short_ring_ranks;
  if (result.seamless) {
    result.size = period;
    result.fold_at = period;
    return result;
  }
  // Whole periods are left out of the middle.
  const std::int64_t links = costs.link_period();
  result.fold_skips = (ring_size - short_ring_ranks) / links * links;
  result.size = ring_size - result.fold_skips;
  result.fold_at = result.size / 2 / links * links;
  return result;
}

/// Costs of one step for the ranks of the short ring; they are the same for all later steps.
struct ShortRow {
  std::vector<std::int64_t> work;
  std::vector<std::int64_t> hop_in;
  std::vector<std::int64_t> hop_out;
};

ShortRow short_row(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale,
                   const Finish &finish, std::int64_t step) {
  ShortRow row;
  for (std::size_t entry = 0; entry < finish.ticks.size(); ++entry) {
    const std::int64_t rank = finish.rank_of(static_cast<std::int64_t>(entry));
    const std::int64_t exposed = exposed_ticks(costs, scale, rank, step);
    row.work.push_back(work_ticks(costs, options, scale, rank, step) + exposed);
    row.hop_in.push_back(hop_ticks(costs, scale, rank) + exposed);
    row.hop_out.push_back(hop_ticks(costs, scale, (rank + 1) % costs.ring_size()) + exposed);
  }
  return row;
}

void advance_short(std::vector<std::int64_t> &times, const ShortRow &row) {
  const std::size_t size = times.size();
  const std::int64_t first = times[0];
  std::int64_t before = times[size - 1];
  for (std::size_t entry = 0; entry < size; ++entry) {
    const std::int64_t own = times[entry];
    const std::int64_t after = entry + 1 < size ? times[entry + 1] : first;
    times[entry] = next_start(before, own, after, row.work[entry], row.hop_in[entry], row.hop_out[entry]);
    before = own;
  }
}

/// By how much `times` lies above `earlier` when it does so evenly, else -1.
std::int64_t even_rise(const std::vector<std::int64_t> &times, const std::vector<std::int64_t> &earlier) {
  const std::int64_t rise = times[0] - earlier[0];
  for (std::size_t entry = 1; entry < times.size(); ++entry) {
    if (times[entry] - earlier[entry] != rise) {
      return -1;
    }
  }
  return rise;
}

} // namespace

bool can_fold(const RingCosts &costs, const SimulationOptions &options) {
  if (costs.types() > 1 || devices_differ(options) || has_jitter(options) || !costs.work_is_by_class() ||
      costs.classes().query_classes() > 1 || costs.classes().key_relations() > 3) {
    return false;
  }
  // Under a causal mask ranks differ unless blocks from before and after cost the same, as zigzag arranges.
  const StepClasses &classes = costs.classes();
  return !classes.occurs(static_cast<int>(Relation::before)) || !classes.occurs(static_cast<int>(Relation::after)) ||
         costs.class_work(0, 0, static_cast<int>(Relation::before)).total() ==
             costs.class_work(0, 0, static_cast<int>(Relation::after)).total();
}

Finish run_folded(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale) {
  const std::int64_t hops = costs.steps() - 1;
  const ShortRing ring = short_ring_of(costs);
  Finish finish;
  finish.ticks.assign(static_cast<std::size_t>(ring.size), 0);
  finish.fold_at = ring.fold_at;
  finish.fold_skips = ring.fold_skips;
  std::vector<std::int64_t> &times = finish.ticks;
  std::int64_t done = 0;
  if (hops > 0) {
    // The first step may differ (diagonal tile, no merge); all later ones are alike.
    advance_short(times, short_row(costs, options, scale, finish, 0));
    ++done;
  }
  if (done < hops) {
    const ShortRow row = short_row(costs, options, scale, finish, 1);
    std::vector<std::int64_t> anchor = times;
    std::int64_t anchor_step = done;
    std::int64_t next_anchor = 2;
    while (done < hops) {
      // News from the seam must not have met itself: until then the short ring's times are the long ring's, and a
      // pattern that repeats by then repeats for ever, since a step only adds and takes maxima.
      if (!ring.seamless && done > ring.size / 2 - 2 * costs.link_period()) {
        return {};
      }
      advance_short(times, row);
      ++done;
      const std::int64_t rise = even_rise(times, anchor);
      if (rise >= 0) {
        const std::int64_t cycle = done - anchor_step;
        const std::int64_t skipped = (hops - done) / cycle;
        for (std::int64_t &time : times) {
          time += skipped * rise;
        }
        for (std::int64_t rest = (hops - done) % cycle; rest > 0; --rest) {
          advance_short(times, row);
        }
        break;
      }
      if (done >= next_anchor) {
        anchor = times;
        anchor_step = done;
        next_anchor *= 2;
      }
    }
  }
  finish.steps_computed =
      static_cast<double>(times.size()) * static_cast<double>(std::min<std::int64_t>(done + 1, costs.steps()));
  add_last_step(costs, options, scale, finish);
  return finish;
}

} // namespace ringscale::simulator
