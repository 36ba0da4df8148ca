// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "simulator/tick_costs.hpp"

namespace ringscale::simulator {

/// When every rank has finished, in ticks.
struct Finish {
  std::vector<std::int64_t> ticks; ///< one entry a rank, or a period of equal ranks
  double steps_computed = 0.0;     ///< (rank, step) pairs advanced
};

/// Step after step over all ranks, in 64-bit ticks, one thread: the oracle of the others, O(ring_size) memory.
Finish run_plain(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale);

/// Blocks of ranks advanced many steps at a time, so that their times stay in the first-level cache: the same ticks as
/// run_plain to the last bit, on any number of threads. Needs ring_size >= smallest_blocked_ring.
Finish run_blocked(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale, int threads);
inline constexpr std::int64_t smallest_blocked_ring = 1056;

/// Whether ranks are equal up to a period of the links: no spread, no jitter, work that depends on the step alone.
bool can_fold(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale);

/// One period of equal ranks, advanced until its pattern of times repeats (max-plus systems become periodic), then
/// multiplied out; the same ticks as run_plain. Needs can_fold.
Finish run_folded(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale);

/// The last step has no hop: adds every rank's work of that step to the times at which it starts.
void add_last_step(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale, Finish &finish);

} // namespace ringscale::simulator
