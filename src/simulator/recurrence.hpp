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
inline std::int64_t next_start(std::int64_t before, std::int64_t own, std::int64_t after, std::int64_t work,
                               std::int64_t hop_in, std::int64_t hop_out) {
  const std::int64_t compute_free = own + work;
  const std::int64_t block_held = std::max(before, own) + hop_in;
  const std::int64_t buffer_passed = std::max(own, after) + hop_out;
  return std::max(compute_free, std::max(block_held, buffer_passed));
}

/// `step` for ranks [begin, end) of a row, in place; reads times[begin - 1 .. end]. `step_key`: TickCosts::step_key.
inline void advance_row(std::int64_t *times, const StepRow &row, const std::uint32_t *rank_keys, std::uint32_t step_key,
                        std::int64_t step, std::int64_t begin, std::int64_t end) {
  const auto step_in_group = static_cast<int>(step % steps_per_noise_group);
  std::int64_t before = times[begin - 1];
  for (std::int64_t rank = begin; rank < end; ++rank) {
    std::int64_t work = row.work[rank];
    if (row.measured != nullptr) {
      const std::uint32_t uniform = half_of(mix_keys(rank_keys[rank], step_key), step);
      work += row.measured->ticks(row.measured->table(rank), uniform, row.amplitude[rank], row.single_precision);
    } else if (row.amplitude != nullptr) {
      const std::int32_t noise = noise_of(mix_keys(rank_keys[rank], step_key), step_in_group);
      work += shifted(row.amplitude[rank] * noise, row.jitter_exponent);
    }
    const std::int64_t own = times[rank];
    times[rank] = next_start(before, own, times[rank + 1], work, row.hop_in[rank], row.hop_out[rank]);
    before = own;
  }
}

} // namespace ringscale::simulator
