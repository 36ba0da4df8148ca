// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "problem/invalid_input.hpp"
#include "simulator/simulation.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::simulator {
namespace {

using problem::InvalidInput;
using problem::Mask;
using schedule::MessageLayout;
using schedule::Moving;
using schedule::Pass;
using schedule::Placement;
using schedule::Schedule;
using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

machine::Machine full_machine() {
  machine::Machine machine = simple_machine(1e-9, 4e-6, 4e9);
  machine.roofline.memory_bandwidth_bytes_per_s = number(1e11);
  machine.overlap.hidden_fraction = number(0.7);
  machine.merge.fused = false;
  machine.merge.fixed_s = number(1e-6);
  machine.merge.per_element_s = number(1e-11);
  machine.step_fixed_s = number(2e-6);
  return machine;
}

/// Every schedule, what moves, and both passes, on a ring of 12.
std::vector<SimulationOptions> every_schedule() {
  std::vector<SimulationOptions> all;
  for (const Schedule schedule :
       {Schedule::ring, Schedule::bidirectional_ring, Schedule::double_ring, Schedule::all_gather}) {
    for (const Moving moving : {Moving::key_value, Moving::query}) {
      for (const Pass pass : {Pass::forward, Pass::backward}) {
        SimulationOptions options = ring_options(12, 128, Mask::causal, Placement::zigzag);
        options.problem.schedule = schedule;
        options.problem.inner_ring_size = 4;
        options.problem.moving = moving;
        options.problem.pass = pass;
        options.problem.layout = moving == Moving::query ? MessageLayout::stored_packed : MessageLayout::copied;
        options.speed_spread = 0.05;
        options.jitter = 0.03;
        options.engine = Engine::plan;
        all.push_back(options);
      }
    }
  }
  return all;
}

std::string label(const SimulationOptions &options) {
  return std::string(schedule::name(options.problem.schedule)) + " moving " +
         std::string(schedule::name(options.problem.moving)) + " " + std::string(schedule::name(options.problem.pass));
}

TEST(PlanInvariance, DevicesRelabelledRoundTheRingTakeTheSameTime) {
  for (SimulationOptions options : every_schedule()) {
    options.problem.attention.mask = Mask::none;
    options.speed_spread = options.jitter = 0.0;
    options.device_speeds = {1.0, 0.5, 1.0, 2.0, 1.0, 1.0, 0.8, 1.0, 1.2, 1.0, 1.0, 3.0};
    const double before = simulate(full_machine(), options).time_s;
    // Whole inner rings at a time, so that neighbours stay neighbours.
    std::rotate(options.device_speeds.begin(), options.device_speeds.begin() + 4, options.device_speeds.end());
    EXPECT_EQ(simulate(full_machine(), options).time_s, before) << label(options);
    // Control: the slowest device, which sets the pace, at half its speed.
    *std::min_element(options.device_speeds.begin(), options.device_speeds.end()) *= 0.5;
    EXPECT_NE(simulate(full_machine(), options).time_s, before) << label(options);
  }
}

TEST(PlanInvariance, DoubledBytesOnADoubledBandwidthChangeNothing) {
  for (const SimulationOptions &narrow : every_schedule()) {
    SimulationOptions wide = narrow;
    wide.problem.attention.batch = 2; // twice the bytes, the work and what is merged
    machine::Machine slow = full_machine();
    slow.links[0].bandwidth_bytes_per_s = number(4e7);
    machine::Machine fast = slow;
    fast.links[0].bandwidth_bytes_per_s = number(8e7);
    fast.roofline.memory_bandwidth_bytes_per_s.value *= 2.0;
    fast.roofline.exponentials_per_s.value *= 2.0;
    fast.merge.per_element_s.value /= 2.0;
    // The header of 64 bytes does not double; it is 1e-3 of a block.
    EXPECT_NEAR(simulate(fast, wide).time_s / simulate(slow, narrow).time_s, 1.0, 2e-3) << label(narrow);
    EXPECT_GT(simulate(slow, wide).time_s / simulate(slow, narrow).time_s, 1.5) << label(narrow);
  }
}

TEST(PlanInvariance, AScaledClockScalesTheAnswerExactly) {
  const machine::Machine machine = full_machine();
  machine::Machine twice = machine; // every cost twice as long
  twice.roofline.exponentials_per_s.value /= 2.0;
  twice.roofline.memory_bandwidth_bytes_per_s.value /= 2.0;
  twice.links[0].latency_s.value *= 2.0;
  twice.links[0].bandwidth_bytes_per_s.value /= 2.0;
  twice.merge.fixed_s.value *= 2.0;
  twice.merge.per_element_s.value *= 2.0;
  twice.step_fixed_s.value *= 2.0;
  for (const SimulationOptions &options : every_schedule()) {
    EXPECT_EQ(simulate(twice, options).time_s, 2.0 * simulate(machine, options).time_s) << label(options);
  }
}

TEST(PlanInvariance, TimeGrowsWithEveryCost) {
  const std::vector<std::pair<const char *, std::function<void(machine::Machine &)>>> dearer{
      {"tile", [](auto &machine) { machine.roofline.exponentials_per_s.value /= 1.1; }},
      {"latency", [](auto &machine) { machine.links[0].latency_s.value += 1e-3; }},
      {"overhead", [](auto &machine) { machine.links[0].per_message_overhead_s.value += 1e-3; }},
      {"bandwidth", [](auto &machine) { machine.links[0].bandwidth_bytes_per_s.value /= 100.0; }},
      {"sharing", [](auto &machine) { machine.links[0].sharing.value = 10.0; }},
      {"step_fixed", [](auto &machine) { machine.step_fixed_s.value += 1e-5; }},
      {"overlap", [](auto &machine) { machine.overlap.hidden_fraction.value = 0.0; }}};
  const std::vector<std::pair<const char *, std::function<void(machine::Machine &)>>> with_merges{
      {"merge", [](auto &machine) { machine.merge.per_element_s.value *= 50.0; }},
      {"merge_fixed", [](auto &machine) { machine.merge.fixed_s.value += 1e-5; }}};
  const auto expect_dearer = [](const SimulationOptions &options, const auto &changes) {
    const double before = simulate(full_machine(), options).time_s;
    for (const auto &[name, change] : changes) {
      machine::Machine machine = full_machine();
      change(machine);
      EXPECT_GT(simulate(machine, options).time_s, before) << name << ": " << label(options);
    }
  };
  for (const SimulationOptions &options : every_schedule()) {
    expect_dearer(options, dearer);
    const bool adds_only_on_device = options.problem.schedule == Schedule::all_gather;
    if (schedule::has_results(options.problem) || !adds_only_on_device) {
      expect_dearer(options, with_merges);
    }
  }
}

TEST(PlanInvariance, SchedulesThatAreARingTakeItsTime) {
  SimulationOptions ring = ring_options(12, 128, Mask::causal);
  ring.engine = Engine::plan;
  ring.jitter = 0.05;
  const double expected = simulate(full_machine(), ring).time_s;
  for (const std::int64_t inner : {1, 12}) {
    SimulationOptions options = ring;
    options.problem.schedule = Schedule::double_ring;
    options.problem.inner_ring_size = inner;
    EXPECT_EQ(simulate(full_machine(), options).time_s, expected) << inner;
  }
  SimulationOptions two = ring_options(2, 128);
  two.engine = Engine::plan;
  const double pair = simulate(full_machine(), two).time_s;
  two.problem.schedule = Schedule::bidirectional_ring;
  EXPECT_EQ(simulate(full_machine(), two).time_s, pair);
}

TEST(PlanInvariance, EqualDevicesByListAreEqualDevices) {
  for (SimulationOptions options : every_schedule()) {
    const double expected = simulate(full_machine(), options).time_s;
    options.device_speeds.assign(12, 1.0);
    EXPECT_EQ(simulate(full_machine(), options).time_s, expected);
    options.device_speeds[5] = 0.25;
    EXPECT_GT(simulate(full_machine(), options).time_s, expected) << label(options);
  }
}

TEST(PlanOptions, WhatDoesNotGoIsRefused) {
  const auto refused = [&](const std::function<void(SimulationOptions &)> &change) {
    SimulationOptions options = ring_options(8, 64);
    change(options);
    EXPECT_THROW(simulate(full_machine(), options), InvalidInput);
  };
  refused([](auto &options) { options.device_speeds = {1.0, 2.0}; });
  refused([](auto &options) { options.device_speeds = std::vector<double>(8, 0.0); });
  refused([](auto &options) { options.device_speeds = std::vector<double>(8, std::nan("")); });
  refused([](auto &options) {
    options.problem.pass = Pass::backward;
    options.engine = Engine::plain;
  });
  refused([](auto &options) {
    options.problem.schedule = Schedule::double_ring;
    options.problem.inner_ring_size = 3;
  });
  refused([](auto &options) {
    options = ring_options(1 << 20, 64);
    options.problem.schedule = Schedule::bidirectional_ring;
    options.jitter = 0.01; // every device differs, so each would have to be computed
  });
  refused([](auto &options) { options.problem.pattern.kind = problem::PatternKind::dilated; }); // no segments
  machine::Machine machine = full_machine();
  machine.roofline = {};
  machine.tiles.query_heads = machine.tiles.kv_heads = 1;
  machine.tiles.samples = {{64, 64, 64, Mask::none, 1e-3, {1e-3}}};
  machine.merge.per_element_s = number(0.0);
  SimulationOptions copied = ring_options(8, 64);
  EXPECT_NO_THROW(simulate(machine, copied));
  copied.problem.layout = MessageLayout::copied;
  EXPECT_THROW(simulate(machine, copied), InvalidInput); // nothing says how fast a copy is
}

} // namespace
} // namespace ringscale::simulator
