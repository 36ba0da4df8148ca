// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "simulator/engines.hpp"
#include "simulator/ring_costs.hpp"
#include "tests/simulator/draw.hpp"
#include "tests/simulator/example_machines.hpp"
#include "tests/simulator/random_links.hpp"

namespace ringscale::simulator {
namespace {

using problem::Mask;
using schedule::Placement;
using simulator_tests::add_nodes;
using simulator_tests::add_random_levels;
using simulator_tests::Draw;
using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

/// Nodes of eight with a fast link inside and a slow one between.
machine::Machine node_machine() {
  machine::Machine machine = simple_machine(1e-9, 1e-6, 2e8);
  add_nodes(machine, 8).bandwidth_bytes_per_s = number(2e9);
  return machine;
}

/// Up to three levels of links, the inner ones in groups that the outer ones hold a whole number of.
machine::Machine random_machine(Draw &draw) {
  machine::Machine machine = simple_machine(1e-9, 1e-6 * draw.between(0.0, 50.0), draw.between(1e8, 4e9));
  machine.overlap.hidden_fraction = number(draw.coin() ? 1.0 : draw.between(-0.5, 1.0));
  machine.step_fixed_s = number(draw.between(0.0, 9e-6));
  machine.merge.fused = draw.coin();
  machine.merge.fixed_s = number(draw.between(0.0, 1e-6));
  machine.links[0].sharing = number(draw.coin() ? 0.0 : draw.between(0.0, 0.5));
  add_random_levels(machine, draw, 8, 0.5);
  return machine;
}

Finish plain(const machine::Machine &machine, const SimulationOptions &options, int bits) {
  const RingCosts costs(machine, options);
  return run_plain(costs, options, TickScale::of(costs, options, bits));
}

Finish blocked(const machine::Machine &machine, const SimulationOptions &options, int threads, int bits = 20) {
  const RingCosts costs(machine, options);
  return run_blocked(costs, options, TickScale::of(costs, options, bits), threads);
}

struct BlockedCase {
  const char *name;
  Placement placement;
  Mask mask;
  std::int64_t ring_size;
  std::int64_t tokens_more;
  bool nodes;
  double spread;
  double jitter;
  double hidden;
};

class BlockedEngine : public testing::TestWithParam<BlockedCase> {};

TEST_P(BlockedEngine, EqualsThePlainLoopToTheLastBitOnAnyThreadCount) {
  const BlockedCase &param = GetParam();
  machine::Machine machine = param.nodes ? node_machine() : simple_machine(1e-9, 1e-6, 1e9);
  machine.overlap.hidden_fraction = number(param.hidden);
  machine.step_fixed_s = number(3e-6);
  SimulationOptions options = ring_options(param.ring_size, 64, param.mask, param.placement);
  options.problem.attention.tokens += param.tokens_more;
  options.speed_spread = param.spread;
  options.jitter = param.jitter;
  const Finish expected = plain(machine, options, 20);
  for (const int threads : {1, 2, 3}) {
    EXPECT_EQ(blocked(machine, options, threads).ticks, expected.ticks) << threads << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rings, BlockedEngine,
    testing::Values(BlockedCase{"even", Placement::contiguous, Mask::none, 4096, 0, false, 0.05, 0.02, 1.0},
                    BlockedCase{"smallest", Placement::contiguous, Mask::none, 1056, 0, false, 0.05, 0.02, 1.0},
                    BlockedCase{"odd_size", Placement::contiguous, Mask::none, 6001, 0, false, 0.05, 0.02, 1.0},
                    BlockedCase{"no_jitter", Placement::contiguous, Mask::none, 1100, 0, false, 0.3, 0.0, 1.0},
                    BlockedCase{"no_spread", Placement::contiguous, Mask::none, 1100, 0, false, 0.0, 0.2, 1.0},
                    BlockedCase{"exposed", Placement::contiguous, Mask::none, 1500, 0, false, 0.05, 0.02, 0.4},
                    BlockedCase{"nodes", Placement::contiguous, Mask::none, 1600, 0, true, 0.05, 0.02, 1.0},
                    BlockedCase{"nodes_exposed", Placement::zigzag, Mask::causal, 1601, 0, true, 0.05, 0.02, 0.7},
                    BlockedCase{"causal", Placement::contiguous, Mask::causal, 2100, 0, false, 0.05, 0.02, 1.0},
                    BlockedCase{"zigzag", Placement::zigzag, Mask::causal, 1300, 0, false, 0.05, 0.02, 1.0},
                    BlockedCase{"striped", Placement::striped, Mask::causal, 1300, 0, false, 0.05, 0.02, 1.0},
                    BlockedCase{"uneven", Placement::contiguous, Mask::none, 1200, 577, false, 0.05, 0.02, 1.0},
                    BlockedCase{"uneven_zigzag", Placement::zigzag, Mask::causal, 1200, 1777, false, 0.0, 0.02, 1.0},
                    BlockedCase{"replicated", Placement::replicated_queries, Mask::causal, 1060, 0, false, 0.05, 0.02,
                                1.0}),
    [](const auto &test) { return test.param.name; });

TEST(BlockedEngine, MoreThreadsThanARingHasWorkForGiveTheSame) {
  // A share of one rank or two a thread is narrower than any strip.
  const machine::Machine machine = node_machine();
  SimulationOptions options = ring_options(1601, 64, Mask::causal);
  options.speed_spread = 0.3;
  options.jitter = 0.2;
  const Finish expected = plain(machine, options, 20);
  for (const int threads : {12, 40}) {
    EXPECT_EQ(blocked(machine, options, threads).ticks, expected.ticks) << threads << " threads";
  }
}

TEST(BlockedEngine, TimesTooFarApartFor32BitsAreStillExact) {
  // Spread 1: some devices are fifty times slower than others, and a tick of 2^-28 of the slowest step leaves no room.
  const machine::Machine machine = simple_machine(1e-9, 1e-9, 1e12);
  SimulationOptions options = ring_options(1100, 64);
  options.speed_spread = 1.0;
  options.jitter = 0.02;
  EXPECT_EQ(blocked(machine, options, 2, 28).ticks, plain(machine, options, 28).ticks);
}

TEST(BlockedEngine, EqualsThePlainLoopToTheLastBitOnRandomMachines) {
  const Placement placements[] = {Placement::contiguous, Placement::zigzag, Placement::striped};
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Draw draw(seed, 0x626C6F63U);
    const machine::Machine machine = random_machine(draw);
    SimulationOptions options = ring_options(smallest_blocked_ring + draw.below(800), 2 + draw.below(400),
                                             draw.coin() ? Mask::none : Mask::causal, placements[draw.below(3)]);
    options.problem.attention.tokens += draw.coin() ? 0 : draw.below(options.problem.ring_size);
    options.speed_spread = draw.coin() ? 0.0 : draw.between(0.0, 0.5);
    options.jitter = draw.below(4) == 0 ? 0.0 : std::pow(10.0, draw.between(-4.0, -0.61));
    options.seed = seed;
    const int bits = static_cast<int>(16 + draw.below(5)); // amplitudes shifted either way, and not
    const int threads = static_cast<int>(1 + draw.below(3));
    ASSERT_EQ(blocked(machine, options, threads, bits).ticks, plain(machine, options, bits).ticks) << "seed " << seed;
  }
}

TEST(BlockedEngineControl, OneDeviceThatDiffersIsSeen) {
  // One token more on one device: another class of work, a tick or two in one vector's lane.
  const machine::Machine machine = simple_machine(1e-9, 1e-6, 1e9);
  SimulationOptions options = ring_options(1100, 4096);
  const std::vector<std::int64_t> even = plain(machine, options, 20).ticks;
  ASSERT_EQ(blocked(machine, options, 2).ticks, even);
  options.problem.attention.tokens += 1;
  EXPECT_NE(blocked(machine, options, 2).ticks, even);
}

TEST(BlockedEngine, AnotherSeedGivesOtherTimes) {
  const machine::Machine machine = simple_machine(1e-9, 1e-6, 1e9);
  SimulationOptions options = ring_options(1100, 64);
  options.jitter = 0.02;
  const Finish first = blocked(machine, options, 2);
  options.seed = 2;
  EXPECT_NE(first.ticks, blocked(machine, options, 2).ticks);
}

/// Where a folded run differs from the plain loop: the first rank whose ticks do, -1 for none.
std::int64_t first_difference(const Finish &folded, const std::vector<std::int64_t> &expected) {
  for (std::size_t rank = 0; rank < expected.size(); ++rank) {
    if (folded.ticks[rank % folded.ticks.size()] != expected[rank]) {
      return static_cast<std::int64_t>(rank);
    }
  }
  return -1;
}

TEST(FoldedEngine, EqualsThePlainLoopToTheLastBitForRandomRings) {
  int rings_in_periods = 0;
  int rings_with_an_unfilled_node = 0;
  int rings_that_repeat = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Draw draw(seed, 0x666F6C64U);
    const machine::Machine machine = random_machine(draw);
    const Placement placement = draw.coin() ? Placement::contiguous : Placement::zigzag;
    const Mask mask = placement == Placement::zigzag && draw.coin() ? Mask::causal : Mask::none;
    const SimulationOptions options = ring_options(1 + draw.below(512), 2 + 2 * draw.below(600), mask, placement);
    const RingCosts costs(machine, options);
    const TickScale scale = TickScale::of(costs, options, 40);
    if (!can_fold(costs, options)) {
      // Zigzag: a block from before is merged into twice the queries that one from after is.
      ASSERT_TRUE(mask == Mask::causal && !machine.merge.fused) << "seed " << seed;
      continue;
    }
    const std::vector<std::int64_t> expected = run_plain(costs, options, scale).ticks;
    const Finish folded = run_folded(costs, options, scale);
    ASSERT_FALSE(folded.ticks.empty()) << "seed " << seed;
    ASSERT_EQ(first_difference(folded, expected), -1) << "seed " << seed << " P=" << costs.ring_size();
    rings_in_periods += folded.ticks.size() < expected.size() ? 1 : 0;
    rings_with_an_unfilled_node += costs.ring_size() % costs.link_period() != 0 ? 1 : 0;
    rings_that_repeat +=
        folded.steps_computed < 0.9 * static_cast<double>(folded.ticks.size()) * static_cast<double>(costs.steps());
  }
  EXPECT_GT(rings_in_periods, 150);
  EXPECT_GT(rings_with_an_unfilled_node, 100);
  EXPECT_GT(rings_that_repeat, 300);
}

TEST(FoldedEngineControl, AFoldThatOverlooksTheNodesIsSeen) {
  // The same ring without its nodes folds to one device, and to other ticks.
  int seen = 0;
  for (const std::int64_t ring_size : {9, 24, 100, 511}) {
    const SimulationOptions options = ring_options(ring_size, 100);
    const RingCosts costs(node_machine(), options);
    const TickScale scale = TickScale::of(costs, options, 40);
    const std::vector<std::int64_t> expected = run_plain(costs, options, scale).ticks;
    EXPECT_EQ(first_difference(run_folded(costs, options, scale), expected), -1);
    machine::Machine flat = node_machine();
    flat.links.erase(flat.links.begin());
    seen += first_difference(run_folded(RingCosts(flat, options), options, scale), expected) >= 0 ? 1 : 0;
    Finish one_rank_off = run_folded(costs, options, scale);
    std::rotate(one_rank_off.ticks.begin(), one_rank_off.ticks.begin() + 1, one_rank_off.ticks.end());
    seen += first_difference(one_rank_off, expected) >= 0 ? 1 : 0;
  }
  EXPECT_GT(seen, 4);
}

TEST(FoldedEngine, AnUnfilledLastNodeFoldsToTheLastBitToo) {
  for (const std::int64_t ring_size : {8193, 8205, 9999}) {
    for (const std::int64_t chunk : {16, 200, 1400}) { // latency, bandwidth and compute bound
      const SimulationOptions options = ring_options(ring_size, chunk);
      const RingCosts costs(node_machine(), options);
      const TickScale scale = TickScale::of(costs, options, 40);
      ASSERT_TRUE(can_fold(costs, options));
      const Finish folded = run_folded(costs, options, scale);
      const Finish expected = run_plain(costs, options, scale);
      ASSERT_LT(folded.ticks.size(), expected.ticks.size());
      for (std::size_t entry = 0; entry < folded.ticks.size(); ++entry) {
        const auto rank = static_cast<std::size_t>(folded.rank_of(static_cast<std::int64_t>(entry)));
        ASSERT_EQ(folded.ticks[entry], expected.ticks[rank]) << "P=" << ring_size << " rank " << rank;
      }
      // Ranks left out are like those one period before the fold.
      const auto skipped = static_cast<std::size_t>(folded.fold_at + 8);
      EXPECT_EQ(expected.ticks[skipped], folded.ticks[static_cast<std::size_t>(folded.fold_at - 8)]);
    }
  }
}

TEST(FoldedEngine, RefusesRingsWhoseDevicesDiffer) {
  const auto folds = [](const machine::Machine &machine, const SimulationOptions &options) {
    const RingCosts costs(machine, options);
    return can_fold(costs, options);
  };
  const machine::Machine machine = simple_machine(1e-9, 1e-6, 1e9);
  EXPECT_TRUE(folds(machine, ring_options(64, 64)));
  SimulationOptions spread = ring_options(64, 64);
  spread.speed_spread = 0.01;
  EXPECT_FALSE(folds(machine, spread));
  EXPECT_FALSE(folds(machine, ring_options(64, 64, Mask::causal, Placement::contiguous)));
  EXPECT_FALSE(folds(machine, ring_options(64, 64, Mask::causal, Placement::striped)));
  EXPECT_TRUE(folds(machine, ring_options(64, 64, Mask::causal, Placement::zigzag)));
  // One device with a token more: another class of queries and of keys; with replicated queries of keys alone.
  for (const Placement placement : {Placement::contiguous, Placement::zigzag, Placement::replicated_queries}) {
    SimulationOptions uneven = ring_options(64, 64, Mask::none, placement);
    EXPECT_TRUE(folds(machine, uneven)) << schedule::name(placement);
    uneven.problem.attention.tokens += 1;
    EXPECT_FALSE(folds(machine, uneven)) << schedule::name(placement);
  }
  EXPECT_TRUE(folds(node_machine(), ring_options(60, 64))); // its last node is not full: only steps repeat
}

TEST(FoldedEngine, TheDocumentsOddRingFoldsAsWell) {
  const Simulation result = simulate(node_machine(), ring_options(244'140'625, 4096));
  EXPECT_EQ(result.engine, "folded");
  const Simulation even = simulate(node_machine(), ring_options(244'140'624, 4096));
  EXPECT_NEAR(result.time_s / even.time_s, 1.0, 1e-6);
}

TEST(FoldedEngine, AQuarterOfABillionDevicesAreAdvancedByMultiplication) {
  const machine::Machine machine = node_machine();
  const SimulationOptions options = ring_options(244'140'624, 4096);
  const Simulation result = simulate(machine, options);
  EXPECT_EQ(result.engine, "folded");
  EXPECT_LT(result.steps_computed, 1e6);
  // Eight devices to a node: the slow link sets the pace, 4096 x 2 x 64 floats at 2e8 bytes/s, plus its microsecond.
  const double hop_s = 1e-6 + (4096.0 * 2 * 64 * 4 + 64.0) / 2e8;
  const double steps = 244'140'624.0;
  EXPECT_NEAR(result.time_s / (steps * std::max(hop_s, 4096.0 * 4096.0 * 1e-9)), 1.0, 1e-6);
}

} // namespace
} // namespace ringscale::simulator
