// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "machine/machine.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::simulator_tests {

inline machine::Number number(double value) { return {value, "analytic", "chosen for a test"}; }

/// A machine whose tile takes exactly pair_s per query-key pair and head, whose hop takes exactly
/// latency_s + bytes / bandwidth, and that hides everything and adds nothing else.
inline machine::Machine simple_machine(double pair_s, double latency_s, double bandwidth_bytes_per_s) {
  machine::Machine machine;
  machine.name = "simple";
  machine.kind = "published";
  machine.device.memory_bytes = number(80e9);
  machine.device.peak_flop_per_s = number(1.0e15);
  machine::Arithmetic arithmetic;
  arithmetic.dtype = "float32";
  arithmetic.element_bytes = 4;
  arithmetic.peak_flop_per_s = number(1.0e30); // the exponential term alone sets the time
  arithmetic.efficiency = number(1.0);
  machine.roofline.arithmetic = {arithmetic};
  machine.roofline.memory_bandwidth_bytes_per_s = number(1.0e30);
  machine.roofline.exponentials_per_s = number(1.0 / pair_s);
  machine.roofline.launch_s = number(0.0);
  machine.merge.fused = true;
  machine.merge.fixed_s = number(0.0);
  machine.merge.per_element_s = number(0.0);
  machine.step_fixed_s = number(0.0);
  machine::Link link;
  link.level = machine::Level::fabric;
  link.latency_s = number(latency_s);
  link.per_message_overhead_s = number(0.0);
  link.bandwidth_bytes_per_s = number(bandwidth_bytes_per_s);
  link.sharing = number(0.0);
  machine.links = {link};
  machine.overlap.hidden_fraction = number(1.0);
  machine.jitter.relative_standard_deviation = number(0.0);
  return machine;
}

/// Puts nodes of `devices` below the links there are; their link is the innermost one until the caller changes it.
inline machine::Link &add_nodes(machine::Machine &machine, std::int64_t devices) {
  machine::Link inside = machine.links.front();
  inside.level = machine::Level::node;
  inside.group_devices = devices;
  return *machine.links.insert(machine.links.begin(), inside);
}

/// Ring of `ring_size` devices with `chunk` tokens each, one head of width 64.
inline simulator::SimulationOptions ring_options(std::int64_t ring_size, std::int64_t chunk,
                                                 problem::Mask mask = problem::Mask::none,
                                                 schedule::Placement placement = schedule::Placement::contiguous) {
  simulator::SimulationOptions options;
  options.problem.attention.tokens = ring_size * chunk;
  options.problem.attention.query_heads = 1;
  options.problem.attention.kv_heads = 1;
  options.problem.attention.mask = mask;
  options.problem.placement = placement;
  options.problem.ring_size = ring_size;
  options.threads = 2;
  return options;
}

} // namespace ringscale::simulator_tests
