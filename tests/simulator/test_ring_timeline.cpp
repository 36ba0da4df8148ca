// SPDX-License-Identifier: Apache-2.0
// Timelines of simulated rings against the engines' ticks, against the breakdown, and with their limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <string>

#include "problem/invalid_input.hpp"
#include "simulator/engines.hpp"
#include "simulator/plan_engine.hpp"
#include "simulator/ring_timeline.hpp"
#include "tests/simulator/draw.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::simulator {
namespace {

using problem::Mask;
using schedule::Activity;
using schedule::Schedule;
using schedule::Timeline;
using schedule::TimelineMessage;
using schedule::TimelineSelection;
using schedule::TimelineSlice;
using simulator_tests::Draw;
using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

constexpr std::uint64_t draw_stream = 0x74726163U;

machine::Machine random_machine(Draw &draw) {
  machine::Machine machine = simple_machine(1e-9, draw.between(0.0, 1e-5), draw.between(1e8, 1e10));
  machine.overlap.hidden_fraction = number(draw.coin() ? 1.0 : draw.between(-0.5, 1.0));
  machine.merge.fused = draw.coin();
  machine.merge.fixed_s = number(draw.between(0.0, 1e-6));
  machine.merge.per_element_s = number(draw.between(0.0, 1e-10));
  machine.step_fixed_s = number(draw.between(0.0, 3e-6));
  return machine;
}

SimulationOptions random_options(Draw &draw) {
  SimulationOptions options =
      ring_options(1 + draw.below(12), 16 + draw.below(100), draw.coin() ? Mask::none : Mask::causal,
                   draw.coin() ? schedule::Placement::zigzag : schedule::Placement::contiguous);
  options.speed_spread = draw.coin() ? 0.0 : draw.between(0.0, 0.3);
  options.jitter = draw.coin() ? 0.0 : draw.between(0.0, 0.2);
  options.seed = static_cast<std::uint64_t>(draw.below(1000));
  return options;
}

TimelineSelection all_ranks(const SimulationOptions &options) {
  TimelineSelection selection;
  selection.ranks.resize(static_cast<std::size_t>(options.problem.ring_size));
  std::iota(selection.ranks.begin(), selection.ranks.end(), 0);
  return selection;
}

std::map<std::int64_t, std::vector<TimelineSlice>> by_rank(const Timeline &timeline) {
  std::map<std::int64_t, std::vector<TimelineSlice>> slices;
  for (const TimelineSlice &slice : timeline.slices) {
    slices[slice.rank].push_back(slice);
  }
  return slices;
}

/// Slices of every rank lie end to end from 0; returns when each rank ends.
std::vector<double> ends_of(const Timeline &timeline) {
  std::vector<double> ends;
  for (const auto &[rank, slices] : by_rank(timeline)) {
    double end_s = 0.0;
    for (const TimelineSlice &slice : slices) {
      EXPECT_EQ(slice.begin_s, end_s) << "rank " << rank << ", step " << slice.step;
      EXPECT_GT(slice.end_s, slice.begin_s);
      end_s = slice.end_s;
    }
    ends.push_back(end_s);
  }
  return ends;
}

TEST(RingTimeline, EndsWithThePlainEngineToTheLastBit) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Draw draw(seed, draw_stream);
    const machine::Machine machine = random_machine(draw);
    SimulationOptions options = random_options(draw);
    options.engine = Engine::plain;
    const Simulation result = simulate(machine, options);
    ASSERT_EQ(result.engine, "plain");
    const RingCosts costs(machine, options);
    const Finish finish = run_plain(costs, options, TickScale{result.tick_s, 0});
    const std::vector<double> ends =
        ends_of(ring_timeline(machine::Fleet(machine, options.problem.ring_size), options, result, all_ranks(options)));
    ASSERT_EQ(ends.size(), finish.ticks.size()) << "seed " << seed;
    for (std::size_t rank = 0; rank < ends.size(); ++rank) {
      ASSERT_EQ(ends[rank], static_cast<double>(finish.ticks[rank]) * result.tick_s) << "seed " << seed;
    }
  }
}

