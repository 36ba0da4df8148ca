// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "simulator/simulation.hpp"

namespace ringscale::simulator {

inline constexpr int finest_tick_bits = 40;

/// Bits of the longest step, as fine as the time of that many steps allows in 62 bits.
int fine_tick_bits(std::int64_t steps);

/// Time and percentiles over devices from when each finished; tick_s of `result` is set.
void summarise_finish(std::vector<std::int64_t> ticks, Simulation &result);

/// Everything that follows from the time, the machines and the problem: throughput, interval, memory, bound.
/// `empty_hop_s`: the slowest message if it had no bytes.
void complete(const machine::Fleet &fleet, const SimulationOptions &options, std::int64_t element_bytes,
              double empty_hop_s, Simulation &result);

} // namespace ringscale::simulator
