// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "machine/machine.hpp"
#include "tests/simulator/draw.hpp"

namespace ringscale::simulator_tests {

/// Adds no, one or two levels of groups below the outermost link: each of 2 to `most_members` of the groups below it,
/// its bandwidth `least_speedup` to 20 times that of the outermost.
inline void add_random_levels(machine::Machine &machine, Draw &draw, std::int64_t most_members, double least_speedup) {
  const machine::Level levels[] = {machine::Level::node, machine::Level::rack};
  std::int64_t group = 1;
  for (std::int64_t level = 0; level < draw.below(3); ++level) {
    machine::Link inside = machine.links.back();
    inside.level = levels[level];
    group *= 2 + draw.below(most_members - 1);
    inside.group_devices = group;
    inside.bandwidth_bytes_per_s.value *= draw.between(least_speedup, 20.0);
    machine.links.insert(machine.links.end() - 1, inside);
  }
}

} // namespace ringscale::simulator_tests