TEST(RingTimeline, FitsTheFoldedAndTheBlockedEngine) {
  const machine::Machine machine = simple_machine(1e-9, 3e-6, 1e9);
  SimulationOptions options = ring_options(1200, 64);
  for (const double jitter : {0.0, 0.1}) {
    options.jitter = jitter;
    const Simulation result = simulate(machine, options);
    EXPECT_EQ(result.engine, jitter > 0.0 ? "blocked" : "folded");
    TimelineSelection selection;
    selection.ranks = {0, 7, 1199};
    const std::vector<double> ends =
        ends_of(ring_timeline(machine::Fleet(machine, options.problem.ring_size), options, result, selection));
    ASSERT_EQ(ends.size(), 3U);
    for (const double end_s : ends) {
      EXPECT_LE(end_s, result.time_s);
      EXPECT_GE(end_s, result.finish.p0_s);
    }
  }
}

/// Seconds of a rank by activity.
std::map<Activity, double> sums_of(const Timeline &timeline, std::int64_t rank) {
  std::map<Activity, double> sums;
  for (const TimelineSlice &slice : timeline.slices) {
    if (slice.rank == rank) {
      sums[slice.activity] += slice.end_s - slice.begin_s;
    }
  }
  return sums;
}

/// Each part of work alone, not their sum.
void expect_parts_of_work(std::map<Activity, double> sums, const Breakdown &breakdown, double near,
                          std::uint64_t seed) {
  EXPECT_NEAR(sums[Activity::compute], breakdown.compute_s, near) << "seed " << seed;
  EXPECT_NEAR(sums[Activity::merge] + sums[Activity::join], breakdown.merge_s, near) << "seed " << seed;
  EXPECT_NEAR(sums[Activity::fixed], breakdown.fixed_s, near) << "seed " << seed;
}

TEST(RingTimeline, AddsUpToTheBreakdown) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Draw draw(1000 + seed, draw_stream);
    const machine::Machine machine = random_machine(draw);
    SimulationOptions options = random_options(draw);
    options.engine = Engine::plan;
    const Schedule schedules[] = {Schedule::ring, Schedule::bidirectional_ring, Schedule::all_gather};
    options.problem.schedule = schedules[draw.below(3)];
    options.problem.pass = draw.coin() ? schedule::Pass::forward : schedule::Pass::backward;
    const Simulation result = simulate(machine, options);
    const Timeline timeline =
        ring_timeline(machine::Fleet(machine, options.problem.ring_size), options, result, all_ranks(options));
    ends_of(timeline);
    std::map<Activity, double> sums = sums_of(timeline, result.slowest.rank);
    const double near = 1e-9 * result.time_s;
    EXPECT_NEAR(sums[Activity::exposed], result.slowest.exposed_communication_s, near) << "seed " << seed;
    EXPECT_NEAR(sums[Activity::wait], result.slowest.waiting_s, near) << "seed " << seed;
    expect_parts_of_work(sums, result.slowest, near, seed);
  }
}

/// A forward ring: the breakdown of the other engines, whose parts follow from the costs of one rank.
TEST(RingTimeline, AddsUpToTheBreakdownOfTheOtherEngines) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Draw draw(2000 + seed, draw_stream);
    const machine::Machine machine = random_machine(draw);
    SimulationOptions options = random_options(draw);
    options.engine = draw.coin() ? Engine::plain : Engine::automatic;
    options.straggler_share = draw.coin() ? 0.3 : 0.0;
    options.straggler_factor = 3.0;
    const Simulation result = simulate(machine, options);
    ASSERT_NE(result.engine, "plan");
    TimelineSelection selection;
    selection.ranks = {result.slowest.rank};
    const Timeline timeline =
        ring_timeline(machine::Fleet(machine, options.problem.ring_size), options, result, selection);
    // Borders of parts are rounded to ticks.
    const double near = 1e-9 * result.time_s + 2.0 * static_cast<double>(options.problem.ring_size) * result.tick_s;
    expect_parts_of_work(sums_of(timeline, result.slowest.rank), result.slowest, near, seed);
  }
}

