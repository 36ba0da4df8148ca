// SPDX-License-Identifier: Apache-2.0
#include "simulator/engines.hpp"
#include "simulator/recurrence.hpp"

namespace ringscale::simulator {

void add_last_step(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale, Finish &finish) {
  const std::int64_t last = costs.steps() - 1;
  for (std::size_t rank = 0; rank < finish.ticks.size(); ++rank) {
    const std::int64_t place = finish.rank_of(static_cast<std::int64_t>(rank));
    const std::int64_t work = work_ticks(costs, options, scale, place, last);
    finish.ticks[rank] += work + jitter_ticks(costs.measured_jitter(), options, scale, place, last, work);
  }
}

Finish run_plain(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale) {
  const std::int64_t ring_size = costs.ring_size();
  TickCosts ticks(costs, options, scale);
  // One ghost on either side holds the neighbour across the ring's end.
  std::vector<std::int64_t> times(static_cast<std::size_t>(ring_size + 2), 0);
  for (std::int64_t step = 0; step + 1 < costs.steps(); ++step) {
    times.front() = times[static_cast<std::size_t>(ring_size)];
    times.back() = times[1];
    advance_row(times.data() + 1, ticks.row(step), ticks.rank_keys(), ticks.step_key(step), step, 0, ring_size);
  }
  Finish finish;
  finish.ticks.assign(times.begin() + 1, times.end() - 1);
  finish.steps_computed = static_cast<double>(ring_size) * static_cast<double>(costs.steps());
  add_last_step(costs, options, scale, finish);
  return finish;
}

} // namespace ringscale::simulator
