// SPDX-License-Identifier: Apache-2.0
// The plan engine against the plain engine, against whole plans, and against plans that were damaged.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "problem/invalid_input.hpp"
#include "simulator/engines.hpp"
#include "simulator/plan_engine.hpp"
#include "tests/simulator/draw.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::simulator {
namespace {

using problem::Mask;
using schedule::Hops;
using schedule::Moving;
using schedule::Pass;
using schedule::Placement;
using schedule::RingPlan;
using schedule::RingProblem;
using schedule::Schedule;
using simulator_tests::add_nodes;
using simulator_tests::Draw;
using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

constexpr std::uint64_t draw_stream = 0x706C616EU;

machine::Machine random_machine(Draw &draw) {
  machine::Machine machine = simple_machine(1e-9, draw.between(0.0, 1e-5), draw.between(1e8, 1e10));
  machine.roofline.launch_s = number(draw.between(0.0, 2e-6));
  machine.overlap.hidden_fraction = number(draw.coin() ? 1.0 : draw.between(-0.5, 1.0));
  machine.merge.fused = draw.coin();
  machine.merge.fixed_s = number(draw.between(0.0, 1e-6));
  machine.merge.per_element_s = number(draw.between(0.0, 1e-10));
  machine.step_fixed_s = number(draw.between(0.0, 3e-6));
  machine.links[0].sharing = number(draw.coin() ? 0.0 : draw.between(0.0, 1.0));
  machine.links[0].per_message_overhead_s = number(draw.between(0.0, 1e-6));
  machine.footprint.key_tile_tokens = 1 + draw.below(64);
  if (draw.coin()) {
    machine::Link &inside = add_nodes(machine, 2 + draw.below(7));
    inside.bandwidth_bytes_per_s.value *= draw.between(1.0, 20.0);
  }
  if (draw.coin()) {
    machine.core_sharing.cores = 1 + draw.below(4);
    machine.core_sharing.neighbour_factor = number(draw.between(1.0, 1.5));
    machine.core_sharing.idle_share = number(draw.between(0.0, 1.0));
    machine.core_sharing.extra_step_s = number(draw.between(0.0, 1e-6));
  }
  return machine;
}

SimulationOptions random_options(Draw &draw, std::int64_t most_ranks) {
  const Placement placements[] = {Placement::contiguous, Placement::zigzag, Placement::striped,
                                  Placement::replicated_queries};
  SimulationOptions options = ring_options(1 + draw.below(most_ranks), 8 + draw.below(120),
                                           draw.coin() ? Mask::none : Mask::causal, placements[draw.below(4)]);
  options.problem.attention.tokens += draw.below(options.problem.ring_size);
  options.problem.attention.batch = 1 + draw.below(2);
  options.problem.attention.kv_heads = 1 + draw.below(2);
  options.problem.attention.query_heads = 2 * options.problem.attention.kv_heads;
  options.speed_spread = draw.coin() ? 0.0 : draw.between(0.0, 0.3);
  options.jitter = draw.coin() ? 0.0 : draw.between(0.0, 0.2);
  options.ranks_on_node = draw.coin() ? 0 : draw.below(9);
  options.seed = static_cast<std::uint64_t>(draw.below(1000));
  return options;
}

std::vector<std::int64_t> plan_ticks(const machine::Machine &machine, const SimulationOptions &options,
                                     const TickScale &scale) {
  const PlanCosts costs(machine, options);
  StreamedSteps steps(options.problem);
  return run_plan(costs, options, scale, steps).ticks;
}

TEST(PlanEngine, EqualsThePlainEngineToTheLastBitOnRandomMachines) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Draw draw(seed, draw_stream);
    const machine::Machine machine = random_machine(draw);
    SimulationOptions options = random_options(draw, 40);
    options.problem.schedule = draw.below(8) == 0 ? Schedule::local_only : Schedule::ring;
    const RingCosts costs(machine, options);
    const TickScale scale = TickScale::of(costs, options, 36);
    ASSERT_EQ(plan_ticks(machine, options, scale), run_plain(costs, options, scale).ticks) << "seed " << seed;
  }
}

TEST(PlanEngine, EqualsThePlainEngineOnALargeRing) {
  Draw draw(7, draw_stream);
  machine::Machine machine = random_machine(draw);
  machine.core_sharing = {};
  SimulationOptions options = ring_options(1025, 64, Mask::causal, Placement::zigzag);
  options.jitter = 0.1;
  options.speed_spread = 0.05;
  const RingCosts costs(machine, options);
  const TickScale scale = TickScale::of(costs, options, 36);
  EXPECT_EQ(plan_ticks(machine, options, scale), run_plain(costs, options, scale).ticks);
}

