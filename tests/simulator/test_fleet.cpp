// SPDX-License-Identifier: Apache-2.0
// Devices that differ: types, stragglers, measured jitter, faster tiles. The algebra stands beside each.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "schedule/placement.hpp"
#include "simulator/chunk_balance.hpp"
#include "simulator/device_time.hpp"
#include "simulator/measured_jitter.hpp"
#include "simulator/plan_costs.hpp"
#include "simulator/simulation.hpp"
#include "tests/report/expect_invalid.hpp"
#include "tests/simulator/closed_form_machines.hpp"
#include "tests/simulator/draw.hpp"

namespace ringscale::simulator {
namespace {

using machine::DeviceGroup;
using machine::Fleet;
using problem::Mask;
using schedule::Placement;
using schedule::Schedule;
using simulator_tests::chunk;
using simulator_tests::close;
using simulator_tests::Draw;
using simulator_tests::free_network;
using simulator_tests::node_machine;
using simulator_tests::number;
using simulator_tests::pair_s;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;
using simulator_tests::tile_s;

TEST(Fleet, TwoGroupsOfOneTypeAreOneGroup) {
  machine::Machine machine = simple_machine(pair_s, 3e-6, 1e9);
  machine.overlap.hidden_fraction = number(0.7);
  machine.merge.fused = false;
  machine.merge.per_element_s = number(1e-11);
  machine.step_fixed_s = number(1e-6);
  for (const Schedule schedule : {Schedule::ring, Schedule::bidirectional_ring, Schedule::all_gather}) {
    SimulationOptions options = ring_options(12, chunk, Mask::causal, Placement::zigzag);
    options.problem.schedule = schedule;
    options.speed_spread = 0.1;
    options.engine = Engine::plan;
    const Simulation one = simulate(machine, options);
    const Simulation two = simulate(Fleet({{machine, 5}, {machine, 7}}), options);
    EXPECT_EQ(one.time_s, two.time_s);
    EXPECT_EQ(one.finish.p25_s, two.finish.p25_s);
    EXPECT_EQ(one.memory_peak_bytes, two.memory_peak_bytes);
    ASSERT_EQ(two.memory_types.size(), 2U);
  }
}

TEST(Fleet, TheSlowestTypeSetsThePace) {
  // Free network, even chunks: T = P tiles of the slowest type.
  const Fleet fleet({{free_network(pair_s), 6}, {free_network(3.0 * pair_s), 2}});
  const double expected = 8 * 3.0 * tile_s;
  EXPECT_NEAR(simulate(fleet, ring_options(8, chunk)).time_s, expected, close * expected);
}

TEST(Fleet, ChunksInProportionToSpeedTakeEquallyLong) {
  // Three devices twice as fast as two others, tokens in proportion: 2 n and n of T = 8 n. A fast one computes 2 n T
  // pairs at p, a slow one n T pairs at 2 p: both 2 n T p. Even chunks of 1.6 n take 1.6 n T 2 p.
  const std::int64_t n = 320;
  SimulationOptions options = ring_options(5, 8 * n / 5);
  const Fleet fleet({{free_network(pair_s), 3}, {free_network(2.0 * pair_s), 2}});
  const double balanced = 2.0 * n * 8.0 * n * pair_s;
  EXPECT_NEAR(simulate(fleet, options).time_s, 1.6 * balanced, close * balanced);
  const std::vector<double> weights = chunk_weights_by_speed(fleet, options);
  EXPECT_EQ(weights, (std::vector<double>{1.0, 1.0, 1.0, 0.5, 0.5}));
  options.problem.chunks = schedule::weighted_chunks(weights, 1);
  // Chunks are whole tokens and proportional to within one: a slow device with one more takes T pairs at 2 p longer.
  EXPECT_NEAR(simulate(fleet, options).time_s, balanced, 1.001 * 8.0 * n * 2.0 * pair_s);
  // Listed speeds multiply.
  options.device_speeds = {1, 1, 1, 2, 2};
  EXPECT_EQ(chunk_weights_by_speed(fleet, options), std::vector<double>(5, 1.0));
}

TEST(Fleet, UnlikeNeighboursUseTheSlowerOfBothFarthestLinks) {
  // Four devices of a node each. Hops inside are short; the two hops between the types take max(a, b), and everybody
  // waits for them: T = (P - 1) max(a, b) + tile.
  for (const auto &[a_s, b_s] : {std::pair{5e-5, 2e-5}, std::pair{1e-5, 9e-5}}) {
    const Fleet fleet({{node_machine(1e-15, 4, 1e-6, a_s), 4}, {node_machine(1e-15, 4, 2e-6, b_s), 4}});
    const double expected = 7 * std::max(a_s, b_s);
    EXPECT_NEAR(simulate(fleet, ring_options(8, chunk)).time_s, expected, 1e-4 * expected);
  }
  // Ranks of a type count their nodes from their own first rank: 4..7 are a node although 4 / 4 == 1 is not 0.
  const Fleet shifted({{node_machine(1e-15, 4, 1e-6, 1e-5), 3}, {node_machine(1e-15, 4, 2e-6, 1e-5), 4}});
  SimulationOptions options = ring_options(7, chunk);
  const PlanCosts costs(shifted, options);
  EXPECT_NEAR(costs.message_s({3, 4, 3}), 2e-6, 1e-12);
  EXPECT_NEAR(costs.message_s({5, 6, 5}), 2e-6, 1e-12);
  EXPECT_NEAR(costs.message_s({2, 3, 2}), 1e-5, 1e-12);
}

TEST(Fleet, ALinkIsSharedByTheDevicesThatAreThere) {
  // Two devices of a type in a node that has room for eight, on a bus that its flows divide: two of them, not eight.
  machine::Machine bus = node_machine(1e-15, 8, 0.0, 1e-5);
  bus.links[0].bandwidth_bytes_per_s = number(1e9);
  bus.links[0].sharing = number(1.0);
  const Fleet fleet({{bus, 2}, {node_machine(1e-15, 8, 1e-6, 1e-5), 6}});
  SimulationOptions options = ring_options(8, chunk);
  const PlanCosts costs(fleet, options);
  EXPECT_NEAR(costs.message_s({0, 1, 0}), 2.0 * costs.block_bytes(0) / 1e9, 1e-9);
  // The ring's engines say the same.
  const double ring_s = simulate(fleet, options).time_s;
  options.engine = Engine::plan;
  EXPECT_NEAR(simulate(fleet, options).time_s, ring_s, close * ring_s);
  EXPECT_NEAR(ring_s, 7.0 * costs.message_s({0, 1, 0}), 1e-3 * ring_s);
}

TEST(Fleet, BuffersHoldTheLongestTilesOfAllTypes) {
  // Blocks of 100 tokens travel padded to 128, also to devices whose own tiles are of one token.
  machine::Machine wide = free_network(pair_s);
  wide.footprint.key_tile_tokens = 128;
  const Simulation result = simulate(Fleet({{free_network(pair_s), 3}, {wide, 3}}), ring_options(6, 100));
  EXPECT_EQ(result.memory_types[0].memory_peak_bytes, result.memory_types[1].memory_peak_bytes);
  EXPECT_EQ(result.memory[memory::Purpose::communication], 64 + 2 * 128 * 64 * 4);
}

TEST(Fleet, MemoryIsCheckedOnEachType) {
  machine::Machine small = free_network(pair_s);
  small.name = "small";
  small.device.memory_bytes = number(3e5);
  const Fleet fleet({{free_network(pair_s), 6}, {small, 2}});
  SimulationOptions options = ring_options(8, 256);
  const Simulation result = simulate(fleet, options);
  EXPECT_TRUE(result.memory_types[0].fits_memory);
  EXPECT_FALSE(result.memory_types[1].fits_memory);
  EXPECT_FALSE(result.fits_memory);
  EXPECT_EQ(result.bound, "memory");
  EXPECT_EQ(result.device_memory_bytes, 300000) << "the row shows the type whose memory is fullest";
  // With a fifth of the tokens of the others it fits.
  options.problem.chunks = schedule::weighted_chunks({1, 1, 1, 1, 1, 1, 0.2, 0.2}, 1);
  const Simulation balanced = simulate(fleet, options);
  EXPECT_LT(balanced.memory_types[1].memory_peak_bytes, result.memory_types[1].memory_peak_bytes);
}

TEST(Fleet, RefusesWhatDoesNotFitTogether) {
  const machine::Machine machine = free_network(pair_s);
  expect_invalid([] { Fleet(std::vector<DeviceGroup>{}); }, {"at least one machine"});
  expect_invalid([&] { Fleet({{machine, 4}, {machine, 0}}); }, {"at least 1"});
  expect_invalid([&] { simulate(Fleet({{machine, 4}, {machine, 3}}), ring_options(8, chunk)); }, {"7 devices"});
  machine::Machine narrow = machine;
  narrow.roofline.arithmetic[0].dtype = "bfloat16";
  narrow.roofline.arithmetic[0].element_bytes = 2;
  expect_invalid([&] { simulate(Fleet({{narrow, 4}, {machine, 4}}), ring_options(8, chunk)); }, {"bfloat16"});
}

TEST(Fleet, FailuresOfTypesAddUp) {
  machine::Machine one = free_network(pair_s);
  one.failures = machine::Failures{number(1e5), number(2.0), number(7.0), number(1e6), std::nullopt};
  machine::Machine other = one;
  other.failures = machine::Failures{number(4e5), number(5.0), number(3.0), number(2e6), number(1e7)};
  const machine::Failures together = *failures_of(Fleet({{one, 6}, {other, 8}}));
  // 6 / 1e5 + 8 / 4e5 failures a second, of 14 devices.
  EXPECT_DOUBLE_EQ(together.device_mtbf_s.value, 14.0 / 8e-5);
  EXPECT_EQ(together.detection_s.value, 5.0);
  EXPECT_EQ(together.restart_s.value, 7.0);
  EXPECT_EQ(together.checkpoint_bandwidth_bytes_per_s->value, 1e6);
  EXPECT_EQ(together.storage_bandwidth_bytes_per_s->value, 1e7);
  other.failures.reset();
  EXPECT_FALSE(failures_of(Fleet({{one, 6}, {other, 8}})).has_value());
}

TEST(Stragglers, OneIsEnoughToSlowTheRing) {
  // Free network: the slowest device alone decides, T = P tile x factor.
  SimulationOptions options = ring_options(400, chunk);
  options.straggler_share = 0.02;
  options.straggler_factor = 1.5;
  const double expected = 400 * 1.5 * tile_s;
  EXPECT_NEAR(simulate(free_network(pair_s), options).time_s, expected, close * expected);
  options.straggler_share = 0.0;
  EXPECT_NEAR(simulate(free_network(pair_s), options).time_s, expected / 1.5, close * expected);
}

TEST(Stragglers, AreTheirShareOfTheDevicesAndMoreAreASuperset) {
  SimulationOptions few;
  few.straggler_share = 0.01;
  few.straggler_factor = 2.0;
  SimulationOptions more = few;
  more.straggler_share = 0.05;
  constexpr int devices = 100000;
  int slow = 0;
  for (int rank = 0; rank < devices; ++rank) {
    const bool is_slow = device_time_factor(few, rank) > 1.0;
    slow += is_slow ? 1 : 0;
    EXPECT_TRUE(!is_slow || device_time_factor(more, rank) > 1.0);
  }
  const double deviation = std::sqrt(devices * 0.01 * 0.99);
  EXPECT_NEAR(slow, devices * 0.01, 4.5 * deviation);
}

TEST(Stragglers, EnginesAgreeToTheLastBit) {
  machine::Machine machine = simple_machine(pair_s, 2e-5, 1e9);
  machine.overlap.hidden_fraction = number(0.8);
  for (const Mask mask : {Mask::none, Mask::causal}) {
    SimulationOptions options = ring_options(1300, chunk, mask);
    options.straggler_share = 0.01;
    options.straggler_factor = 1.7;
    options.jitter = 0.02;
    options.tick_bits = 19;
    options.engine = Engine::plain;
    const Simulation plain = simulate(machine, options);
    options.engine = Engine::blocked;
    const Simulation blocked = simulate(machine, options);
    EXPECT_EQ(plain.time_s, blocked.time_s);
    EXPECT_EQ(plain.finish.p50_s, blocked.finish.p50_s);
    options.engine = Engine::folded;
    expect_invalid([&] { simulate(machine, options); }, {"fold"});
    options.jitter = 0.0;
    expect_invalid([&] { simulate(machine, options); }, {"fold"});
  }
}

TEST(MeasuredJitter, DrawsTheMachinesDistribution) {
  machine::Machine machine = free_network(pair_s);
  SimulationOptions options = ring_options(64, chunk);
  options.measured_jitter = true;
  expect_invalid([&] { simulate(machine, options); }, {"relative_quantiles"});
  machine.jitter.relative_quantiles = {0.9, 0.98, 1.0, 1.05, 1.4};
  const MeasuredJitter jitter(Fleet(machine, 64), options.seed);
  std::vector<double> drawn;
  for (std::int64_t rank = 0; rank < 64; ++rank) {
    for (std::int64_t step = 0; step < 2000; ++step) {
      drawn.push_back(1.0 + jitter.deviation(jitter.table(rank), jitter.uniform(rank, step)));
    }
  }
  std::sort(drawn.begin(), drawn.end());
  const auto count = static_cast<double>(drawn.size());
  // Kolmogorov: the largest difference to the distribution passes 1.95 / sqrt(n) once in a thousand.
  double farthest = 0.0;
  double farthest_of_uniform = 0.0;
  for (std::size_t place = 0; place < drawn.size(); ++place) {
    const auto share = [&] {
      const std::vector<double> &quantiles = machine.jitter.relative_quantiles;
      for (std::size_t cell = 0; cell + 1 < quantiles.size(); ++cell) {
        if (drawn[place] <= quantiles[cell + 1]) {
          return (static_cast<double>(cell) +
                  (drawn[place] - quantiles[cell]) / (quantiles[cell + 1] - quantiles[cell])) /
                 static_cast<double>(quantiles.size() - 1);
        }
      }
      return 1.0;
    }();
    const double empirical = (static_cast<double>(place) + 0.5) / count;
    farthest = std::max(farthest, std::abs(share - empirical));
    farthest_of_uniform = std::max(farthest_of_uniform, std::abs((drawn[place] - 0.9) / 0.5 - empirical));
  }
  EXPECT_LE(farthest, 1.95 / std::sqrt(count));
  EXPECT_GT(farthest_of_uniform, 1.95 / std::sqrt(count)); // negative control: another distribution is seen
}

TEST(MeasuredJitter, OneConstantIsAFactor) {
  // All quantiles 1.1: every step takes 1.1 times as long. Free network: T = 1.1 P tile.
  machine::Machine machine = free_network(pair_s);
  machine.jitter.relative_quantiles.assign(21, 1.1);
  SimulationOptions options = ring_options(16, chunk);
  options.measured_jitter = true;
  const double expected = 1.1 * 16 * tile_s;
  const Simulation result = simulate(machine, options);
  EXPECT_NEAR(result.time_s, expected, close * expected);
  EXPECT_EQ(result.engine, "plain");
  options.engine = Engine::plan;
  EXPECT_NEAR(simulate(machine, options).time_s, expected, close * expected);
  options.engine = Engine::folded;
  expect_invalid([&] { simulate(machine, options); }, {"fold"});
  options.engine = Engine::automatic;
  options.jitter = 0.1;
  expect_invalid([&] { simulate(machine, options); }, {"measured"});
}

TEST(TileSpeedup, DividesTilesAndNothingElse) {
  // Compute-bound: T = P (tile / x + fixed) + (P - 1) merge. Communication-bound: T = (P - 1) hop + tile / x.
  machine::Machine machine = free_network(pair_s);
  machine.merge.fused = false;
  machine.merge.fixed_s = number(2e-6);
  machine.step_fixed_s = number(5e-6);
  SimulationOptions options = ring_options(16, chunk);
  options.tile_speedup = 1.5;
  for (const Engine engine : {Engine::automatic, Engine::plan}) {
    options.engine = engine;
    const double compute_bound = 16 * (tile_s / 1.5 + 5e-6) + 15 * 2e-6;
    const Simulation result = simulate(machine, options);
    EXPECT_NEAR(result.time_s, compute_bound, close * compute_bound);
    EXPECT_TRUE(result.extrapolated);
    EXPECT_NE(result.time_source.find("what-if"), std::string::npos);
    EXPECT_EQ(result.time_confidence, 0.0);
    const double hop_s = 3.0 * tile_s;
    const double hops = 15 * hop_s + tile_s / 1.5;
    EXPECT_NEAR(simulate(simple_machine(pair_s, hop_s, 1e300), options).time_s, hops, close * hops);
  }
  options.tile_speedup = 0.0;
  expect_invalid([&] { simulate(machine, options); }, {"tile_speedup"});
}

} // namespace
} // namespace ringscale::simulator
