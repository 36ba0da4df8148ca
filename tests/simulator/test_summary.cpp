// SPDX-License-Identifier: Apache-2.0
// Memory, bound, percentiles and throughput of every schedule and pass, against what they are made of.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "schedule/ring_plan.hpp"
#include "simulator/plan_engine.hpp"
#include "simulator/simulation.hpp"
#include "simulator/simulation_summary.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::simulator {
namespace {

using memory::Purpose;
using problem::Mask;
using schedule::Moving;
using schedule::Pass;
using schedule::Placement;
using schedule::Schedule;
using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

/// Every schedule, what moves, and both passes; 203 tokens on eight devices, so that chunks differ.
std::vector<SimulationOptions> every_schedule() {
  std::vector<SimulationOptions> all;
  for (const Schedule schedule : {Schedule::ring, Schedule::bidirectional_ring, Schedule::double_ring,
                                  Schedule::all_gather, Schedule::local_only}) {
    for (const Moving moving : {Moving::key_value, Moving::query}) {
      for (const Pass pass : {Pass::forward, Pass::backward}) {
        SimulationOptions options = ring_options(8, 25, Mask::causal, Placement::zigzag);
        options.problem.attention.tokens = 203;
        options.problem.attention.batch = 3;
        options.problem.attention.query_heads = 4;
        options.problem.attention.kv_heads = 2;
        options.problem.schedule = schedule;
        options.problem.inner_ring_size = schedule == Schedule::double_ring ? 4 : 1;
        options.problem.moving = moving;
        options.problem.pass = pass;
        options.speed_spread = 0.1;
        options.jitter = 0.05;
        all.push_back(options);
      }
    }
  }
  return all;
}

std::string label(const SimulationOptions &options) {
  return std::string(schedule::name(options.problem.schedule)) + " " +
         std::string(schedule::name(options.problem.moving)) + " " + std::string(schedule::name(options.problem.pass));
}

machine::Machine half_precision(machine::Machine machine) {
  machine.roofline.arithmetic[0].dtype = "bfloat16";
  machine.roofline.arithmetic[0].element_bytes = 2;
  return machine;
}

TEST(Summary, ThroughputIsThatOfAllTokensOverTheSlowestDevice) {
  const machine::Machine machine = simple_machine(1e-9, 3e-6, 1e9);
  for (const SimulationOptions &options : every_schedule()) {
    const Simulation result = simulate(machine, options);
    EXPECT_DOUBLE_EQ(result.tokens_per_s * result.time_s, 3.0 * 203.0) << label(options);
    EXPECT_DOUBLE_EQ(result.tokens_per_s_per_device * 8.0, result.tokens_per_s) << label(options);
    EXPECT_EQ(result.time_s, result.finish.p100_s) << label(options);
    EXPECT_EQ(result.time_s, result.slowest.total_s) << label(options);
  }
}

TEST(Summary, PercentilesAreOrderStatisticsOfWhenDevicesFinish) {
  const machine::Machine machine = simple_machine(1e-9, 3e-6, 1e9);
  for (SimulationOptions options : every_schedule()) {
    options.engine = Engine::plan;
    const Simulation result = simulate(machine, options);
    const PlanCosts costs(machine, options);
    StreamedSteps steps(options.problem);
    const TickScale scale = plan_tick_scale(costs, options, fine_tick_bits(schedule::step_count(options.problem) + 1));
    std::vector<std::int64_t> ticks = run_plan(costs, options, scale, steps).ticks;
    std::sort(ticks.begin(), ticks.end());
    // Of eight, the nearest ranks to 0, 5, 25, 50, 75, 95 and 100 % of seven are 0, 0, 2, 4, 5, 7 and 7.
    const FinishPercentiles &finish = result.finish;
    const std::vector<std::pair<double, std::size_t>> expected{{finish.p0_s, 0},  {finish.p5_s, 0},  {finish.p25_s, 2},
                                                               {finish.p50_s, 4}, {finish.p75_s, 5}, {finish.p95_s, 7},
                                                               {finish.p100_s, 7}};
    for (const auto &[seconds, place] : expected) {
      EXPECT_EQ(seconds, static_cast<double>(ticks[place]) * scale.tick_s) << label(options);
    }
  }
}

TEST(Summary, MemoryIsThatOfTheFullestDevice) {
  const machine::Machine machine = simple_machine(1e-9, 3e-6, 1e9);
  for (const SimulationOptions &options : every_schedule()) {
    const Simulation result = simulate(machine, options);
    std::int64_t most = 0;
    for (std::int64_t rank = 0; rank < 8; ++rank) {
      most = std::max(most, memory::closed_form(options.problem, rank, {1, 0}, memory::KernelKind::streamed).total());
    }
    EXPECT_EQ(result.memory_peak_bytes, most) << label(options);
    EXPECT_EQ(result.memory.total(), most) << label(options);
    // One byte less than it needs, and memory is what binds, whatever the schedule.
    machine::Machine full = machine;
    full.device.memory_bytes = number(static_cast<double>(most));
    EXPECT_TRUE(simulate(full, options).fits_memory) << label(options);
    full.device.memory_bytes = number(static_cast<double>(most - 1));
    const Simulation beyond = simulate(full, options);
    EXPECT_FALSE(beyond.fits_memory) << label(options);
    EXPECT_EQ(beyond.bound, "memory") << label(options);
    EXPECT_EQ(beyond.time_s, result.time_s) << "capacity changes no time";
  }
}

TEST(Summary, ResultsAndGradientsStayInSinglePrecision) {
  // Backward ring in two-byte elements, n rows of one head of width d: queries and output 2 n d bytes each, two numbers
  // of four bytes a row, a block of 4 n d and its header; gradients in single precision: of queries and output 8 n d,
  // of keys and values at home 8 n d and a header, and as much in every result buffer.
  const machine::Machine machine = half_precision(simple_machine(1e-9, 3e-6, 1e9));
  SimulationOptions options = ring_options(8, 256);
  options.problem.pass = Pass::backward;
  const std::int64_t n = 256;
  const std::int64_t d = 64;
  const std::int64_t block = 4 * n * d + 64;
  const std::int64_t home = 8 * n * d + 64;
  const schedule::BufferCounts buffers = schedule::buffer_counts(options.problem, 0);
  ASSERT_GE(buffers.result_buffers, 1);
  const Simulation result = simulate(machine, options);
  EXPECT_EQ(result.memory[Purpose::query], 2 * n * d);
  EXPECT_EQ(result.memory[Purpose::output], 2 * n * d);
  EXPECT_EQ(result.memory[Purpose::partial], 8 * n);
  EXPECT_EQ(result.memory[Purpose::key_value], block);
  EXPECT_EQ(result.memory[Purpose::gradient], 8 * n * d + home);
  EXPECT_EQ(result.memory[Purpose::communication], (buffers.block_buffers - 1) * block + buffers.result_buffers * home);
  // The messages are those buffers' contents.
  EXPECT_EQ(result.hop_bytes, static_cast<double>(block));
  EXPECT_EQ(result.result_hop_bytes, static_cast<double>(home));
  // Forward, queries moving: what comes home is an output with its log-sum-exps, 4 n (d + 1) bytes.
  options.problem.pass = Pass::forward;
  options.problem.moving = Moving::query;
  const Simulation moving = simulate(machine, options);
  EXPECT_EQ(moving.memory[Purpose::output], 4 * n * (d + 1) + 64);
  EXPECT_EQ(moving.result_hop_bytes, static_cast<double>(4 * n * (d + 1) + 64));
  EXPECT_EQ(moving.hop_bytes, static_cast<double>(2 * n * d + 64));
}

TEST(Summary, TheBoundNamesWhatWouldHaveToBeFaster) {
  for (const Schedule schedule : {Schedule::ring, Schedule::bidirectional_ring, Schedule::all_gather}) {
    for (const Pass pass : {Pass::forward, Pass::backward}) {
      SimulationOptions options = ring_options(16, 256);
      options.problem.schedule = schedule;
      options.problem.pass = pass;
      EXPECT_EQ(simulate(simple_machine(1e-9, 1e-9, 1e15), options).bound, "compute");
      EXPECT_EQ(simulate(simple_machine(1e-13, 1e-9, 1e7), options).bound, "bandwidth");
      EXPECT_EQ(simulate(simple_machine(1e-13, 1e-2, 1e15), options).bound, "latency");
    }
  }
}

TEST(Summary, TheBoundLooksAtWholeStepsOfTheSlowestDevice) {
  // Outer hops that take longer than a step's work, and have a round of steps to hide behind.
  SimulationOptions rings = ring_options(16, 256);
  rings.problem.schedule = Schedule::double_ring;
  rings.problem.inner_ring_size = 4;
  machine::Machine nodes = simple_machine(1e-9, 1e-9, 0.7e9);
  simulator_tests::add_nodes(nodes, 4).bandwidth_bytes_per_s = number(1e12);
  const Simulation hidden = simulate(nodes, rings);
  EXPECT_GT(hidden.hop_s, hidden.work_s);
  EXPECT_EQ(hidden.slowest.exposed_communication_s, 0.0);
  EXPECT_EQ(hidden.bound, "compute");
  // A block and a result, each shorter than the work, share a channel that is then busy for longer than it.
  SimulationOptions backward = ring_options(16, 256);
  backward.problem.pass = Pass::backward;
  const Simulation both = simulate(simple_machine(1e-9, 1e-9, 1e9), backward);
  EXPECT_LT(both.hop_s, both.work_s);
  EXPECT_GT(both.slowest.exposed_communication_s, 0.1 * both.time_s);
  EXPECT_EQ(both.bound, "bandwidth");
  // Stragglers whose work takes longer than a hop that hides the others' work.
  SimulationOptions slow = ring_options(1024, 256);
  slow.straggler_share = 0.1;
  slow.straggler_factor = 20.0;
  const machine::Machine slow_links = simple_machine(1e-9, 1e-9, 0.5e9);
  EXPECT_EQ(simulate(slow_links, ring_options(1024, 256)).bound, "bandwidth");
  EXPECT_EQ(simulate(slow_links, slow).bound, "compute");
}

TEST(Summary, ADeviceThatWaitsForASlowerOnesResultIsBoundByWaiting) {
  // The last result comes home from a device ten times slower to one that has long been done.
  SimulationOptions options = ring_options(4, 256);
  options.problem.pass = Pass::backward;
  options.device_speeds = {1.0, 1.0, 1.0, 0.1};
  const Simulation result = simulate(simple_machine(1e-9, 1e-9, 1e15), options);
  EXPECT_NE(result.slowest.rank, 3);
  EXPECT_GT(result.slowest.waiting_s, 0.5 * result.time_s);
  EXPECT_EQ(result.bound, "waiting");
}

TEST(Summary, AnIntervalRestsOnRingsOfTheSameKind) {
  // Rings whose ranks share cores were 20 to 30 % slower than predicted, the others 10 % to 5 % faster.
  machine::Machine machine = simple_machine(1e-9, 1e-9, 1e15);
  machine.core_sharing.cores = 2;
  machine.core_sharing.neighbour_factor = number(1.0);
  machine.core_sharing.idle_share = number(0.0);
  machine.core_sharing.extra_step_s = number(0.0);
  for (const auto &[shares, measured_s] : {std::pair{true, 1.2}, {true, 1.3}, {false, 0.9}, {false, 0.95}}) {
    machine::HoldOut point;
    point.shares_cores = shares;
    point.measured_s = measured_s;
    point.predicted_s = 1.0;
    machine.hold_out.push_back(point);
  }
  SimulationOptions options = ring_options(4, 256);
  const Simulation alone = simulate(machine, options);
  EXPECT_DOUBLE_EQ(alone.time_low_s, 0.9 * alone.time_s);
  EXPECT_DOUBLE_EQ(alone.time_high_s, 0.95 * alone.time_s);
  EXPECT_DOUBLE_EQ(alone.time_confidence, 1.0 / 3.0);
  options.ranks_on_node = 4;
  const Simulation sharing = simulate(machine, options);
  EXPECT_DOUBLE_EQ(sharing.time_low_s, 1.2 * sharing.time_s);
  EXPECT_DOUBLE_EQ(sharing.time_high_s, 1.3 * sharing.time_s);
}

TEST(Summary, GradientsThatNobodyNeedsStayInSinglePrecision) {
  // Replicated queries make gradients of other ranks' keys, in float32 whatever tensors are stored in.
  SimulationOptions options = ring_options(4, 256, Mask::none, Placement::replicated_queries);
  options.problem.pass = Pass::backward;
  const std::int64_t home = 64 + 2 * 256 * 64 * 4;
  EXPECT_EQ(simulate(half_precision(simple_machine(1e-9, 1e-6, 1e9)), options).memory[Purpose::workspace], home);
}

TEST(Summary, LatencyIsThatOfTheHopsThatAreTaken) {
  // Within one node of eight the fabric's long latency is nobody's.
  machine::Machine machine = simple_machine(1e-13, 1.0, 1e15);
  machine::Link &node = simulator_tests::add_nodes(machine, 8);
  node.latency_s = number(1e-9);
  node.bandwidth_bytes_per_s = number(1e7);
  EXPECT_EQ(simulate(machine, ring_options(8, 256)).bound, "bandwidth");
  EXPECT_EQ(simulate(machine, ring_options(16, 256)).bound, "latency");
  // What each message costs whatever its length is latency too, by whichever name.
  machine::Machine overheads = simple_machine(1e-13, 1e-9, 1e15);
  overheads.links[0].per_message_overhead_s = number(1e-2);
  EXPECT_EQ(simulate(overheads, ring_options(16, 256)).bound, "latency");
  SimulationOptions planned = ring_options(16, 256);
  planned.engine = Engine::plan;
  EXPECT_EQ(simulate(overheads, planned).bound, "latency");
}

} // namespace
} // namespace ringscale::simulator
