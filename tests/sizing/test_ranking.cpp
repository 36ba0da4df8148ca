// SPDX-License-Identifier: Apache-2.0
// Times, efficiency and memory of configurations against the simulator and against algebra; the curve over ring sizes.
#include <gmock/gmock.h>

#include <algorithm>

#include "problem/invalid_input.hpp"
#include "sizing/ring_sizes.hpp"
#include "sizing_fixture.hpp"

namespace ringscale::sizing {
namespace {

using schedule::Pass;
using testing::all_passes;
using testing::all_rings;
using testing::small_machine;
using testing::small_workload;

TEST(Evaluation, MemoryIsWhatTheSimulatorStates) {
  for (const char *dtype : {"float32", "bfloat16", "float16"}) {
    machine::Machine machine = small_machine(1e9);
    machine.roofline.arithmetic.front().dtype = dtype;
    machine.roofline.arithmetic.front().element_bytes = std::string(dtype) == "float32" ? 4 : 2;
    for (const Pass pass : {Pass::forward, Pass::backward}) {
      const Workload workload = small_workload(machine, 1, {pass});
      for (const Configuration &configuration : all_rings(machine, 8)) {
        const Evaluation evaluation = evaluate(machine, workload, configuration, 67, configuration.devices());
        ASSERT_TRUE(evaluation.simulated) << describe(configuration) << evaluation.not_simulated;
        EXPECT_EQ(evaluation.memory->total_bytes, evaluation.passes.front().memory_peak_bytes)
            << describe(configuration);
        EXPECT_EQ(evaluation.time_s, evaluation.passes.front().time_s);
      }
    }
  }
}

TEST(Evaluation, SimulatorCountsWhatTheMachineStores) {
  // However the problem names its elements, the machine has two bytes each; gradients among them, headers not.
  machine::Machine machine = small_machine(1e9);
  machine.roofline.arithmetic.front().dtype = "bfloat16";
  machine.roofline.arithmetic.front().element_bytes = 2;
  const Workload workload = small_workload(machine, 1, {Pass::backward});
  for (const Configuration &configuration : all_rings(machine, 4)) {
    simulator::SimulationOptions options = simulation_options(workload, configuration, Pass::backward, 67);
    const memory::MemoryByPurpose stored = simulator::simulate(machine, options).memory;
    options.problem.attention.dtype = problem::DType::float32;
    EXPECT_EQ(simulator::simulate(machine, options).memory, stored) << describe(configuration);
  }
}

TEST(Evaluation, PassesFollowOneAnotherAndMemoryIsThatOfTheLarger) {
  const machine::Machine machine = small_machine(1e9);
  for (const Configuration &configuration : all_rings(machine, 6)) {
    const Evaluation forward = evaluate(machine, small_workload(machine, 1, {Pass::forward}), configuration, 60, 6);
    const Evaluation backward = evaluate(machine, small_workload(machine, 1, {Pass::backward}), configuration, 60, 6);
    const Evaluation both =
        evaluate(machine, small_workload(machine, 1, {Pass::forward, Pass::backward}), configuration, 60, 6);
    EXPECT_DOUBLE_EQ(both.time_s, forward.time_s + backward.time_s);
    EXPECT_EQ(both.memory->total_bytes, std::max(forward.memory->total_bytes, backward.memory->total_bytes));
    EXPECT_EQ(both.bound, backward.bound) << "the longer pass";
    EXPECT_NEAR(both.efficiency * both.time_s,
                forward.efficiency * forward.time_s + backward.efficiency * backward.time_s, 1e-12);
  }
}

TEST(Evaluation, EfficiencyIsWorkOverDevicesTimesTime) {
  // Hops cost next to nothing: r ranks take tokens^2 pair_s / r, whatever the batch does beside.
  const machine::Machine machine = small_machine(1e9, 1e-6, 1e-15, 1e15);
  const Workload workload = small_workload(machine, 6);
  Configuration configuration;
  configuration.ring_size = 4;
  configuration.rings = 2;
  const Evaluation evaluation = evaluate(machine, workload, configuration, 64, 10);
  const double ring_s = 2.0 * 3.0 * 64.0 * 64.0 * 1e-6 / 4.0; // two heads, three entries a ring
  EXPECT_NEAR(evaluation.time_s, ring_s, 1e-6 * ring_s);
  EXPECT_NEAR(evaluation.efficiency, 0.8, 1e-6) << "two of ten devices are idle";
  EXPECT_NEAR(evaluation.tokens_per_s, 6.0 * 64.0 / ring_s, 1e-3);
  EXPECT_EQ(evaluation.chunk_tokens, 16);
}

TEST(Evaluation, IntervalsComeFromTheHoldOut) {
  machine::Machine machine = small_machine(1e9);
  const Workload workload = small_workload(machine, 1, {Pass::forward, Pass::backward});
  Configuration configuration;
  configuration.ring_size = 4;
  const Evaluation without = evaluate(machine, workload, configuration, 64, 4);
  EXPECT_EQ(without.time_low_s, without.time_s);
  EXPECT_EQ(without.time_confidence, 0.0);
  machine::HoldOut fast;
  fast.measured_s = 0.9;
  fast.predicted_s = 1.0;
  machine::HoldOut slow = fast;
  slow.measured_s = 1.5;
  machine.hold_out = {fast, slow, fast};
  const Evaluation with = evaluate(machine, workload, configuration, 64, 4);
  EXPECT_NEAR(with.time_low_s, 0.9 * with.time_s, 1e-12);
  EXPECT_NEAR(with.time_high_s, 1.5 * with.time_s, 1e-12);
  EXPECT_DOUBLE_EQ(with.time_confidence, 0.5);
}

TEST(Evaluation, WhatIsTooLargeIsNotSimulatedAndSaysSo) {
  const machine::Machine machine = small_machine(1e9);
  Workload workload = small_workload(machine);
  workload.most_steps = 63.0; // eight ranks make 64
  Configuration all_gather;
  all_gather.ring_size = 8;
  all_gather.schedule = schedule::Schedule::all_gather;
  const Evaluation evaluation = evaluate(machine, workload, all_gather, 64, 8);
  EXPECT_TRUE(evaluation.fits);
  EXPECT_FALSE(evaluation.simulated);
  EXPECT_THAT(evaluation.not_simulated, ::testing::HasSubstr("most-steps"));
  workload.most_steps = 64.0;
  EXPECT_TRUE(evaluate(machine, workload, all_gather, 64, 8).simulated);
}

TEST(Evaluation, CostsOfSimulation) {
  const machine::Machine machine = small_machine(1e9);
  Workload workload = small_workload(machine);
  Configuration ring;
  ring.ring_size = 16;
  EXPECT_EQ(simulation_cost(workload, ring, 64), 0.0) << "equal devices fold";
  EXPECT_EQ(simulation_cost(workload, ring, 65), 1.0) << "256 pairs of a forward ring";
  ring.placement = schedule::Placement::zigzag;
  EXPECT_EQ(simulation_cost(workload, ring, 80), 1.0) << "32 runs";
  ring.moving = schedule::Moving::query;
  EXPECT_EQ(simulation_cost(workload, ring, 64), 256.0);
  ring = Configuration();
  ring.ring_size = 16;
  workload.attention.mask = problem::Mask::causal;
  EXPECT_EQ(simulation_cost(workload, ring, 64), 1.0) << "under a mask contiguous chunks differ";
}

TEST(Evaluation, LargeUnevenRingsAreRoundedUpToEqualChunks) {
  const machine::Machine machine = small_machine(1e9);
  for (const schedule::Placement placement : {schedule::Placement::contiguous, schedule::Placement::zigzag}) {
    Configuration ring;
    ring.ring_size = 40;
    ring.placement = placement;
    const std::int64_t runs = placement == schedule::Placement::zigzag ? 80 : 40;
    Workload workload = small_workload(machine);
    const Evaluation exact = evaluate(machine, workload, ring, 1001, 40);
    EXPECT_EQ(exact.simulated_tokens, 1001);
    workload.most_steps = 1.0;
    const Evaluation rounded = evaluate(machine, workload, ring, 1001, 40);
    EXPECT_EQ(rounded.simulated_tokens, (1001 + runs - 1) / runs * runs);
    EXPECT_EQ(rounded.memory->total_bytes, exact.memory->total_bytes) << "memory is that of the tokens asked for";
    EXPECT_GE(rounded.time_s, exact.time_s);
    const double fewer = evaluate(machine, workload, ring, 1001 / runs * runs, 40).time_s;
    EXPECT_LE(fewer, exact.time_s);
  }
}

TEST(Evaluation, WorkOfADeviceIsTheSameInEverySchedule) {
  const machine::Machine machine = small_machine(1e9);
  for (const std::vector<Pass> &passes : all_passes) {
    const Workload workload = small_workload(machine, 1, passes);
    for (const Configuration &one : all_rings(machine, 8)) {
      Configuration plain = one;
      plain.schedule = schedule::Schedule::ring;
      plain.inner_ring_size = 1;
      const double expected = work_of_a_device_s(evaluate(machine, workload, plain, 64, 8));
      EXPECT_NEAR(work_of_a_device_s(evaluate(machine, workload, one, 64, 8)), expected, 1e-9 * expected)
          << describe(one);
      EXPECT_LE(expected, evaluate(machine, workload, one, 64, 8).time_s * (1.0 + 1e-9));
    }
  }
}

TEST(Ranking, IsByTimeThenByMemoryAndNothingIsLost) {
  for (const double memory_bytes : {3'000.0, 12'000.0, 1e9}) {
    const machine::Machine machine = small_machine(memory_bytes);
    const Workload workload = small_workload(machine, 2);
    const Ranking ranking = rank_configurations(machine, workload, Allowed(), 120, 8);
    EXPECT_EQ(ranking.ranked.size(), configurations(machine, Allowed(), 8, 2).size());
    for (std::size_t place = 1; place < ranking.ranked.size(); ++place) {
      const Evaluation &before = ranking.ranked[place - 1];
      const Evaluation &after = ranking.ranked[place];
      EXPECT_GE(before.fits, after.fits);
      EXPECT_TRUE(!before.simulated || !after.simulated || before.time_s <= after.time_s);
      EXPECT_TRUE(before.fits || before.memory->total_bytes <= after.memory->total_bytes);
    }
    EXPECT_EQ(ranking.fitting, std::count_if(ranking.ranked.begin(), ranking.ranked.end(), [&](const Evaluation &one) {
                return one.memory->total_bytes <= static_cast<std::int64_t>(memory_bytes);
              }));
  }
}

TEST(Ranking, LeanestIsAmongTheFastest) {
  const machine::Machine machine = small_machine(1e9, 1e-6);
  const Ranking ranking = rank_configurations(machine, small_workload(machine), Allowed(), 240, 8);
  ASSERT_TRUE(ranking.leanest.has_value());
  const double best_s = ranking.ranked.front().time_s;
  std::int64_t near = 0;
  for (const Evaluation &one : ranking.ranked) {
    if (one.time_s <= 1.01 * best_s) {
      ++near;
      EXPECT_GE(one.memory->total_bytes, ranking.leanest->memory->total_bytes);
    }
  }
  EXPECT_EQ(ranking.near_the_best, near);
  EXPECT_LE(ranking.leanest->time_s, 1.01 * best_s);
  EXPECT_LT(ranking.leanest->memory->total_bytes, ranking.ranked.back().memory->total_bytes);
}

TEST(Ranking, CurveHasTheBestOfEveryRingSize) {
  const machine::Machine machine = small_machine(1e9);
  const Workload workload = small_workload(machine, 8);
  const Ranking ranking = rank_configurations(machine, workload, Allowed(), 64, 8);
  ASSERT_EQ(ranking.by_ring_size.size(), 4U);
  for (std::size_t place = 0; place < 4; ++place) {
    const Evaluation &best = ranking.by_ring_size[place];
    EXPECT_EQ(best.configuration.ring_size, std::int64_t{1} << place);
    EXPECT_EQ(best.configuration.devices(), 8);
    for (const Evaluation &other : ranking.ranked) {
      if (other.configuration.ring_size == best.configuration.ring_size) {
        EXPECT_GE(other.time_s, best.time_s);
      }
    }
  }
}

TEST(Ranking, OptimumMovesWithTheLinks) {
  // One sequence on sixteen devices in nodes of four. Free links: all devices. Links between nodes that cost more than
  // they bring: one node. Links that cost more than the whole layer: one device, the others idle.
  const auto best_ring = [](double latency_s) {
    const machine::Machine machine = small_machine(1e9, 1e-6, latency_s, 1e15);
    return rank_configurations(machine, small_workload(machine), Allowed(), 64, 16)
        .ranked.front()
        .configuration.ring_size;
  };
  EXPECT_EQ(best_ring(1e-12), 16);
  EXPECT_EQ(best_ring(4e-4), 4);
  EXPECT_EQ(best_ring(1.0), 1);
}

TEST(Ranking, AWholeBatchBesideOneAnotherNeedsNoRing) {
  // Eight sequences on eight devices: the bytes of a device are the same in any ring, but for the second block buffer.
  const machine::Machine machine = small_machine(1e9);
  const Ranking ranking = rank_configurations(machine, small_workload(machine, 8), Allowed(), 64, 8);
  EXPECT_EQ(ranking.ranked.front().configuration.ring_size, 1);
  EXPECT_EQ(ranking.ranked.front().configuration.rings, 8);
  for (const Evaluation &other : ranking.by_ring_size) {
    EXPECT_GE(other.memory->total_bytes, ranking.ranked.front().memory->total_bytes);
  }
}

TEST(Ranking, FullLinksArePreferredToHalfOfThem) {
  // Two times the bandwidth bound: both directions of a link take half the time of one.
  const machine::Machine machine = small_machine(1e9, 1e-15, 1e-12, 1e6);
  Allowed allowed;
  allowed.schedules = {schedule::Schedule::ring, schedule::Schedule::bidirectional_ring};
  allowed.placements = {schedule::Placement::contiguous};
  allowed.movings = {schedule::Moving::key_value};
  const Ranking ranking = rank_configurations(machine, small_workload(machine), allowed, 4096, 16);
  const Evaluation &best = *std::find_if(ranking.ranked.begin(), ranking.ranked.end(),
                                         [](const Evaluation &one) { return one.configuration.ring_size == 16; });
  EXPECT_EQ(best.configuration.schedule, schedule::Schedule::bidirectional_ring);
  EXPECT_EQ(best.bound, "bandwidth");
  EXPECT_THAT(explain_bound(best), ::testing::StartsWith("bandwidth: a step's messages take"));
}

TEST(Ranking, RefusesBadQuestions) {
  const machine::Machine machine = small_machine(1e9);
  const Workload workload = small_workload(machine);
  EXPECT_THROW((void)rank_configurations(machine, workload, Allowed(), 0, 4), problem::InvalidInput);
  EXPECT_THROW((void)rank_configurations(machine, workload, Allowed(), 4, 0), problem::InvalidInput);
  // Rings of rings have eight ranks at least, so three tokens leave nothing to rank.
  Allowed double_rings;
  double_rings.schedules = {schedule::Schedule::double_ring};
  EXPECT_THROW((void)rank_configurations(machine, workload, double_rings, 3, 16), problem::InvalidInput);
}

} // namespace
} // namespace ringscale::sizing
