// SPDX-License-Identifier: Apache-2.0
// Equal ranks of any schedule folded into one period against all ranks computed, and what must not fold.
#include <gtest/gtest.h>

#include <string>

#include "simulator/plan_engine.hpp"
#include "tests/simulator/draw.hpp"
#include "tests/simulator/example_machines.hpp"
#include "tests/simulator/random_links.hpp"

namespace ringscale::simulator {
namespace {

using problem::Mask;
using schedule::Placement;
using schedule::Schedule;
using simulator_tests::add_nodes;
using simulator_tests::add_random_levels;
using simulator_tests::Draw;
using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

/// Nodes of some devices inside racks of some nodes, or neither.
machine::Machine random_machine(Draw &draw) {
  machine::Machine machine = simple_machine(1e-9, draw.between(0.0, 1e-5), draw.between(1e8, 1e10));
  machine.overlap.hidden_fraction = number(draw.coin() ? 1.0 : draw.between(-0.5, 1.0));
  machine.merge.fused = draw.coin();
  machine.merge.per_element_s = number(draw.between(0.0, 1e-10));
  machine.step_fixed_s = number(draw.between(0.0, 3e-6));
  machine.links[0].sharing = number(draw.coin() ? 0.0 : draw.between(0.0, 1.0));
  add_random_levels(machine, draw, 4, 1.0);
  machine.core_sharing.cores = draw.coin() ? 0 : 1 + draw.below(4);
  machine.core_sharing.neighbour_factor = number(draw.between(1.0, 1.5));
  return machine;
}

SimulationOptions random_options(Draw &draw) {
  const Schedule schedules[] = {Schedule::ring, Schedule::bidirectional_ring, Schedule::double_ring,
                                Schedule::all_gather};
  const Placement placements[] = {Placement::contiguous, Placement::zigzag, Placement::striped};
  const std::int64_t inner = 1 + draw.below(6);
  SimulationOptions options =
      ring_options(inner * (1 + draw.below(12)), 8 * (1 + draw.below(20)), Mask::none, placements[draw.below(3)]);
  schedule::RingProblem &problem = options.problem;
  problem.schedule = schedules[draw.below(4)];
  problem.inner_ring_size = problem.schedule == Schedule::double_ring ? inner : 1;
  problem.pass = draw.coin() ? schedule::Pass::forward : schedule::Pass::backward;
  problem.moving =
      draw.coin() && problem.pass == schedule::Pass::forward ? schedule::Moving::query : schedule::Moving::key_value;
  const schedule::MessageLayout layouts[] = {schedule::MessageLayout::stored_packed, schedule::MessageLayout::separate,
                                             schedule::MessageLayout::copied};
  problem.layout = problem.moving == schedule::Moving::query ? layouts[0] : layouts[draw.below(3)];
  problem.attention.mask = problem.placement == Placement::zigzag && draw.coin() ? Mask::causal : Mask::none;
  problem.attention.kv_heads = 1 + draw.below(2);
  problem.attention.query_heads = 2 * problem.attention.kv_heads;
  options.ranks_on_node = draw.coin() ? 0 : draw.below(9);
  return options;
}

PlanFinish run(const machine::Machine &machine, const SimulationOptions &options, std::int64_t period) {
  const PlanCosts costs(machine, options);
  StreamedSteps source(options.problem, period);
  return run_plan(costs, options, plan_tick_scale(costs, options, 36), source, nullptr, period);
}

/// The first rank whose ticks, or parts of them, are not those of the rank that stands for it; -1 for none.
std::int64_t first_difference(const PlanFinish &folded, const PlanFinish &whole) {
  const std::size_t period = folded.ticks.size();
  for (std::size_t rank = 0; rank < whole.ticks.size(); ++rank) {
    const std::size_t stands = rank % period;
    if (folded.ticks[stands] != whole.ticks[rank] || folded.work[stands] != whole.work[rank] ||
        folded.addition[stands] != whole.addition[rank] || folded.exposed[stands] != whole.exposed[rank] ||
        folded.merge_s[stands] != whole.merge_s[rank]) {
      return static_cast<std::int64_t>(rank);
    }
  }
  return -1;
}

TEST(PlanPeriod, FoldedEqualsAllRanksToTheLastBit) {
  int folded_rings = 0;
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    Draw draw(seed, 0x706572696F64U);
    const machine::Machine machine = random_machine(draw);
    const SimulationOptions options = random_options(draw);
    const std::int64_t ring_size = options.problem.ring_size;
    const std::int64_t period = plan_period(PlanCosts(machine, options), options);
    ASSERT_EQ(ring_size % period, 0);
    if (period == ring_size) {
      continue;
    }
    ++folded_rings;
    const PlanFinish whole = run(machine, options, ring_size);
    const PlanFinish folded = run(machine, options, period);
    const std::string label = "seed " + std::to_string(seed) + " P=" + std::to_string(ring_size) + " period " +
                              std::to_string(period) + " " + std::string(schedule::name(options.problem.schedule));
    ASSERT_EQ(first_difference(folded, whole), -1) << label;
    ASSERT_EQ(folded.block_messages, whole.block_messages) << label;
    ASSERT_EQ(folded.result_messages, whole.result_messages) << label;
    ASSERT_EQ(folded.most_block_messages, whole.most_block_messages) << label;
    ASSERT_EQ(folded.most_result_messages, whole.most_result_messages) << label;
    ASSERT_EQ(folded.longest_block_s, whole.longest_block_s) << label;
    ASSERT_NEAR(folded.nominal_work_s, whole.nominal_work_s, 1e-12 * whole.nominal_work_s) << label;
  }
  EXPECT_GT(folded_rings, 200);
}

TEST(PlanPeriodControl, APeriodThatOverlooksNodesOrInnerRingsIsSeen) {
  machine::Machine machine = simple_machine(1e-9, 1e-6, 1e8);
  add_nodes(machine, 4).bandwidth_bytes_per_s = number(1e9);
  SimulationOptions options = ring_options(24, 32);
  for (const Schedule schedule : {Schedule::ring, Schedule::bidirectional_ring, Schedule::double_ring}) {
    options.problem.schedule = schedule;
    options.problem.inner_ring_size = schedule == Schedule::double_ring ? 6 : 1;
    const PlanFinish whole = run(machine, options, 24);
    EXPECT_EQ(first_difference(run(machine, options, schedule == Schedule::double_ring ? 12 : 4), whole), -1);
    EXPECT_GE(first_difference(run(machine, options, 3), whole), 0) << schedule::name(schedule);
  }
}

TEST(PlanPeriodControl, RanksThatDifferDoNotFold) {
  const machine::Machine machine = simple_machine(1e-9, 1e-6, 1e9);
  const auto period = [&](const SimulationOptions &options) {
    return plan_period(PlanCosts(machine, options), options);
  };
  const SimulationOptions even = ring_options(12, 32);
  EXPECT_EQ(period(even), 1);
  const auto changed = [&](auto change) {
    SimulationOptions options = even;
    change(options);
    return period(options);
  };
  EXPECT_EQ(changed([](auto &options) { options.jitter = 0.01; }), 12);
  EXPECT_EQ(changed([](auto &options) { options.speed_spread = 0.01; }), 12);
  EXPECT_EQ(changed([](auto &options) { options.device_speeds.assign(12, 1.0); }), 12);
  EXPECT_EQ(changed([](auto &options) { options.problem.attention.tokens += 1; }), 12);
  EXPECT_EQ(changed([](auto &options) { options.problem.placement = Placement::replicated_queries; }), 1);
  EXPECT_EQ(changed([](auto &options) { // queries of all alike, keys not
              options.problem.placement = Placement::replicated_queries;
              options.problem.attention.tokens += 1;
            }),
            12);
  EXPECT_EQ(changed([](auto &options) { options.problem.attention.mask = Mask::causal; }), 12);
  EXPECT_EQ(changed([](auto &options) { options.problem.hops = schedule::Hops::needed; }), 12);
  EXPECT_EQ(changed([](auto &options) {
              options.problem.attention.mask = Mask::causal;
              options.problem.placement = Placement::zigzag;
            }),
            1);
}

TEST(PlanPeriod, AQuarterMillionDevicesOfADoubleRing) {
  // Nothing but work counts on a free network, whatever the schedule: P steps of one tile each.
  const machine::Machine machine = simple_machine(1e-9, 0.0, 1e300);
  SimulationOptions options = ring_options(262144, 16);
  options.problem.schedule = Schedule::double_ring;
  options.problem.inner_ring_size = 8;
  const Simulation result = simulate(machine, options);
  EXPECT_EQ(result.engine, "plan");
  EXPECT_EQ(result.steps_computed, 8.0 * 262144.0);
  EXPECT_EQ(result.hops_per_device, 262143.0);
  EXPECT_NEAR(result.time_s, 262144.0 * 16.0 * 16.0 * 1e-9, 1e-9 * result.time_s);
}

} // namespace
} // namespace ringscale::simulator
