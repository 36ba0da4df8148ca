// SPDX-License-Identifier: Apache-2.0
// Rings on networks that SimGrid itself describes and routes: messages are bytes, and latency, routes and sharing are
// SMPI's own. So a machine file's levels, latencies, bandwidths and flows are compared with a network model that nobody
// here wrote, not only the order of messages.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <string>

#include "simulator/simulation.hpp"
#include "tests/oracle/fat_tree.hpp"
#include "tests/oracle/smpi_replay.hpp"
#include "tests/simulator/draw.hpp"

namespace ringscale::simulator {
namespace {

using oracle_tests::FatTree;
using oracle_tests::machine_of;
using oracle_tests::platform_of;
using oracle_tests::platform_of_nodes;
using oracle_tests::replayed_on_platform_s;
using simulator_tests::Draw;
using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

constexpr std::uint64_t tree_stream = 0x74726565U;
constexpr double agreement = 1e-4;

/// A ring whose blocks stop after `hops` hops: a local window of so many chunks.
SimulationOptions windowed(std::int64_t ring_size, std::int64_t chunk, std::int64_t hops) {
  SimulationOptions options = ring_options(ring_size, chunk, problem::Mask::causal);
  options.problem.pattern.kind = problem::PatternKind::block_sparse;
  options.problem.pattern.block_sparse.window_tokens = hops * chunk;
  options.problem.hops = schedule::Hops::needed;
  return options;
}

double relative_difference(const machine::Machine &machine, const SimulationOptions &options,
                           const std::string &platform) {
  const double expected_s = replayed_on_platform_s(machine, options, platform);
  EXPECT_GT(expected_s, 0.0) << "the replay failed";
  return simulate(machine, options).time_s / expected_s - 1.0;
}

FatTree random_tree(Draw &draw) {
  FatTree tree;
  const bool three = draw.coin();
  tree.down = {2 + draw.below(7), 2 + draw.below(three ? 3 : 8)};
  tree.up = {1, 1 + draw.below(2)};
  if (three) {
    tree.down.push_back(2 + draw.below(3));
    tree.up.push_back(1 + draw.below(2));
  }
  tree.bandwidth_bytes_per_s = draw.between(2e6, 4e7);
  tree.latency_s = draw.between(1e-5, 2e-3);
  return tree;
}

TEST(SmpiNetworks, RingsOnRandomFatTreesAgree) {
  double worst = 0.0;
  std::int64_t largest = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Draw draw(seed, tree_stream);
    const FatTree tree = random_tree(draw);
    const std::int64_t ring_size = tree.hosts();
    SimulationOptions options =
        ring_options(ring_size, 64, draw.coin() ? problem::Mask::none : problem::Mask::causal,
                     draw.coin() ? schedule::Placement::contiguous : schedule::Placement::zigzag);
    options.speed_spread = draw.coin() ? 0.0 : 0.1;
    options.jitter = draw.coin() ? 0.0 : 0.05;
    const double difference = relative_difference(machine_of(tree, 1e-6), options, platform_of(tree));
    ASSERT_TRUE(std::abs(difference) <= agreement) << "seed " << seed << ", P = " << ring_size << ": " << difference;
    worst = std::max(worst, std::abs(difference));
    largest = std::max(largest, ring_size);
  }
  std::cout << "fat trees: 40, up to P = " << largest << ", largest relative difference " << worst << "\n";
}

TEST(SmpiNetworks, AFullRingOf256OnAFatTreeAgrees) {
  const FatTree tree{{16, 16}, {1, 4}, 2e7, 1e-4};
  EXPECT_TRUE(std::abs(relative_difference(machine_of(tree, 1e-6), ring_options(256, 64), platform_of(tree))) <=
              agreement);
}

TEST(SmpiNetworks, FourThousandRanksOnAFatTreeAgree) {
  const FatTree tree{{16, 16, 16}, {1, 4, 4}, 2e7, 1e-4};
  const SimulationOptions options = windowed(tree.hosts(), 64, 4);
  EXPECT_TRUE(std::abs(relative_difference(machine_of(tree, 1e-6), options, platform_of(tree))) <= agreement);
}

TEST(SmpiNetworks, DoubleRingsOfNodesWithOneSharedCardAgree) {
  // All devices of a node send to the next node at once and each gets its share of the card.
  double worst = 0.0;
  for (std::uint64_t seed = 100; seed < 120; ++seed) {
    Draw draw(seed, tree_stream);
    const std::int64_t node_devices = 2 + draw.below(7);
    const std::int64_t nodes = 2 + draw.below(5);
    const double inside_latency_s = draw.between(1e-6, 1e-4);
    const double card_latency_s = draw.between(1e-5, 1e-3);
    const double card_bytes_per_s = draw.between(1e6, 4e7);
    machine::Machine machine = simple_machine(1e-6, card_latency_s, card_bytes_per_s);
    machine.links.front().devices_per_card = node_devices;
    machine::Link inside = machine.links.front();
    inside.level = machine::Level::node;
    inside.group_devices = node_devices;
    inside.latency_s.value = inside_latency_s;
    inside.bandwidth_bytes_per_s.value = 8.0 * card_bytes_per_s;
    inside.devices_per_card = 0;
    machine.links.insert(machine.links.begin(), inside);
    SimulationOptions options = ring_options(nodes * node_devices, 64);
    options.problem.schedule = schedule::Schedule::double_ring;
    options.problem.inner_ring_size = node_devices;
    const std::string platform = platform_of_nodes(nodes, node_devices, inside.bandwidth_bytes_per_s.value,
                                                   inside_latency_s, card_bytes_per_s, card_latency_s);
    const double difference = relative_difference(machine, options, platform);
    ASSERT_TRUE(std::abs(difference) <= agreement)
        << "seed " << seed << ", " << nodes << " nodes of " << node_devices << ", card " << card_bytes_per_s
        << " bytes/s, " << card_latency_s << " s: " << difference;
    worst = std::max(worst, std::abs(difference));
  }
  std::cout << "double rings on shared cards: 20, largest relative difference " << worst << "\n";
}

TEST(SmpiNetworksControl, AWrongLevelLatencyOrSharingIsSeen) {
  const FatTree tree{{4, 4}, {1, 2}, 2e7, 2e-3};
  const SimulationOptions options = ring_options(16, 64);
  const std::string platform = platform_of(tree);
  machine::Machine wrong = machine_of(tree, 1e-6);
  wrong.links.front().group_devices = 8;
  wrong.links.back().latency_s.value /= 2.0;
  EXPECT_GT(std::abs(relative_difference(wrong, options, platform)), 10 * agreement);
  wrong = machine_of(tree, 1e-6);
  wrong.links.back().bandwidth_bytes_per_s.value /= 2.0;
  EXPECT_GT(std::abs(relative_difference(wrong, options, platform)), 10 * agreement);
  // A node's card that is not shared in the machine file, but is in the network.
  machine::Machine unshared = simple_machine(1e-7, 1e-4, 1e6);
  machine::Link inside = unshared.links.front();
  inside.level = machine::Level::node;
  inside.group_devices = 4;
  inside.bandwidth_bytes_per_s.value *= 8.0;
  unshared.links.insert(unshared.links.begin(), inside);
  SimulationOptions nodes = ring_options(12, 64);
  nodes.problem.schedule = schedule::Schedule::double_ring;
  nodes.problem.inner_ring_size = 4;
  EXPECT_GT(std::abs(relative_difference(unshared, nodes, platform_of_nodes(3, 4, 8e6, 1e-4, 1e6, 1e-4))),
            10 * agreement);
}

} // namespace
} // namespace ringscale::simulator
