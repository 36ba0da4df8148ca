// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "tests/simulator/example_machines.hpp"

namespace ringscale::simulator_tests {

/// One head of width 64, float32, a chunk a device: what closed forms are written in.
inline constexpr double pair_s = 1e-9;
inline constexpr std::int64_t chunk = 256;
inline constexpr double tile_s = pair_s * chunk * chunk;
inline constexpr double block_bytes = 2.0 * chunk * 64 * 4 + 64; // keys and values, and a header
inline constexpr double close = 1e-9;                            // rounding to ticks of 2^-40 of a step, over the steps

/// Hops take nothing.
inline machine::Machine free_network(double seconds_a_pair) { return simple_machine(seconds_a_pair, 0.0, 1e300); }

/// Nodes of `devices` with a hop of inside_s, and of outside_s between nodes, whatever its bytes.
inline machine::Machine node_machine(double seconds_a_pair, std::int64_t devices, double inside_s, double outside_s) {
  machine::Machine machine = simple_machine(seconds_a_pair, outside_s, 1e300);
  add_nodes(machine, devices).latency_s = number(inside_s);
  return machine;
}

} // namespace ringscale::simulator_tests