TEST(PlanEngineControl, AnotherSeedOrCostIsSeenByTheComparison) {
  Draw draw(11, draw_stream);
  const machine::Machine machine = random_machine(draw);
  SimulationOptions options = ring_options(16, 64);
  options.jitter = 0.1;
  const RingCosts costs(machine, options);
  const TickScale scale = TickScale::of(costs, options, 36);
  const std::vector<std::int64_t> plain = run_plain(costs, options, scale).ticks;
  ASSERT_EQ(plan_ticks(machine, options, scale), plain);
  options.seed += 1;
  EXPECT_NE(plan_ticks(machine, options, scale), plain);
  options.seed -= 1;
  machine::Machine slower = machine;
  slower.step_fixed_s.value += 1e-7;
  EXPECT_NE(plan_ticks(slower, options, scale), plain);
}

std::vector<RingPlan> plans_of(const RingProblem &problem) {
  std::vector<RingPlan> plans;
  for (std::int64_t rank = 0; rank < problem.ring_size; ++rank) {
    plans.push_back(schedule::ring_plan(problem, rank));
  }
  return plans;
}

SimulationOptions random_schedule(Draw &draw) {
  const Schedule schedules[] = {Schedule::ring, Schedule::bidirectional_ring, Schedule::double_ring,
                                Schedule::all_gather, Schedule::local_only};
  SimulationOptions options = random_options(draw, 24);
  RingProblem &problem = options.problem;
  problem.schedule = schedules[draw.below(5)];
  problem.inner_ring_size = 1;
  while (problem.schedule == Schedule::double_ring && problem.ring_size > 1 &&
         (draw.coin() || problem.ring_size % problem.inner_ring_size != 0)) {
    problem.inner_ring_size = 1 + draw.below(problem.ring_size);
  }
  while (problem.ring_size % problem.inner_ring_size != 0) {
    --problem.inner_ring_size;
  }
  problem.moving =
      draw.coin() && problem.placement != Placement::replicated_queries ? Moving::query : Moving::key_value;
  problem.pass = draw.coin() ? Pass::backward : Pass::forward;
  problem.hops = draw.coin() ? Hops::needed : Hops::all;
  const schedule::MessageLayout layouts[] = {schedule::MessageLayout::stored_packed, schedule::MessageLayout::separate,
                                             schedule::MessageLayout::copied};
  problem.layout = problem.moving == Moving::query ? layouts[0] : layouts[draw.below(3)];
  if (draw.below(3) == 0 && problem.placement != Placement::striped) {
    problem.pattern.kind = problem::PatternKind::block_sparse;
    problem.pattern.block_sparse.window_tokens = 64 * (1 + draw.below(4));
    problem.attention.tokens = 128 * problem.ring_size;
  } else if (draw.below(3) == 0 && problem.placement != Placement::striped) {
    problem.pattern.kind = problem::PatternKind::dilated;
    problem.pattern.dilated = {{32, 256}, {1, 2}, problem::DilationConvention::longnet};
  }
  return options;
}

std::string label(const RingProblem &problem, std::uint64_t seed) {
  return "seed " + std::to_string(seed) + " " + std::string(schedule::name(problem.schedule)) + "/" +
         std::to_string(problem.inner_ring_size) + " " + std::string(schedule::name(problem.moving)) + " " +
         std::string(schedule::name(problem.pass)) + " hops " + std::string(schedule::name(problem.hops)) + " " +
         std::string(schedule::name(problem.placement)) + " P=" + std::to_string(problem.ring_size);
}

TEST(PlanEngine, StreamedStepsEqualWholePlans) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Draw draw(1000 + seed, draw_stream);
    const machine::Machine machine = random_machine(draw);
    const SimulationOptions options = random_schedule(draw);
    const PlanCosts costs(machine, options);
    const TickScale scale = plan_tick_scale(costs, options, 36);
    StreamedSteps streamed(options.problem);
    PlannedSteps planned(options.problem, plans_of(options.problem));
    const PlanFinish one = run_plan(costs, options, scale, streamed);
    const PlanFinish other = run_plan(costs, options, scale, planned);
    ASSERT_EQ(one.ticks, other.ticks) << label(options.problem, seed);
    ASSERT_EQ(one.block_messages, other.block_messages) << label(options.problem, seed);
    ASSERT_EQ(one.result_messages, other.result_messages) << label(options.problem, seed);
    ASSERT_EQ(one.addition, other.addition) << label(options.problem, seed);
    ASSERT_EQ(one.most_block_messages, other.most_block_messages) << label(options.problem, seed);
    for (const std::int64_t ticks : one.ticks) {
      ASSERT_LE(ticks, scale.longest_step * (schedule::step_count(options.problem) + 1))
          << label(options.problem, seed);
    }
  }
}

