// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "problem/invalid_input.hpp"
#include "simulator/engines.hpp"
#include "simulator/recurrence.hpp"

namespace ringscale::simulator {

namespace {

/// Costs of one step for the ranks of one period; they are the same for all later steps.
struct PeriodRow {
  std::vector<std::int64_t> work;
  std::vector<std::int64_t> hop_in;
  std::vector<std::int64_t> hop_out;
  bool operator==(const PeriodRow &) const = default;
};

PeriodRow period_row(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale,
                     std::int64_t step) {
  PeriodRow row;
  const std::int64_t period = costs.hop_period();
  for (std::int64_t rank = 0; rank < period; ++rank) {
    const std::int64_t exposed = exposed_ticks(costs, scale, rank, step);
    row.work.push_back(work_ticks(costs, options, scale, rank, step) + exposed);
    row.hop_in.push_back(hop_ticks(costs, scale, rank) + exposed);
    row.hop_out.push_back(hop_ticks(costs, scale, (rank + 1) % costs.ring_size()) + exposed);
  }
  return row;
}

void advance_period(std::vector<std::int64_t> &times, const PeriodRow &row) {
  const std::vector<std::int64_t> old = times;
  const std::size_t period = times.size();
  for (std::size_t rank = 0; rank < period; ++rank) {
    times[rank] = next_start(old[(rank + period - 1) % period], old[rank], old[(rank + 1) % period], row.work[rank],
                             row.hop_in[rank], row.hop_out[rank]);
  }
}

/// By how much `times` lies above `earlier` when it does so evenly, else -1.
std::int64_t even_rise(const std::vector<std::int64_t> &times, const std::vector<std::int64_t> &earlier) {
  const std::int64_t rise = times[0] - earlier[0];
  for (std::size_t rank = 1; rank < times.size(); ++rank) {
    if (times[rank] - earlier[rank] != rise) {
      return -1;
    }
  }
  return rise;
}

} // namespace

bool can_fold(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale) {
  if (options.speed_spread > 0.0 || options.jitter > 0.0 || !costs.work_is_by_class() ||
      costs.classes().query_classes() > 1 || costs.classes().key_relations() > 3) {
    return false;
  }
  if (costs.hop_period() >= costs.ring_size() && costs.ring_size() > 1) {
    return false;
  }
  // Under a causal mask ranks differ unless blocks from before and after cost the same, as zigzag arranges.
  const StepClasses::Example before = costs.classes().example(0, static_cast<int>(Relation::before));
  const StepClasses::Example after = costs.classes().example(0, static_cast<int>(Relation::after));
  return before.rank < 0 || after.rank < 0 ||
         (work_ticks(costs, options, scale, before.rank, before.step) ==
              work_ticks(costs, options, scale, after.rank, after.step) &&
          exposed_ticks(costs, scale, before.rank, before.step) == exposed_ticks(costs, scale, after.rank, after.step));
}

Finish run_folded(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale) {
  const std::int64_t hops = costs.steps() - 1;
  std::vector<std::int64_t> times(static_cast<std::size_t>(costs.hop_period()), 0);
  Finish finish;
  std::int64_t done = 0;
  if (hops > 0) {
    // The first step may differ (diagonal tile, no merge); all later ones are alike.
    advance_period(times, period_row(costs, options, scale, 0));
    ++done;
  }
  if (done < hops) {
    const PeriodRow row = period_row(costs, options, scale, 1);
    std::vector<std::int64_t> anchor = times;
    std::int64_t anchor_step = done;
    std::int64_t next_anchor = 2;
    while (done < hops) {
      advance_period(times, row);
      ++done;
      const std::int64_t rise = even_rise(times, anchor);
      if (rise >= 0) {
        const std::int64_t cycle = done - anchor_step;
        const std::int64_t skipped = (hops - done) / cycle;
        for (std::int64_t &time : times) {
          time += skipped * rise;
        }
        for (std::int64_t rest = (hops - done) % cycle; rest > 0; --rest) {
          advance_period(times, row);
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
  finish.steps_computed = static_cast<double>(times.size()) * static_cast<double>(done + 1);
  finish.ticks = std::move(times);
  add_last_step(costs, options, scale, finish);
  return finish;
}

} // namespace ringscale::simulator
