// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "simulator/tick_costs.hpp"

namespace ringscale::simulator {

class ProcessGroup;

/// When every rank has finished, in ticks.
struct Finish {
  std::vector<std::int64_t> ticks; ///< one entry a rank; of a folded ring, a rank of each kind
  double steps_computed = 0.0;     ///< (rank, step) pairs advanced
  /// Entries from `fold_at` on stand for ranks `fold_skips` further on.
  std::int64_t fold_at = 0;
  std::int64_t fold_skips = 0;

  std::int64_t rank_of(std::int64_t entry) const { return entry < fold_at ? entry : entry + fold_skips; }
};

/// Step after step over all ranks, in 64-bit ticks, one thread: the oracle of the others, O(ring_size) memory.
Finish run_plain(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale);

/// Sixteen strips of ranks side by side in vectors, four steps a pass: the same ticks as run_plain to the last bit, on
/// any number of threads and processes. Needs ring_size >= smallest_blocked_ring. With scales finer than
/// most_lane_bits, or times too far apart for 32 bits, run_plain does it. All processes get the whole result.
Finish run_blocked(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale, int threads,
                   ProcessGroup *processes = nullptr);
inline constexpr std::int64_t smallest_blocked_ring = 1056;

/// Whether ranks are equal up to a period of the links: no spread, no jitter, work that depends on the step alone.
bool can_fold(const RingCosts &costs, const SimulationOptions &options);

/// A short ring in place of a long one of equal ranks: one period where periods fill the ring, the ring itself where
/// they do not fill a small one, else some hundred periods around the place where they do not. It is advanced until the
/// pattern of times repeats, then multiplied out; the same ticks as run_plain. Needs can_fold. Nothing (no ticks) where
/// an unfilled period's pattern does not repeat before news of it has gone round the short ring.
Finish run_folded(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale);

/// The last step has no hop: adds every rank's work of that step to the times at which it starts.
void add_last_step(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale, Finish &finish);

} // namespace ringscale::simulator
