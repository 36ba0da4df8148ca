// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sizing/configuration.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::sizing::testing {

/// Nodes of four devices with `memory_bytes` each, a tile of pair_s a pair, hops of latency and bandwidth: ten times
/// slower between nodes.
inline machine::Machine small_machine(double memory_bytes, double pair_s = 1e-9, double latency_s = 1e-6,
                                      double bandwidth_bytes_per_s = 1e9) {
  machine::Machine machine = simulator_tests::simple_machine(pair_s, 10.0 * latency_s, bandwidth_bytes_per_s / 10.0);
  machine.device.memory_bytes = simulator_tests::number(memory_bytes);
  machine::Link node = machine.links.front();
  node.level = machine::Level::node;
  node.group_devices = 4;
  node.latency_s = simulator_tests::number(latency_s);
  node.bandwidth_bytes_per_s = simulator_tests::number(bandwidth_bytes_per_s);
  machine.links.insert(machine.links.begin(), node);
  machine::Arithmetic narrow = machine.roofline.arithmetic.front();
  narrow.dtype = "bfloat16";
  narrow.element_bytes = 2;
  machine.roofline.arithmetic.push_back(narrow);
  return machine;
}

/// Two query heads on one key/value head of width 8.
inline Workload small_workload(const machine::Machine &machine, std::int64_t batch = 1,
                               std::vector<schedule::Pass> passes = {schedule::Pass::forward}) {
  Workload workload;
  workload.attention.batch = batch;
  workload.attention.query_heads = 2;
  workload.attention.kv_heads = 1;
  workload.attention.head_dim = 8;
  workload.passes = std::move(passes);
  adopt_machine(machine, workload);
  return workload;
}

/// Every ring of up to `most_ranks` ranks that these allow, in every schedule.
inline std::vector<Configuration> all_rings(const machine::Machine &machine, std::int64_t most_ranks,
                                            std::int64_t rings = 1) {
  std::vector<Configuration> found;
  for (std::int64_t ranks = 1; ranks <= most_ranks; ++ranks) {
    const std::vector<Configuration> of_ring = configurations_of_ring(machine, Allowed(), ranks, rings);
    found.insert(found.end(), of_ring.begin(), of_ring.end());
  }
  return found;
}

inline const std::vector<std::vector<schedule::Pass>> all_passes{
    {schedule::Pass::forward}, {schedule::Pass::backward}, {schedule::Pass::forward, schedule::Pass::backward}};

} // namespace ringscale::sizing::testing
