// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "machine/links.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::machine {
namespace {

using simulator_tests::number;

/// Nodes of 8, racks of 64, a fabric.
Machine three_levels() {
  Machine machine = simulator_tests::simple_machine(1e-9, 3e-6, 1e9);
  Link node = machine.links[0];
  node.level = Level::node;
  node.group_devices = 8;
  Link rack = node;
  rack.level = Level::rack;
  rack.group_devices = 64;
  machine.links.insert(machine.links.begin(), {node, rack});
  return machine;
}

TEST(Links, TheNearestSharedGroupIsUsed) {
  const Machine machine = three_levels();
  EXPECT_EQ(link_between(machine, 0, 7).level, Level::node);
  EXPECT_EQ(link_between(machine, 7, 8).level, Level::rack);
  EXPECT_EQ(link_between(machine, 63, 64).level, Level::fabric);
  EXPECT_EQ(link_between(machine, 127, 0).level, Level::fabric);
}

TEST(Links, ThePatternRepeatsWithTheLargestGroupInTheRing) {
  const Machine machine = three_levels();
  EXPECT_EQ(link_period(machine, 8), 1);
  EXPECT_EQ(link_period(machine, 64), 8);
  EXPECT_EQ(link_period(machine, 640), 64);
}

TEST(Links, FlowsAreTheHopsThatUseAGroupAtOnce) {
  const Machine machine = three_levels();
  EXPECT_EQ(concurrent_flows(machine, machine.links[0], 4), 4);
  EXPECT_EQ(concurrent_flows(machine, machine.links[0], 640), 8);
  EXPECT_EQ(concurrent_flows(machine, machine.links[1], 640), 8);  // eight nodes of a rack
  EXPECT_EQ(concurrent_flows(machine, machine.links[2], 640), 10); // ten racks
}

TEST(Links, MessageTimeIsLatencyOverheadAndSharedBandwidth) {
  Link link = three_levels().links[0];
  link.per_message_overhead_s = number(1e-6);
  link.sharing = number(0.5);
  EXPECT_DOUBLE_EQ(message_time(link, 1e6, crowd_factor(link, 1, {8, 1})), 3e-6 + 1e-6 + 1e-3);
  EXPECT_DOUBLE_EQ(message_time(link, 1e6, crowd_factor(link, 1, {8, 3})), 3e-6 + 1e-6 + 1e-3 * 2.0);
}

TEST(CoreSharing, DividesCoresAndCountsIdleRanksByTheirShare) {
  CoreSharing sharing;
  EXPECT_EQ(core_sharing_factor(sharing, 8, 8), 1.0); // no cores given: everyone has a processor
  sharing.cores = 2;
  sharing.neighbour_factor = number(1.2);
  sharing.idle_share = number(0.5);
  sharing.crowding = {{3, number(1.1)}, {5, number(1.3)}};
  EXPECT_DOUBLE_EQ(core_sharing_factor(sharing, 1, 1), 1.0);
  EXPECT_DOUBLE_EQ(core_sharing_factor(sharing, 2, 2), 1.2);
  EXPECT_DOUBLE_EQ(core_sharing_factor(sharing, 2, 1), 1.0);
  EXPECT_DOUBLE_EQ(core_sharing_factor(sharing, 3, 3), 1.2 * 2.0 * 1.1); // two of the three on one core
  EXPECT_DOUBLE_EQ(core_sharing_factor(sharing, 3, 2), 1.2 * (2.0 * 2.5 / 3.0) * 1.1);
  EXPECT_DOUBLE_EQ(core_sharing_factor(sharing, 4, 4), 1.2 * 2.0 * 1.2);
  EXPECT_DOUBLE_EQ(core_sharing_factor(sharing, 8, 8), 1.2 * 4.0 * 1.3);
  EXPECT_DOUBLE_EQ(core_sharing_factor(sharing, 4, 2), 1.2 * 1.5 * 1.2);
}

TEST(CoreSharing, ARankThatWaitsOnItsOwnCoreIsPartOfANeighbour) {
  CoreSharing sharing;
  sharing.cores = 4;
  sharing.neighbour_factor = number(1.3);
  EXPECT_DOUBLE_EQ(core_sharing_factor(sharing, 4, 2), 1.0 + 0.3 * (2.0 - 1.0) / 3.0);
  sharing.spin_share = number(0.5);
  EXPECT_DOUBLE_EQ(core_sharing_factor(sharing, 4, 2), 1.0 + 0.3 * (2.0 + 0.5 * 2.0 - 1.0) / 3.0);
  sharing.spin_share = number(1.0);
  EXPECT_DOUBLE_EQ(core_sharing_factor(sharing, 4, 2), 1.3);
  EXPECT_DOUBLE_EQ(core_sharing_factor(sharing, 4, 4), 1.3); // nobody waits
  EXPECT_DOUBLE_EQ(core_sharing_factor(sharing, 1, 1), 1.0);
}

} // namespace
} // namespace ringscale::machine
