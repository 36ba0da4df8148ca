// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <functional>

#include "problem/invalid_input.hpp"
#include "simulator/simulation.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::simulator {
namespace {

using problem::InvalidInput;
using problem::Mask;
using schedule::Placement;
using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

SimulationOptions noisy(std::int64_t ring_size, Mask mask = Mask::causal, Placement placement = Placement::zigzag) {
  SimulationOptions options = ring_options(ring_size, 128, mask, placement);
  options.speed_spread = 0.05;
  options.jitter = 0.03;
  return options;
}

machine::Machine full_machine() {
  machine::Machine machine = simple_machine(1e-9, 4e-6, 4e9);
  machine.overlap.hidden_fraction = number(0.7);
  machine.merge.fused = false;
  machine.merge.fixed_s = number(1e-6);
  machine.merge.per_element_s = number(1e-11);
  machine.step_fixed_s = number(2e-6);
  return machine;
}

TEST(Invariance, DoubledBytesOnADoubledBandwidthChangeNothing) {
  SimulationOptions narrow = noisy(64);
  SimulationOptions wide = narrow;
  wide.problem.attention.batch = 2; // twice the bytes and twice the work
  machine::Machine slow = simple_machine(1e-9, 4e-6, 4e7);
  machine::Machine fast = simple_machine(0.5e-9, 4e-6, 8e7);
  // The header of 64 bytes does not double; it is 1e-3 of a block.
  EXPECT_NEAR(simulate(fast, wide).time_s / simulate(slow, narrow).time_s, 1.0, 1e-3);
}

TEST(Invariance, AScaledClockScalesTheAnswerExactly) {
  const machine::Machine machine = full_machine();
  machine::Machine twice = machine; // every cost twice as long
  twice.roofline.exponentials_per_s.value /= 2.0;
  twice.links[0].latency_s.value *= 2.0;
  twice.links[0].bandwidth_bytes_per_s.value /= 2.0;
  twice.merge.fixed_s.value *= 2.0;
  twice.merge.per_element_s.value *= 2.0;
  twice.step_fixed_s.value *= 2.0;
  for (const std::int64_t ring_size : {7, 1500}) {
    EXPECT_EQ(simulate(twice, noisy(ring_size)).time_s, 2.0 * simulate(machine, noisy(ring_size)).time_s);
  }
}

TEST(Invariance, TimeGrowsWithEveryCost) {
  const std::vector<std::pair<const char *, std::function<void(machine::Machine &)>>> dearer{
      {"tile", [](auto &machine) { machine.roofline.exponentials_per_s.value /= 1.1; }},
      {"launch", [](auto &machine) { machine.roofline.launch_s.value += 1e-5; }},
      {"latency", [](auto &machine) { machine.links[0].latency_s.value += 1e-4; }},
      {"overhead", [](auto &machine) { machine.links[0].per_message_overhead_s.value += 1e-4; }},
      {"bandwidth", [](auto &machine) { machine.links[0].bandwidth_bytes_per_s.value /= 30.0; }},
      {"sharing", [](auto &machine) { machine.links[0].sharing.value = 1.0; }},
      {"merge", [](auto &machine) { machine.merge.per_element_s.value *= 50.0; }},
      {"merge_fixed", [](auto &machine) { machine.merge.fixed_s.value += 1e-5; }},
      {"step_fixed", [](auto &machine) { machine.step_fixed_s.value += 1e-5; }},
      {"overlap", [](auto &machine) { machine.overlap.hidden_fraction.value = 0.0; }}};
  for (const std::int64_t ring_size : {9, 1200}) {
    const double before = simulate(full_machine(), noisy(ring_size)).time_s;
    for (const auto &[name, change] : dearer) {
      machine::Machine machine = full_machine();
      change(machine);
      EXPECT_GT(simulate(machine, noisy(ring_size)).time_s, before) << name << " at " << ring_size;
    }
  }
}

TEST(Invariance, JitterAndSpreadOnlySlowABalancedRingDown) {
  const machine::Machine machine = simple_machine(1e-9, 1e-6, 1e9);
  SimulationOptions options = ring_options(300, 128);
  const double quiet = simulate(machine, options).time_s;
  options.jitter = 0.05;
  const double jittery = simulate(machine, options).time_s;
  EXPECT_GT(jittery, quiet);
  options.jitter = 0.1;
  EXPECT_GT(simulate(machine, options).time_s, jittery);
}

TEST(Invariance, AnUnmaskedRingDoesNotCareForThePlacement) {
  const machine::Machine machine = full_machine();
  const double contiguous = simulate(machine, noisy(32, Mask::none, Placement::contiguous)).time_s;
  EXPECT_EQ(simulate(machine, noisy(32, Mask::none, Placement::striped)).time_s, contiguous);
}

TEST(Invariance, AnswersMoveAsTheoryAsksWhenTheRingDoubles) {
  // Fixed chunk, compute bound: time proportional to P, tokens/s constant. Fixed tokens: time falls as 1 / P.
  const machine::Machine machine = simple_machine(1e-9, 1e-9, 1e15);
  for (const std::int64_t ring_size : {64, 128, 256}) {
    const Simulation one = simulate(machine, ring_options(ring_size, 256));
    const Simulation two = simulate(machine, ring_options(2 * ring_size, 256));
    EXPECT_NEAR(two.time_s / one.time_s, 2.0, 1e-9);
    EXPECT_NEAR(two.tokens_per_s / one.tokens_per_s, 1.0, 1e-9);
    const Simulation strong = simulate(machine, ring_options(2 * ring_size, 128));
    EXPECT_NEAR(one.time_s / strong.time_s, 2.0, 1e-9);
  }
}

TEST(Options, WhatIsNoNumberOrOutOfRangeIsRefused) {
  const machine::Machine machine = full_machine();
  const auto refused = [&](const std::function<void(SimulationOptions &)> &change) {
    SimulationOptions options = ring_options(8, 64);
    change(options);
    EXPECT_THROW(simulate(machine, options), InvalidInput);
  };
  refused([](auto &options) { options.jitter = std::nan(""); });
  refused([](auto &options) { options.jitter = 0.3; });
  refused([](auto &options) { options.speed_spread = std::nan(""); });
  refused([](auto &options) { options.speed_spread = -0.1; });
  refused([](auto &options) { options.threads = -1; });
  refused([](auto &options) { options.ranks_on_node = -1; });
  refused([](auto &options) { options.tick_bits = 41; });
  refused([](auto &options) { options.dtype = "float8"; });
  refused([](auto &options) { options.kernel = memory::KernelKind::materialised; });
  refused([](auto &options) { options.problem.ring_size = 0; });
  refused([](auto &options) { options.problem.attention.tokens = 7; });
  refused([](auto &options) { options.engine = Engine::blocked; });
  refused([](auto &options) {
    options.engine = Engine::folded;
    options.jitter = 0.1;
  });
  EXPECT_NO_THROW(simulate(machine, ring_options(8, 64)));
}

TEST(Options, ARingTooLargeToComputeIsRefusedAndOneThatFoldsIsNot) {
  const machine::Machine machine = full_machine();
  SimulationOptions options = ring_options(std::int64_t{1} << 28, 64);
  EXPECT_NO_THROW(simulate(machine, options));
  options.jitter = 0.01;
  EXPECT_THROW(simulate(machine, options), InvalidInput);
}

TEST(Memory, CapacityIsChecked) {
  machine::Machine machine = full_machine();
  const SimulationOptions options = ring_options(8, 4096);
  EXPECT_TRUE(simulate(machine, options).fits_memory);
  machine.device.memory_bytes = number(1e6);
  const Simulation result = simulate(machine, options);
  EXPECT_FALSE(result.fits_memory);
  EXPECT_EQ(result.bound, "memory");
  // Query, output, held and incoming block (key and value each) of 4096 x 64 floats, the log-sum-exp, two headers.
  EXPECT_EQ(result.memory_peak_bytes, (2 + 4) * 4096 * 64 * 4 + 4096 * 4 + 2 * 64);
}

} // namespace
} // namespace ringscale::simulator
