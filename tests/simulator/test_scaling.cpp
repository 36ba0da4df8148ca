// SPDX-License-Identifier: Apache-2.0
// What theory says of P, 2P and 4P devices. t: a whole tile, h: a hop, c: tokens of a chunk, N: tokens in all.
#include <gtest/gtest.h>

#include <cmath>

#include "simulator/simulation.hpp"
#include "tests/simulator/closed_form_machines.hpp"

namespace ringscale::simulator {
namespace {

using problem::Mask;
using schedule::Pass;
using schedule::Placement;
using schedule::Schedule;
using simulator_tests::chunk;
using simulator_tests::close;
using simulator_tests::free_network;
using simulator_tests::pair_s;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;
using simulator_tests::tile_s;

constexpr double block_bytes = 2.0 * chunk * 64 * 4;

double time_of(const machine::Machine &machine, const SimulationOptions &options) {
  return simulate(machine, options).time_s;
}

TEST(Scaling, FixedChunkComputeBoundGrowsAsP) {
  // h < t: T = P t, so T(2P) / T(P) = 2, tokens/s stay, tokens/s per device halve, and efficiency is 1. Any schedule.
  const machine::Machine machine = simple_machine(pair_s, 1e-9, 1e15);
  for (const Schedule schedule :
       {Schedule::ring, Schedule::bidirectional_ring, Schedule::double_ring, Schedule::all_gather}) {
    for (const Pass pass : {Pass::forward, Pass::backward}) {
      const auto simulated = [&](std::int64_t ring_size) {
        SimulationOptions options = ring_options(ring_size, chunk);
        options.problem.schedule = schedule;
        options.problem.inner_ring_size = schedule == Schedule::double_ring ? 8 : 1;
        options.problem.pass = pass;
        return simulate(machine, options);
      };
      for (const std::int64_t ring_size : {16, 32, 64}) {
        const Simulation one = simulated(ring_size);
        const Simulation two = simulated(2 * ring_size);
        // Backward results come home after the last tile, over hops of nanoseconds.
        const double bound = pass == Pass::backward ? 1e-4 : close;
        EXPECT_NEAR(two.time_s / one.time_s, 2.0, bound) << schedule::name(schedule);
        EXPECT_NEAR(two.tokens_per_s / one.tokens_per_s, 1.0, bound);
        EXPECT_NEAR(two.tokens_per_s_per_device / one.tokens_per_s_per_device, 0.5, bound);
        EXPECT_NEAR(two.efficiency, 1.0, bound);
      }
    }
  }
}

TEST(Scaling, FixedChunkCommunicationBoundGrowsAsPMinusOne) {
  // h > t: T = (P - 1) h + t, so (T(2P) - t) / (T(P) - t) = (2P - 1) / (P - 1), and efficiency tends to t / h.
  const double h = 4.0 * tile_s;
  const machine::Machine machine = simple_machine(pair_s, h, 1e300);
  for (const double ring_size : {16.0, 64.0, 1024.0}) {
    const auto devices = static_cast<std::int64_t>(ring_size);
    const double one = time_of(machine, ring_options(devices, chunk)) - tile_s;
    const Simulation two = simulate(machine, ring_options(2 * devices, chunk));
    EXPECT_NEAR((two.time_s - tile_s) / one, (2.0 * ring_size - 1.0) / (ring_size - 1.0), close);
    const double p = 2.0 * ring_size;
    EXPECT_NEAR(two.efficiency, p * tile_s / ((p - 1.0) * h + tile_s), close);
  }
}

TEST(Scaling, FixedTokensComputeBoundFallsAsOneOverP) {
  // P steps of (N / P)^2 pairs: T = N^2 pair / P. Speed-up P over one device.
  const machine::Machine machine = free_network(pair_s);
  const std::int64_t tokens = 16384;
  const double alone = time_of(machine, ring_options(1, tokens));
  for (const std::int64_t ring_size : {2, 4, 8, 64, 256}) {
    const double speed_up = alone / time_of(machine, ring_options(ring_size, tokens / ring_size));
    EXPECT_NEAR(speed_up, static_cast<double>(ring_size), 1e-8 * static_cast<double>(ring_size));
  }
}

TEST(Scaling, FixedTokensBandwidthBoundStaysAndLatencyBoundGrows) {
  // Hops of bytes / P: T = (P - 1) (latency + bytes / (P bandwidth)) + t / P^2. By bandwidth alone it tends to
  // bytes / bandwidth from below, by latency alone it grows as P - 1. (A header of 64 bytes a hop beside.)
  const std::int64_t tokens = 65536;
  const double bytes = 2.0 * static_cast<double>(tokens) * 64 * 4;
  const double bandwidth = 1e6;
  const double latency_s = 1e-2;
  for (const std::int64_t devices : {16, 32, 64}) {
    const auto p = static_cast<double>(devices);
    const SimulationOptions options = ring_options(devices, tokens / devices);
    const double tile = 1e-14 * static_cast<double>(tokens / devices) * static_cast<double>(tokens / devices);
    const double by_bandwidth = time_of(simple_machine(1e-14, 0.0, bandwidth), options);
    EXPECT_NEAR(by_bandwidth, (p - 1.0) * (bytes / p + 64.0) / bandwidth + tile, close * by_bandwidth);
    EXPECT_LT(by_bandwidth, bytes / bandwidth);
    const double by_latency = time_of(simple_machine(1e-14, latency_s, 1e300), options);
    EXPECT_NEAR(by_latency, (p - 1.0) * latency_s + tile, close * by_latency);
  }
}

TEST(Scaling, SchedulesOfACommunicationBoundRing) {
  // Forward ring and all-gather: P - 1 messages one after the other. Bidirectional: two ways at once, ceil((P - 1) / 2)
  // rounds, then the last tiles. All with h >> t.
  const double h = 1000.0 * tile_s;
  const machine::Machine machine = simple_machine(pair_s, h, 1e300);
  for (const std::int64_t devices : {9, 17, 33, 65}) {
    SimulationOptions options = ring_options(devices, chunk);
    const double ring = time_of(machine, options);
    options.problem.schedule = Schedule::all_gather;
    EXPECT_NEAR(time_of(machine, options) / ring, 1.0, 5e-3);
    options.problem.schedule = Schedule::bidirectional_ring;
    EXPECT_NEAR(time_of(machine, options) / ring, 0.5, 5e-3);
  }
}

TEST(Scaling, CausalEfficiencyIsThatOfThePlacement) {
  // Free network. Contiguous: the last rank alone computes in the last step, P / (2P - 1) -> 1/2. Zigzag: every step
  // half a tile on every rank -> 1 (the diagonal step has c/2 pairs more). Striped: triangles with or without their
  // diagonal, c pairs apart -> 1.
  const machine::Machine machine = free_network(pair_s);
  const double c = 4096;
  for (const std::int64_t devices : {2, 4, 8, 16, 32}) {
    const auto p = static_cast<double>(devices);
    const auto efficiency = [&](Placement placement) {
      return simulate(machine, ring_options(devices, 4096, Mask::causal, placement)).efficiency;
    };
    EXPECT_NEAR(efficiency(Placement::contiguous), p / (2.0 * p - 1.0), 1.0 / c);
    EXPECT_NEAR(efficiency(Placement::zigzag), 1.0, 1.0 / c);
    EXPECT_NEAR(efficiency(Placement::striped), 1.0, 1.0 / c);
  }
}

TEST(Scaling, MemoryOfADeviceStaysAtAFixedChunkAndFallsAtFixedTokens) {
  const machine::Machine machine = free_network(pair_s);
  for (const Schedule schedule : {Schedule::ring, Schedule::bidirectional_ring, Schedule::double_ring}) {
    const auto bytes = [&](std::int64_t devices, std::int64_t tokens_each) {
      SimulationOptions options = ring_options(devices, tokens_each);
      options.problem.schedule = schedule;
      options.problem.inner_ring_size = schedule == Schedule::double_ring ? 8 : 1;
      return static_cast<double>(simulate(machine, options).memory_peak_bytes);
    };
    for (const std::int64_t devices : {16, 32, 64}) {
      EXPECT_EQ(bytes(2 * devices, 1024), bytes(devices, 1024));
      // Headers of 64 bytes do not halve.
      EXPECT_NEAR(bytes(devices, 1024) / bytes(2 * devices, 512), 2.0, 1e-3);
    }
  }
}

TEST(Scaling, DesignsThatAreNoRingAreSeenAtOnce) {
  // Negative controls. Replicated queries do not get faster with P; local_only gets faster as P^2 at fixed tokens.
  const machine::Machine machine = free_network(pair_s);
  const auto ratio = [&](Placement placement, Schedule schedule) {
    SimulationOptions few = ring_options(8, 1024, Mask::none, placement);
    SimulationOptions many = ring_options(16, 512, Mask::none, placement);
    few.problem.schedule = many.problem.schedule = schedule;
    return time_of(machine, few) / time_of(machine, many);
  };
  EXPECT_NEAR(ratio(Placement::contiguous, Schedule::ring), 2.0, close);
  EXPECT_NEAR(ratio(Placement::replicated_queries, Schedule::ring), 1.0, close);
  EXPECT_NEAR(ratio(Placement::contiguous, Schedule::local_only), 4.0, close);
}

TEST(Scaling, FoldedRingsOfAnySizeStayOnTheLine) {
  // T = (P - 1) h + t up to 2^36 devices: no drift, no overflow.
  const double h = 3.0 * tile_s;
  const machine::Machine machine = simple_machine(pair_s, h, 1e300);
  for (int power = 4; power <= 36; power += 4) {
    const std::int64_t devices = std::int64_t{1} << power;
    const Simulation result = simulate(machine, ring_options(devices, chunk));
    const double expected = (static_cast<double>(devices) - 1.0) * h + tile_s;
    EXPECT_NEAR(result.time_s, expected, 1e-6 * expected);
    EXPECT_EQ(result.hops_per_device, static_cast<double>(devices - 1));
  }
}

} // namespace
} // namespace ringscale::simulator
