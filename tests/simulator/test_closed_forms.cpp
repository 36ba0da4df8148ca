// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "simulator/simulation.hpp"
#include "tests/simulator/closed_form_machines.hpp"

namespace ringscale::simulator {
namespace {

using problem::Mask;
using schedule::Placement;
using simulator_tests::block_bytes;
using simulator_tests::chunk;
using simulator_tests::close;
using simulator_tests::free_network;
using simulator_tests::node_machine;
using simulator_tests::number;
using simulator_tests::pair_s;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;
using simulator_tests::tile_s;

double time_of(const machine::Machine &machine, const SimulationOptions &options) {
  return simulate(machine, options).time_s;
}

TEST(ClosedForm, OneDeviceTakesItsTile) {
  // P = 1: one step, no hop. T = tile, whatever the link.
  EXPECT_NEAR(time_of(simple_machine(pair_s, 1.0, 1.0), ring_options(1, chunk)), tile_s, close * tile_s);
}

TEST(ClosedForm, AFreeNetworkTakesPTiles) {
  // Latency 0, bandwidth without limit: hop = 0, so T[s+1] = T[s] + tile, and T = P tile.
  for (const std::int64_t ring_size : {2, 3, 8, 100}) {
    const double expected = static_cast<double>(ring_size) * tile_s;
    EXPECT_NEAR(time_of(free_network(pair_s), ring_options(ring_size, chunk)), expected, close * expected);
  }
}

TEST(ClosedForm, ComputeBoundHidesEveryHop) {
  // hop < tile: each of the P - 1 steps with a hop takes the tile, the last one too. T = P tile.
  const double hop_s = 0.9 * tile_s;
  const double expected = 16 * tile_s;
  EXPECT_NEAR(time_of(simple_machine(pair_s, hop_s, 1e300), ring_options(16, chunk)), expected, close * expected);
}

TEST(ClosedForm, CommunicationBoundTakesAllHopsAndOneTile) {
  // hop > tile: P - 1 steps of one hop, then the last tile. T = (P - 1) (latency + bytes / bandwidth) + tile.
  const double latency_s = 3e-6;
  const double bandwidth = 1e8;
  const double hop_s = latency_s + block_bytes / bandwidth;
  ASSERT_GT(hop_s, tile_s);
  for (const std::int64_t ring_size : {2, 5, 64}) {
    const double expected = static_cast<double>(ring_size - 1) * hop_s + tile_s;
    EXPECT_NEAR(time_of(simple_machine(pair_s, latency_s, bandwidth), ring_options(ring_size, chunk)), expected,
                close * expected);
  }
}

TEST(ClosedForm, NothingHiddenAddsHopAndTile) {
  // hidden fraction 0: each step with a hop takes max + min = tile + hop. T = (P - 1)(tile + hop) + tile.
  for (const double hop_s : {0.3 * tile_s, 2.5 * tile_s}) {
    machine::Machine machine = simple_machine(pair_s, hop_s, 1e300);
    machine.overlap.hidden_fraction = number(0.0);
    const double expected = 9 * (tile_s + hop_s) + tile_s;
    EXPECT_NEAR(time_of(machine, ring_options(10, chunk)), expected, close * expected);
  }
}

TEST(ClosedForm, HalfHiddenAddsHalfTheShorterOne) {
  // T = (P - 1)(max + min / 2) + tile.
  const double hop_s = 0.4 * tile_s;
  machine::Machine machine = simple_machine(pair_s, hop_s, 1e300);
  machine.overlap.hidden_fraction = number(0.5);
  const double expected = 9 * (tile_s + 0.5 * hop_s) + tile_s;
  EXPECT_NEAR(time_of(machine, ring_options(10, chunk)), expected, close * expected);
}

TEST(ClosedForm, MergeAndFixedTermsAreAddedToEveryStep) {
  // Not fused: every step but the first merges chunk rows of head_dim + 1 elements. T = P (tile + fixed) + (P-1) merge.
  machine::Machine machine = free_network(pair_s);
  machine.merge.fused = false;
  machine.merge.fixed_s = number(2e-6);
  machine.merge.per_element_s = number(1e-10);
  machine.step_fixed_s = number(5e-6);
  const double merge_s = 2e-6 + 1e-10 * chunk * 65;
  const double expected = 6 * (tile_s + 5e-6) + 5 * merge_s;
  const Simulation result = simulate(machine, ring_options(6, chunk));
  EXPECT_NEAR(result.time_s, expected, close * expected);
  EXPECT_NEAR(result.slowest.merge_s, 5 * merge_s, close * expected);
  EXPECT_NEAR(result.slowest.fixed_s, 6 * 5e-6, close * expected);
}

TEST(ClosedForm, NaiveCausalContiguousEfficiencyIsPOverTwoPMinusOne) {
  // Chunks of c tokens, free network. The diagonal tile costs c (c + 1) / 2 pairs, half of c^2 but for the diagonal
  // itself. The last rank meets it and P - 1 full tiles: T = c^2 (P - 1) + c (c + 1) / 2. All ranks together do
  // Pc (Pc + 1) / 2 pairs, Pc (Pc + 1) / 2P each on average. Average / longest -> P / (2P - 1) as c grows.
  const double c = 4096;
  for (const std::int64_t ring_size : {2, 4, 8, 256}) {
    const auto ranks = static_cast<double>(ring_size);
    const Simulation result = simulate(free_network(pair_s), ring_options(ring_size, 4096, Mask::causal));
    const double longest = c * c * (ranks - 1.0) + c * (c + 1.0) / 2.0;
    const double average = c * (ranks * c + 1.0) / 2.0;
    EXPECT_NEAR(result.time_s, pair_s * longest, close * pair_s * longest);
    EXPECT_NEAR(result.efficiency, average / longest, 1e-8);
    EXPECT_NEAR(result.efficiency, ranks / (2.0 * ranks - 1.0), 1.0 / c);
  }
}

TEST(ClosedForm, ZigzagAndStripedBalanceTheCausalMask) {
  // Zigzag: the diagonal step takes 2 h (h + 1) / 2 + h^2 pairs for halves of h = c / 2, every later one 2 h^2.
  const double h = 2048;
  const double ranks = 8;
  const double zigzag = 2.0 * h * (h + 1.0) / 2.0 + h * h + (ranks - 1.0) * 2.0 * h * h;
  const machine::Machine machine = free_network(pair_s);
  EXPECT_NEAR(time_of(machine, ring_options(8, 4096, Mask::causal, Placement::zigzag)), pair_s * zigzag,
              close * pair_s * zigzag);
  // Striped: the last rank always meets triangles with their diagonal, c (c + 1) / 2 pairs in each of P steps.
  const double striped = ranks * 4096.0 * 4097.0 / 2.0;
  EXPECT_NEAR(time_of(machine, ring_options(8, 4096, Mask::causal, Placement::striped)), pair_s * striped,
              close * pair_s * striped);
}

TEST(ClosedForm, ReplicatedQueriesGiveNoSpeedUp) {
  // Every rank computes all T^2 pairs: P steps of T x T / P pairs. T does not fall with P.
  const machine::Machine machine = free_network(pair_s);
  const double expected = pair_s * 4096.0 * 4096.0;
  for (const std::int64_t ring_size : {1, 4, 16}) {
    EXPECT_NEAR(time_of(machine, ring_options(ring_size, 4096 / ring_size, Mask::none, Placement::replicated_queries)),
                expected, close * expected);
  }
}

TEST(ClosedForm, LocalOnlyTakesOneTile) {
  SimulationOptions options = ring_options(64, chunk);
  options.problem.schedule = schedule::Schedule::local_only;
  const Simulation result = simulate(simple_machine(pair_s, 1e-3, 1e6), options);
  EXPECT_NEAR(result.time_s, tile_s, close * tile_s);
  EXPECT_EQ(result.hops, 0.0);
}

TEST(ClosedForm, OneSlowDeviceSetsThePaceOfTheRing) {
  // Speeds are random; without jitter and with a free network the slowest device alone decides: T = P tile x factor.
  SimulationOptions options = ring_options(200, chunk);
  options.speed_spread = 0.1;
  const Simulation result = simulate(free_network(pair_s), options);
  EXPECT_NEAR(result.time_s, result.slowest.compute_s, close * result.time_s);
  EXPECT_GT(result.time_s, 1.15 * 200 * tile_s);
}

TEST(ClosedForm, SharedCoresMultiplyComputeTime) {
  // Four ranks on two cores, all busy: compute takes 4 / 2 as long.
  machine::Machine machine = free_network(pair_s);
  machine.core_sharing.cores = 2;
  machine.core_sharing.neighbour_factor = number(1.0);
  machine.core_sharing.idle_share = number(0.0);
  machine.core_sharing.extra_step_s = number(0.0);
  SimulationOptions options = ring_options(4, chunk);
  const double alone = time_of(machine, options);
  options.ranks_on_node = 4;
  EXPECT_NEAR(time_of(machine, options), 2.0 * alone, close * alone);
  // Causal and contiguous, waiting ranks asleep: in step s only 4 - s ranks compute, so the cores suffice from step 2.
  options = ring_options(4, 4096, Mask::causal);
  options.ranks_on_node = 4;
  const double c = 4096;
  const double diagonal = c * (c + 1.0) / 2.0;
  const double expected = pair_s * (2.0 * diagonal + 1.5 * c * c + c * c + c * c);
  EXPECT_NEAR(time_of(machine, options), expected, 1e-6 * expected);
}

TEST(ClosedForm, TheSlowestLevelOfLinksSetsThePace) {
  // Nodes of 4, racks of 8, a fabric; one level takes h > tile, the others less than a tile. The device behind a hop of
  // that level starts step s at s h, and nobody later. T = (P - 1) h + tile, in either engine.
  const double fast_s = 0.1 * tile_s;
  const double slow_s = 3.0 * tile_s;
  machine::Machine machine = node_machine(pair_s, 4, fast_s, fast_s);
  machine::Link rack = machine.links.front();
  rack.level = machine::Level::rack;
  rack.group_devices = 8;
  machine.links.insert(machine.links.begin() + 1, rack);
  for (machine::Link &link : machine.links) {
    link.latency_s = number(slow_s);
    for (const Engine engine : {Engine::plain, Engine::plan}) {
      SimulationOptions options = ring_options(32, chunk);
      options.engine = engine;
      const double expected = 31 * slow_s + tile_s;
      EXPECT_NEAR(time_of(machine, options), expected, close * expected) << machine::name(link.level);
    }
    link.latency_s = number(fast_s);
  }
}

TEST(Breakdown, PartsAddUpToTheTotal) {
  machine::Machine machine = simple_machine(pair_s, 2e-6, 3e8);
  machine.overlap.hidden_fraction = number(0.6);
  machine.merge.fused = false;
  machine.merge.per_element_s = number(1e-11);
  machine.step_fixed_s = number(4e-6);
  for (const Placement placement : {Placement::contiguous, Placement::zigzag, Placement::striped}) {
    for (const double jitter : {0.0, 0.05}) {
      SimulationOptions options = ring_options(1200, chunk, Mask::causal, placement);
      options.jitter = jitter;
      options.speed_spread = 2.0 * jitter;
      const Simulation result = simulate(machine, options);
      const Breakdown &part = result.slowest;
      EXPECT_NEAR(part.compute_s + part.merge_s + part.fixed_s + part.exposed_communication_s + part.waiting_s,
                  result.time_s, close * result.time_s);
      for (const double seconds :
           {part.compute_s, part.merge_s, part.fixed_s, part.exposed_communication_s, part.waiting_s}) {
        EXPECT_GE(seconds, -1e-6 * result.time_s);
      }
      EXPECT_LE(result.finish.p0_s, result.finish.p50_s);
      EXPECT_LE(result.finish.p50_s, result.finish.p100_s);
      EXPECT_EQ(result.finish.p100_s, result.time_s);
    }
  }
}

} // namespace
} // namespace ringscale::simulator