/// Slowest rank's ticks of a communication-bound ring after `damage` to its plans.
std::int64_t damaged(Schedule schedule, Pass pass, const std::function<void(std::vector<RingPlan> &)> &damage) {
  const machine::Machine machine = simple_machine(1e-9, 1e-6, 1e7);
  SimulationOptions options = ring_options(6, 64);
  options.problem.schedule = schedule;
  options.problem.inner_ring_size = schedule == Schedule::double_ring ? 3 : 1;
  options.problem.pass = pass;
  std::vector<RingPlan> plans = plans_of(options.problem);
  damage(plans);
  const PlanCosts costs(machine, options);
  const TickScale scale = plan_tick_scale(costs, options, 30);
  PlannedSteps planned(options.problem, std::move(plans));
  const PlanFinish finish = run_plan(costs, options, scale, planned);
  return *std::max_element(finish.ticks.begin(), finish.ticks.end());
}

/// Takes the message from rank 2 in step 1 out of both plans.
void lose_a_hop(std::vector<RingPlan> &plans) {
  const schedule::BlockMessage lost = plans[2].steps[1].sends.front();
  plans[2].steps[1].sends.erase(plans[2].steps[1].sends.begin());
  auto &receives = plans[static_cast<std::size_t>(lost.peer)].steps[1].receives;
  std::erase_if(receives, [](const schedule::BlockMessage &message) { return message.peer == 2; });
}

TEST(PlanEngineControl, ALostHopChangesTheTimeOrIsRefused) {
  const auto nothing = [](std::vector<RingPlan> &) {};
  for (const Schedule schedule : {Schedule::ring, Schedule::bidirectional_ring, Schedule::double_ring}) {
    const std::int64_t whole = damaged(schedule, Pass::forward, nothing);
    // All hops of all ranks are lost in one step: the step then takes no communication at all.
    EXPECT_LT(damaged(schedule, Pass::forward,
                      [](std::vector<RingPlan> &plans) {
                        for (RingPlan &plan : plans) {
                          plan.steps[1].sends.clear();
                          plan.steps[1].receives.clear();
                        }
                      }),
              whole);
    EXPECT_THROW(
        damaged(schedule, Pass::forward, [](std::vector<RingPlan> &plans) { plans[2].steps[1].sends.clear(); }),
        problem::InvalidInput);
    EXPECT_THROW(damaged(schedule, Pass::backward,
                         [](std::vector<RingPlan> &plans) { plans[3].steps[2].result_receives.clear(); }),
                 problem::InvalidInput);
  }
  // One hop less sets two ranks free earlier; the message count says so even where others set the pace.
  RingProblem problem = ring_options(6, 64).problem;
  std::vector<RingPlan> plans = plans_of(problem);
  lose_a_hop(plans);
  const machine::Machine machine = simple_machine(1e-9, 1e-6, 1e7);
  const SimulationOptions options = ring_options(6, 64);
  const PlanCosts costs(machine, options);
  PlannedSteps planned(problem, std::move(plans));
  EXPECT_EQ(run_plan(costs, options, plan_tick_scale(costs, options, 30), planned).block_messages, 29.0);
}

TEST(PlanEngineControl, ASwappedChannelIsSeen) {
  // Both ways round on one channel: the messages queue, and the ring takes longer.
  const auto nothing = [](std::vector<RingPlan> &) {};
  const auto one_channel = [](std::vector<RingPlan> &plans) {
    for (RingPlan &plan : plans) {
      for (schedule::RankStep &step : plan.steps) {
        for (schedule::BlockMessage &message : step.sends) {
          message.channel = 0;
        }
        for (schedule::BlockMessage &message : step.receives) {
          message.channel = 0;
        }
      }
    }
  };
  for (const Schedule schedule : {Schedule::bidirectional_ring, Schedule::double_ring}) {
    EXPECT_GT(damaged(schedule, Pass::forward, one_channel), damaged(schedule, Pass::forward, nothing));
  }
  // The receiver expects another channel than the sender used.
  EXPECT_THROW(damaged(Schedule::bidirectional_ring, Pass::forward,
                       [](std::vector<RingPlan> &plans) { plans[0].steps[0].sends[0].channel ^= 1; }),
               problem::InvalidInput);
}

TEST(PlanEngine, LinearMemoryTakesFourThousandRanks) {
  SimulationOptions options = ring_options(4096, 16);
  options.problem.schedule = Schedule::all_gather;
  options.engine = Engine::plan;
  const Simulation result = simulate(simple_machine(1e-9, 0.0, 1e300), options);
  EXPECT_NEAR(result.time_s, 4096.0 * 16.0 * 16.0 * 1e-9, 1e-9 * result.time_s);
  EXPECT_EQ(result.hops, 4096.0 * 4095.0);
  EXPECT_EQ(result.engine, "plan");
}

} // namespace
} // namespace ringscale::simulator
