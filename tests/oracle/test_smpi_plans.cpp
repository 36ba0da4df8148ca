// SPDX-License-Identifier: Apache-2.0
// SMPI replays random rings of every schedule. It shares a link among the messages on it, the engine sends them one
// after the other: where two messages can meet on a link with different ends, docs/simulator.md says what follows.
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <map>
#include <string>

#include "simulator/simulation.hpp"
#include "tests/oracle/smpi_replay.hpp"
#include "tests/simulator/draw.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::simulator {
namespace {

using oracle_tests::replayed_s;
using problem::Mask;
using schedule::Hops;
using schedule::MessageLayout;
using schedule::Moving;
using schedule::Pass;
using schedule::Placement;
using schedule::RingProblem;
using schedule::Schedule;
using simulator_tests::Draw;
using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

constexpr std::uint64_t draw_stream = 0x736D7069U;

machine::Machine random_machine(Draw &draw, std::int64_t node) {
  machine::Machine machine = simple_machine(1e-6, draw.between(0.0, 2e-3), draw.between(2e6, 2e7));
  machine.overlap.hidden_fraction = number(draw.coin() ? 1.0 : draw.between(0.2, 1.0));
  machine.step_fixed_s = number(1e-4);
  machine.merge.fixed_s = number(2e-4);
  machine.merge.per_element_s = number(1e-8);
  machine.roofline.memory_bandwidth_bytes_per_s = number(5e7);
  if (draw.coin()) {
    machine::Link inside = machine.links[0];
    inside.level = machine::Level::node;
    inside.group_devices = node > 1 ? node : 3;
    inside.bandwidth_bytes_per_s.value *= 5.0;
    machine.links.insert(machine.links.begin(), inside);
  }
  return machine;
}

/// A ring of 2 to 24 ranks whose replay is exact: messages that share a link have the same two ends.
SimulationOptions random_ring(Draw &draw) {
  const std::int64_t ring_size = 2 + draw.below(23);
  SimulationOptions options = ring_options(ring_size, 64 + draw.below(64), draw.coin() ? Mask::none : Mask::causal,
                                           draw.coin() ? Placement::contiguous : Placement::zigzag);
  RingProblem &problem = options.problem;
  const Schedule schedules[] = {Schedule::ring, Schedule::bidirectional_ring, Schedule::double_ring};
  problem.schedule = schedules[draw.below(3)];
  problem.inner_ring_size = 1 + draw.below(ring_size);
  while (ring_size % problem.inner_ring_size != 0) {
    --problem.inner_ring_size;
  }
  if (problem.schedule != Schedule::double_ring && draw.coin()) {
    problem.moving = draw.coin() ? Moving::query : Moving::key_value;
    problem.pass = draw.coin() ? Pass::backward : Pass::forward;
  }
  if (!schedule::has_results(problem)) {
    problem.hops = draw.coin() ? Hops::needed : Hops::all;
  }
  if (problem.moving == Moving::key_value) {
    const MessageLayout layouts[] = {MessageLayout::stored_packed, MessageLayout::separate, MessageLayout::copied};
    problem.layout = layouts[draw.below(3)];
  }
  if (draw.below(3) == 0) {
    problem.pattern.kind = problem::PatternKind::block_sparse;
    problem.pattern.block_sparse.window_tokens = 64 * (1 + draw.below(3));
    problem.attention.tokens = 128 * ring_size;
  }
  options.speed_spread = draw.coin() ? 0.0 : 0.1;
  options.jitter = draw.coin() ? 0.0 : 0.05;
  options.engine = Engine::plan;
  return options;
}

std::string label(const RingProblem &problem, std::uint64_t seed) {
  return "seed " + std::to_string(seed) + " " + std::string(schedule::name(problem.schedule)) + "/" +
         std::to_string(problem.inner_ring_size) + " moving " + std::string(schedule::name(problem.moving)) + " " +
         std::string(schedule::name(problem.pass)) + " hops " + std::string(schedule::name(problem.hops)) +
         " P=" + std::to_string(problem.ring_size);
}

/// SMPI prints six decimals.
double tolerance(double seconds) { return 1e-5 + 1e-6 / seconds; }

TEST(SmpiPlans, RandomRingsAgree) {
  std::map<std::string, int> replayed;
  double worst = 0.0;
  for (std::uint64_t seed = 0; seed < 90; ++seed) {
    Draw draw(seed, draw_stream);
    const SimulationOptions options = random_ring(draw);
    const machine::Machine machine = random_machine(draw, options.problem.inner_ring_size);
    const double expected_s = replayed_s(machine, options);
    ASSERT_GT(expected_s, 0.0) << label(options.problem, seed);
    const double difference = simulate(machine, options).time_s / expected_s - 1.0;
    ASSERT_NEAR(difference, 0.0, tolerance(expected_s)) << label(options.problem, seed);
    worst = std::max(worst, std::abs(difference));
    ++replayed[std::string(schedule::name(options.problem.schedule)) +
               (schedule::has_results(options.problem) ? " with results" : "")];
  }
  EXPECT_EQ(replayed.size(), 5U);
  for (const auto &[name, count] : replayed) {
    std::cout << name << ": " << count << "\n";
    EXPECT_GE(count, 4) << name;
  }
  std::cout << "largest relative difference " << worst << "\n";
}

TEST(SmpiPlans, RingsOfSeveralTypesAgree) {
  int differ = 0;
  int by_ring_engines = 0;
  for (std::uint64_t seed = 1000; seed < 1020; ++seed) {
    Draw draw(seed, draw_stream);
    SimulationOptions options = random_ring(draw);
    if (seed % 2 == 0) { // what the ring engines know
      RingProblem plain = ring_options(options.problem.ring_size, 64 + draw.below(64)).problem;
      plain.attention.mask = options.problem.attention.mask;
      plain.placement = options.problem.placement;
      options.problem = plain;
      options.engine = Engine::automatic;
    }
    options.straggler_share = 0.2;
    options.straggler_factor = 1.5;
    machine::Machine slower = random_machine(draw, options.problem.inner_ring_size);
    slower.roofline.exponentials_per_s.value /= draw.between(1.0, 3.0);
    slower.links.back().latency_s.value *= 2.0;
    slower.links.back().devices_per_card = 1;
    slower.links.back().duplex = machine::Duplex::half;
    const std::int64_t first = 1 + draw.below(options.problem.ring_size - 1);
    const machine::Machine faster = random_machine(draw, options.problem.inner_ring_size);
    const machine::Fleet fleet({{faster, first}, {slower, options.problem.ring_size - first}});
    const double expected_s = replayed_s(fleet, options);
    ASSERT_GT(expected_s, 0.0) << label(options.problem, seed);
    const Simulation mixed = simulate(fleet, options);
    const double mixed_s = mixed.time_s;
    by_ring_engines += mixed.engine == "plain" ? 1 : 0;
    ASSERT_NEAR(mixed_s / expected_s, 1.0, tolerance(expected_s)) << label(options.problem, seed);
    // Negative control: a ring of the faster type alone is another one.
    differ += std::abs(simulate(faster, options).time_s / expected_s - 1.0) > 1e-3 ? 1 : 0;
  }
  EXPECT_GE(differ, 15);
  EXPECT_EQ(by_ring_engines, 10);
}

TEST(SmpiPlans, SharedLinksAgreeWhereNobodyWaitsForASingleMessage) {
  // SMPI sends an all-gather's messages all at once, the engine one after the other: the last one ends together. So
  // the communication alone agrees, computing being next to nothing.
  SimulationOptions options = ring_options(9, 64);
  options.problem.schedule = Schedule::all_gather;
  const machine::Machine slow = simple_machine(1e-15, 1e-3, 1e6);
  double expected_s = replayed_s(slow, options);
  EXPECT_NEAR(simulate(slow, options).time_s / expected_s, 1.0, tolerance(expected_s));
  // A double ring's results share the way out of a node with the blocks: hidden behind compute, nobody sees the order.
  options = ring_options(12, 64);
  options.problem.schedule = Schedule::double_ring;
  options.problem.inner_ring_size = 4;
  options.problem.pass = Pass::backward;
  const machine::Machine fast = simple_machine(1e-6, 1e-4, 1e8);
  expected_s = replayed_s(fast, options);
  EXPECT_NEAR(simulate(fast, options).time_s / expected_s, 1.0, tolerance(expected_s));
}

TEST(SmpiPlansControl, AnotherLinkOrScheduleIsSeenByTheComparison) {
  const machine::Machine machine = simple_machine(1e-6, 1e-5, 1e6);
  for (const Schedule schedule : {Schedule::bidirectional_ring, Schedule::double_ring}) {
    SimulationOptions options = ring_options(12, 64);
    options.problem.schedule = schedule;
    options.problem.inner_ring_size = 4;
    const double slower_s = replayed_s(machine, options, " --cfg=network/bandwidth-factor:0.5");
    ASSERT_GT(slower_s, 0.0);
    EXPECT_GT(std::abs(simulate(machine, options).time_s / slower_s - 1.0), 0.05) << schedule::name(schedule);
    const double replayed = replayed_s(machine, options);
    options.problem.schedule = Schedule::ring;
    EXPECT_GT(std::abs(simulate(machine, options).time_s / replayed - 1.0), 0.05) << schedule::name(schedule);
  }
}

} // namespace
} // namespace ringscale::simulator