/// Negative control: splitting work by its costs without jitter, as if the fixed term did not vary, is seen.
TEST(RingTimelineControl, PartsWithoutJitterAreNotThoseOfTheTrace) {
  machine::Machine machine = simple_machine(1e-9, 1e-6, 1e9);
  machine.step_fixed_s = number(3e-6);
  SimulationOptions options = ring_options(6, 32);
  options.jitter = 0.2;
  for (const Engine engine : {Engine::plain, Engine::plan}) {
    options.engine = engine;
    const Simulation result = simulate(machine, options);
    const Timeline timeline =
        ring_timeline(machine::Fleet(machine, options.problem.ring_size), options, result, all_ranks(options));
    const double fixed_s = sums_of(timeline, result.slowest.rank)[Activity::fixed];
    EXPECT_GT(std::abs(fixed_s - 6 * 3e-6), 1e-3 * fixed_s);
    EXPECT_NEAR(fixed_s, result.slowest.fixed_s, 1e-6 * fixed_s);
  }
}

TEST(RingTimeline, NamesBlocksPairsAndMessages) {
  machine::Machine machine = simple_machine(1e-6, 1e-6, 1e9);
  machine.step_fixed_s = number(2e-6);
  const SimulationOptions options = ring_options(3, 8, Mask::causal);
  const Simulation result = simulate(machine, options);
  const Timeline timeline =
      ring_timeline(machine::Fleet(machine, options.problem.ring_size), options, result, all_ranks(options));
  double pairs = 0.0;
  for (const TimelineSlice &slice : timeline.slices) {
    if (slice.activity == Activity::compute) {
      EXPECT_EQ(slice.owner, (slice.rank - slice.step + 3) % 3);
      pairs += slice.pairs;
    } else if (slice.activity == Activity::fixed) {
      EXPECT_NEAR(slice.end_s - slice.begin_s, 2e-6, 1e-12);
    }
  }
  EXPECT_EQ(pairs, 24.0 * 25.0 / 2.0);
  ASSERT_EQ(timeline.messages.size(), 6U);
  for (const TimelineMessage &message : timeline.messages) {
    EXPECT_EQ(message.to, (message.from + 1) % 3);
    EXPECT_EQ(message.owner, (message.from - message.departure_step + 3) % 3);
    EXPECT_GT(message.bytes, 8.0 * 2.0 * 64.0 * 4.0);
    EXPECT_NEAR(message.end_s - message.begin_s, 1e-6 + message.bytes / 1e9, 1e-12);
  }
}

TEST(RingTimeline, SharesAStepsWorkOutInProportionToItsCosts) {
  machine::Machine machine = simple_machine(1e-6, 1e-6, 1e9);
  machine.step_fixed_s = number(3e-5);
  machine.merge.fixed_s = number(2e-5);
  machine.merge.fused = false;
  SimulationOptions options = ring_options(5, 16);
  options.problem.schedule = Schedule::bidirectional_ring; // two meetings in a step
  options.jitter = 0.2;
  options.speed_spread = 0.3;
  const Simulation result = simulate(machine, options);
  const PlanCosts costs(machine, options);
  const Timeline timeline =
      ring_timeline(machine::Fleet(machine, options.problem.ring_size), options, result, all_ranks(options));
  // Of one rank and step: seconds a second of cost, the same for all parts, and jitter makes it something else than 1.
  std::map<std::pair<std::int64_t, std::int64_t>, std::vector<double>> stretch;
  for (const TimelineSlice &slice : timeline.slices) {
    const double factor = costs.time_factor(slice.rank);
    const double length_s = slice.end_s - slice.begin_s;
    if (slice.activity == Activity::fixed) {
      stretch[{slice.rank, slice.step}].push_back(length_s / costs.step_fixed_s(slice.rank));
    } else if (slice.activity == Activity::compute) {
      stretch[{slice.rank, slice.step}].push_back(length_s / (factor * costs.meeting(slice.rank, slice.owner).tile_s));
    } else if (slice.activity == Activity::merge) {
      stretch[{slice.rank, slice.step}].push_back(length_s / (factor * costs.meeting(slice.rank, slice.owner).merge_s));
    }
  }
  ASSERT_EQ(stretch.size(), 15U);
  for (const auto &[place, all] : stretch) {
    EXPECT_EQ(all.size(), place.second == 0 ? 2U : 5U); // the first block is not merged
    for (const double one : all) {
      EXPECT_NEAR(one, all.front(), 1e-6);
    }
    EXPECT_GT(std::abs(all.front() - 1.0), 1e-6);
  }
}

