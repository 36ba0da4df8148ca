// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "simulator/noise.hpp"
#include "simulator/tick_costs.hpp"

namespace ringscale::simulator {

/// The ring's max-plus recurrence, exactly the executor's loop. At the start of step s a device posts its receive and
/// its send, computes, and waits for both, so with T the time a device starts step s:
///
///   compute free   T[q] + work
///   block held     max(T[q-1], T[q]) + hop_in     the block is there and sent from T[q-1] on; the link is free since
///                                                 both waited for the last hop; the buffer is free from T[q] on
///   buffer passed  max(T[q], T[q+1]) + hop_out    its own block has left, so the buffer can take the next one
///
/// and the next T[q] is the latest of the three. What does not hide behind the longer of work and hop is part of all
/// three costs. Times and costs are in ticks.
template <class Tick> inline Tick next_start(Tick before, Tick own, Tick after, Tick work, Tick hop_in, Tick hop_out) {
  const Tick compute_free = own + work;
  const Tick block_held = std::max(before, own) + hop_in;
  const Tick buffer_passed = std::max(own, after) + hop_out;
  return std::max(compute_free, std::max(block_held, buffer_passed));
}

/// One step for cells [begin, end) of a row, in place and in plain C++; reads times[begin - 1 .. end].
template <class Tick>
void advance_cells(Tick *times, const StepRow<Tick> &row, const std::uint32_t *rank_keys, std::uint32_t group_key,
                   int step_in_group, std::int64_t begin, std::int64_t end) {
  Tick before = times[begin - 1];
  for (std::int64_t cell = begin; cell < end; ++cell) {
    Tick work = row.work[cell];
    if (row.amplitude != nullptr) {
      const std::int32_t noise = noise_of(mix_keys(rank_keys[cell], group_key), step_in_group);
      work += static_cast<Tick>((row.amplitude[cell] * noise) >> amplitude_shift);
    }
    const Tick own = times[cell];
    times[cell] = next_start(before, own, times[cell + 1], work, row.hop_in[cell], row.hop_out[cell]);
    before = own;
  }
}

/// The same for 32-bit ticks, sixteen cells at a time: begin and end are multiples of lane_count, pointers aligned or
/// not. `bits` keeps the mixed keys of a group of steps between its calls; `fresh` computes them.
void advance_lanes(std::int32_t *times, const StepRow<std::int32_t> &row, const std::uint32_t *rank_keys,
                   std::uint32_t group_key, int step_in_group, bool fresh, std::uint32_t *bits, std::int64_t begin,
                   std::int64_t end);

} // namespace ringscale::simulator
