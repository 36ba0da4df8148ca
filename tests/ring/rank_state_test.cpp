// SPDX-License-Identifier: Apache-2.0
// The state of a ring between two steps: taken out of one set of ranks, put into another, same bits at the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "problem/invalid_input.hpp"
#include "ring/checkpoint_file.hpp"
#include "ring/rank_state.hpp"
#include "tests/ring/loopback_ring.hpp"

namespace ringscale::ring {
namespace {

using problem::Mask;
using schedule::Hops;
using schedule::MessageLayout;
using schedule::Moving;
using schedule::Pass;
using schedule::Placement;
using schedule::Schedule;

/// A copy of a rank's state, as a file would keep it.
Checkpoint kept(const RingRank &rank) {
  const RankState state = rank.state();
  Checkpoint checkpoint;
  checkpoint.step = state.steps_done;
  for (const CheckpointSection &section : state.sections) {
    checkpoint.sections.emplace(section.name, std::vector<std::byte>(section.bytes.begin(), section.bytes.end()));
  }
  return checkpoint;
}

/// States of all ranks after each step that a checkpoint can follow, and the checksum of the finished ring.
struct Walk {
  std::map<std::int64_t, std::vector<Checkpoint>> states;
  std::int64_t plan_steps = 0;
  std::uint64_t checksum = 0;
};

Walk walk(const RingOptions &options) {
  LoopbackRing ring(options);
  Walk result;
  result.plan_steps = ring.plan_steps();
  ring.begin();
  ring.load();
  for (std::int64_t step = 0; step < result.plan_steps; ++step) {
    ring.take_step(step);
    bool quiet = step + 1 < result.plan_steps;
    for (std::int64_t rank = 0; rank < options.problem.ring_size; ++rank) {
      quiet = quiet && ring.rank(rank).quiet();
    }
    for (std::int64_t rank = 0; quiet && rank < options.problem.ring_size; ++rank) {
      result.states[step + 1].push_back(kept(ring.rank(rank)));
    }
  }
  result.checksum = ring.output_checksum();
  return result;
}

/// How a ring ended that went on from `states` in new objects whose buffers were all NaN.
struct Ending {
  std::uint64_t checksum = 0;
  bool blocks_once = true;
  std::vector<std::string> complaints;
};

Ending go_on(RingOptions options, const std::vector<Checkpoint> &states) {
  options.poison_buffers = true;
  LoopbackRing ring(options);
  ring.begin(); // and no load: the state has the inputs
  for (std::int64_t rank = 0; rank < options.problem.ring_size; ++rank) {
    ring.rank(rank).restore_state(states[static_cast<std::size_t>(rank)]);
  }
  for (std::int64_t step = states.front().step; step < ring.plan_steps(); ++step) {
    ring.take_step(step);
  }
  Ending ending;
  ending.checksum = ring.output_checksum();
  for (std::int64_t rank = 0; rank < options.problem.ring_size; ++rank) {
    ending.blocks_once = ending.blocks_once && ring.rank(rank).met_every_block_once();
    const auto &complaints = ring.rank(rank).complaints();
    ending.complaints.insert(ending.complaints.end(), complaints.begin(), complaints.end());
  }
  return ending;
}

std::string label(const RingOptions &options) {
  const schedule::RingProblem &problem = options.problem;
  return std::string(name(problem.schedule)) + "/" + std::to_string(problem.inner_ring_size) + " moving " +
         std::string(name(problem.moving)) + " " + std::string(name(problem.pass)) + " " +
         std::string(name(problem.placement)) + " " + std::string(name(problem.layout)) + " hops " +
         std::string(name(problem.hops)) + " P=" + std::to_string(problem.ring_size);
}

/// Steps that a checkpoint can follow: all but the last; of a double ring only the last one of an inner round while
/// outer hops are under way, and of gathering messages those from the last arrival on.
std::int64_t expected_states(const RingOptions &options, std::int64_t plan_steps) {
  const schedule::RingProblem &problem = options.problem;
  switch (problem.schedule) {
  case Schedule::double_ring:
    return problem.ring_size / problem.inner_ring_size - 1 + problem.inner_ring_size;
  case Schedule::all_gather:
    return options.collective ? plan_steps - 1 : std::min<std::int64_t>(2, plan_steps - 1);
  default:
    return plan_steps - 1;
  }
}

void expect_same_bits_from_every_state(const RingOptions &options) {
  const Walk whole = walk(options);
  const auto states = static_cast<std::int64_t>(whole.states.size());
  if (options.problem.hops == Hops::all) {
    EXPECT_EQ(states, expected_states(options, whole.plan_steps)) << label(options);
  } else {
    EXPECT_GE(states, expected_states(options, whole.plan_steps)) << label(options);
  }
  for (const auto &[steps_done, of_ranks] : whole.states) {
    const Ending ending = go_on(options, of_ranks);
    EXPECT_EQ(ending.checksum, whole.checksum) << label(options) << " after " << steps_done << " steps";
    EXPECT_TRUE(ending.blocks_once) << label(options) << " after " << steps_done << " steps";
    EXPECT_THAT(ending.complaints, testing::IsEmpty()) << label(options) << " after " << steps_done << " steps";
  }
}

TEST(RankState, EveryScheduleMovingAndPassGoesOnWithTheSameBits) {
  for (const std::int64_t ring_size : {1, 2, 3, 4, 5, 6}) {
    for (const Moving moving : {Moving::key_value, Moving::query}) {
      for (const Pass pass : {Pass::forward, Pass::backward}) {
        RingOptions options = small_options(ring_size, 29, Placement::zigzag, Mask::causal);
        options.problem.moving = moving;
        options.problem.pass = pass;
        for_every_schedule(options, expect_same_bits_from_every_state);
      }
    }
  }
}

TEST(RankState, Bfloat16RingsGoOnWithTheSameBits) {
  for (const Moving moving : {Moving::key_value, Moving::query}) {
    RingOptions options = small_options(4, 29, Placement::zigzag, Mask::causal);
    options.problem.attention.dtype = problem::DType::bfloat16;
    options.problem.moving = moving;
    for_every_schedule(options, expect_same_bits_from_every_state);
  }
}

TEST(RankState, PlacementsLayoutsAndNeededHopsGoOnWithTheSameBits) {
  for (const Pass pass : {Pass::forward, Pass::backward}) {
    for (const Placement placement : every_placement) {
      for (const MessageLayout layout : {MessageLayout::separate, MessageLayout::copied}) {
        RingOptions options = small_options(4, 43, placement, Mask::causal);
        options.problem.attention.batch = 2;
        options.problem.pass = pass;
        options.problem.layout = layout;
        options.problem.hops = Hops::needed;
        for_every_schedule(options, expect_same_bits_from_every_state);
      }
    }
  }
}

TEST(RankState, PatternsUnevenChunksAndCollectivesGoOnWithTheSameBits) {
  for (const Moving moving : {Moving::key_value, Moving::query}) {
    for (const Pass pass : {Pass::forward, Pass::backward}) {
      RingOptions options = small_options(4, 118, Placement::contiguous, Mask::none);
      options.problem.moving = moving;
      options.problem.pass = pass;
      options.problem.hops = Hops::needed;
      options.problem.pattern.kind = problem::PatternKind::dilated;
      options.problem.pattern.dilated = {{8, 30, 64}, {1, 2, 3}, problem::DilationConvention::longnet};
      for_every_schedule(options, expect_same_bits_from_every_state);
      options = small_options(4, 61, Placement::zigzag, Mask::causal);
      options.problem.moving = moving;
      options.problem.pass = pass;
      options.problem.chunks = schedule::weighted_chunks({1.0, 3.0, 2.0, 5.5});
      for_every_schedule(options, expect_same_bits_from_every_state);
      options = small_options(4, 61, Placement::zigzag, Mask::causal);
      options.problem.moving = moving;
      options.problem.pass = pass;
      options.problem.schedule = Schedule::all_gather;
      options.collective = true;
      expect_same_bits_from_every_state(options);
    }
  }
}

TEST(RankState, HoldsOnlyWhatTheRemainingStepsNeed) {
  RingOptions options = small_options(4, 64, Placement::contiguous, Mask::none);
  const Walk ring = walk(options);
  for (const auto &[steps_done, of_ranks] : ring.states) {
    // One of the two block buffers is about to be written, and after the last meeting both are free.
    EXPECT_EQ(of_ranks[0].sections.count("block_0") + of_ranks[0].sections.count("block_1"), steps_done < 4 ? 1U : 0U);
  }
  options.problem.schedule = Schedule::all_gather;
  options.collective = true;
  const Walk gathered = walk(options);
  EXPECT_EQ(gathered.states.at(2)[0].sections.count("block_1"), 0U);
  EXPECT_EQ(gathered.states.at(2)[0].sections.count("block_2"), 1U);
}

/// Where the names of a walk's sections all stand in for another step's: rank 1 after `steps_done`, one section that
/// of `other` steps.
void expect_mixed_section_is_seen(const RingOptions &options, const std::string &section, std::int64_t steps_done,
                                  std::int64_t other) {
  const Walk whole = walk(options);
  std::vector<Checkpoint> states = whole.states.at(steps_done);
  const auto &foreign = whole.states.at(other)[1].sections;
  ASSERT_EQ(foreign.count(section), 1U) << section;
  ASSERT_EQ(states[1].sections.count(section), 1U) << section;
  states[1].sections[section] = foreign.at(section);
  const Ending ending = go_on(options, states);
  EXPECT_TRUE(ending.checksum != whole.checksum || !ending.complaints.empty() || !ending.blocks_once) << section;
  if (section.starts_with("block") || section == "home" || section.starts_with("result")) {
    EXPECT_THAT(ending.complaints, testing::Not(testing::IsEmpty())) << section;
  }
  EXPECT_EQ(ending.blocks_once, section != "counters" && !section.starts_with("block")) << section;
}

TEST(RankStateControl, ASectionOfAnotherStepIsSeen) {
  RingOptions options = small_options(6, 60, Placement::contiguous, Mask::none);
  for (const char *section : {"output", "partial", "block_1", "counters"}) {
    expect_mixed_section_is_seen(options, section, 3, 1);
  }
  options.problem.pass = Pass::backward;
  for (const char *section : {"gradient", "block_1", "counters"}) {
    expect_mixed_section_is_seen(options, section, 3, 1);
  }
  options.problem.moving = Moving::query;
  expect_mixed_section_is_seen(options, "gradient", 3, 1);
}

TEST(RankStateControl, ASectionOfAnotherRunIsSeen) {
  RingOptions options = small_options(4, 61, Placement::contiguous, Mask::none);
  const Walk whole = walk(options);
  options.seed = 2;
  const Walk foreign = walk(options);
  options.seed = 1;
  for (const auto &[section, bytes] : whole.states.at(2)[3].sections) {
    std::vector<Checkpoint> states = whole.states.at(2);
    states[3].sections[section] = foreign.states.at(2)[3].sections.at(section);
    const bool same = section == "counters" || section == "seconds";
    EXPECT_EQ(go_on(options, states).checksum == whole.checksum, same) << section;
  }
}

TEST(RankStateControl, StatesThatDoNotFitAreRefused) {
  const RingOptions options = small_options(3, 40, Placement::contiguous, Mask::none);
  const Walk whole = walk(options);
  const auto refused = [&](const std::function<void(Checkpoint &)> &change) {
    std::vector<Checkpoint> states = whole.states.at(1);
    change(states[0]);
    EXPECT_THROW(go_on(options, states), problem::InvalidInput);
  };
  refused([](Checkpoint &state) { state.sections.erase("output"); });
  refused([](Checkpoint &state) { state.sections.erase("counters"); });
  refused([](Checkpoint &state) { state.sections["query"].pop_back(); });
  refused([](Checkpoint &state) { state.step = 0; });
  refused([&](Checkpoint &state) { state.step = whole.plan_steps; });
}

TEST(RankStateControl, ThereIsNoStateWhileMessagesTravelOrBeforeTheFirstStep) {
  RingOptions options = small_options(4, 40, Placement::contiguous, Mask::none);
  options.problem.schedule = Schedule::double_ring;
  options.problem.inner_ring_size = 2;
  LoopbackRing ring(options);
  ring.begin();
  ring.load();
  EXPECT_THROW(ring.rank(0).state(), std::logic_error);
  ring.take_step(0); // the outer hop has the whole inner round
  EXPECT_FALSE(ring.rank(0).quiet());
  EXPECT_THROW(ring.rank(0).state(), std::logic_error);
  ring.take_step(1);
  EXPECT_TRUE(ring.rank(0).quiet());
  EXPECT_EQ(ring.rank(0).state().steps_done, 2);
}

} // namespace
} // namespace ringscale::ring