TEST(RingTimeline, ShowsTheRanksAndStepsThatWereChosen) {
  const machine::Machine machine = simple_machine(1e-9, 1e-6, 1e9);
  const SimulationOptions options = ring_options(6, 32);
  const Simulation result = simulate(machine, options);
  const Timeline whole =
      ring_timeline(machine::Fleet(machine, options.problem.ring_size), options, result, all_ranks(options));
  TimelineSelection selection;
  selection.ranks = {1, 4};
  selection.first_step = 2;
  selection.last_step = 3;
  const Timeline part = ring_timeline(machine::Fleet(machine, options.problem.ring_size), options, result, selection);
  std::size_t expected = 0;
  for (const TimelineSlice &slice : whole.slices) {
    expected += (slice.rank == 1 || slice.rank == 4) && (slice.step == 2 || slice.step == 3) ? 1 : 0;
  }
  EXPECT_GT(expected, 0U);
  EXPECT_EQ(part.slices.size(), expected);
  EXPECT_EQ(part.messages.size(), 8U); // two ranks, two steps, in and out
}

TEST(RingTimeline, RefusesMoreEventsThanAllowedAndSaysHowMany) {
  const machine::Machine machine = simple_machine(1e-9, 1e-6, 1e9);
  const SimulationOptions options = ring_options(6, 32);
  const Simulation result = simulate(machine, options);
  TimelineSelection selection = all_ranks(options);
  const Timeline whole = ring_timeline(machine::Fleet(machine, options.problem.ring_size), options, result, selection);
  const auto events = static_cast<std::int64_t>(whole.slices.size() + 4 * whole.messages.size());
  selection.most_events = events;
  EXPECT_EQ(ring_timeline(machine::Fleet(machine, options.problem.ring_size), options, result, selection).slices.size(),
            whole.slices.size());
  selection.most_events = events - 1;
  try {
    ring_timeline(machine::Fleet(machine, options.problem.ring_size), options, result, selection);
    FAIL() << "one event too many was accepted";
  } catch (const problem::InvalidInput &refusal) {
    EXPECT_THAT(refusal.what(), testing::HasSubstr("would have " + std::to_string(events) + " events"));
    EXPECT_THAT(refusal.what(), testing::HasSubstr("--trace-ranks"));
  }
}

TEST(RingTimelineControl, AnotherTimeOrTickIsRefused) {
  const machine::Machine machine = simple_machine(1e-9, 1e-6, 1e9);
  SimulationOptions options = ring_options(6, 32);
  options.jitter = 0.1;
  const Simulation result = simulate(machine, options);
  EXPECT_NO_THROW(
      ring_timeline(machine::Fleet(machine, options.problem.ring_size), options, result, all_ranks(options)));
  options.seed += 1;
  EXPECT_THROW(ring_timeline(machine::Fleet(machine, options.problem.ring_size), options, result, all_ranks(options)),
               problem::InvalidInput);
  options.seed -= 1;
  Simulation other = result;
  other.tick_s *= 1.5;
  EXPECT_THROW(ring_timeline(machine::Fleet(machine, options.problem.ring_size), options, other, all_ranks(options)),
               problem::InvalidInput);
}

} // namespace
} // namespace ringscale::simulator
