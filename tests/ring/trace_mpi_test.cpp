// SPDX-License-Identifier: Apache-2.0
// Clocks of ranks, and a traced repetition of real rings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <string>

#include "problem/invalid_input.hpp"
#include "ring/clock_offsets.hpp"
#include "ring/rank_recorder.hpp"
#include "ring/ring_run.hpp"
#include "tests/ring/mpi_main.hpp"

namespace ringscale::ring {
namespace {

using schedule::Activity;
using schedule::TimelineMessage;
using schedule::TimelineSelection;
using schedule::TimelineSlice;

RingOptions small_ring(int ranks) {
  RingOptions options;
  options.problem.ring_size = ranks;
  options.problem.attention.tokens = 64 * ranks + 3;
  options.problem.attention.query_heads = 2;
  options.problem.attention.kv_heads = 2;
  options.problem.attention.head_dim = 16;
  options.problem.attention.mask = problem::Mask::causal;
  options.warmup = 0;
  options.repetitions = 2;
  return options;
}

TimelineSelection first_ranks(int ranks) {
  TimelineSelection selection;
  selection.ranks.resize(static_cast<std::size_t>(ranks));
  std::iota(selection.ranks.begin(), selection.ranks.end(), 0);
  return selection;
}

TEST(ClockOffsets, FindsOneMachinesOneClock) {
  const std::vector<ClockOffset> offsets = clock_offsets(world(), now_s);
  if (world().rank() != 0) {
    EXPECT_TRUE(offsets.empty());
    return;
  }
  ASSERT_EQ(offsets.size(), static_cast<std::size_t>(world().size()));
  for (const ClockOffset &one : offsets) {
    EXPECT_LE(std::abs(one.offset_s), one.uncertainty_s + 1e-9); // rounding of times since a far moment
    EXPECT_TRUE(std::isfinite(one.uncertainty_s));
  }
}

TEST(ClockOffsets, FindsClocksThatAreAhead) {
  const double ahead_s = 3.5 * world().rank();
  const std::vector<ClockOffset> offsets = clock_offsets(world(), [ahead_s] { return now_s() + ahead_s; });
  for (std::size_t rank = 0; rank < offsets.size(); ++rank) {
    const double error_s = std::abs(offsets[rank].offset_s - 3.5 * static_cast<double>(rank));
    EXPECT_LE(error_s, offsets[rank].uncertainty_s * (1.0 + 1e-9) + 1e-9) << "rank " << rank;
    // The control: taken for clocks that agree, they are seen not to.
    EXPECT_TRUE(rank == 0 || std::abs(offsets[rank].offset_s) > offsets[rank].uncertainty_s);
  }
}

TEST(ClockOffsets, TwoMeasurementsThatDifferAreLessCertain) {
  const std::vector<ClockOffset> middle = between({{0.0, 0.0}, {1.0, 0.25}}, {{0.0, 0.0}, {1.5, 0.125}});
  ASSERT_EQ(middle.size(), 2U);
  EXPECT_EQ(middle[0].uncertainty_s, 0.0);
  EXPECT_EQ(middle[1].offset_s, 1.25);
  EXPECT_EQ(middle[1].uncertainty_s, 0.5);
  EXPECT_THROW(between({{0.0, 0.0}}, {}), std::logic_error);
}

/// Slices of every rank follow each other, polls within the compute slice around them.
void expect_in_order(const MeasuredTimeline &trace) {
  std::map<std::int64_t, TimelineSlice> last;
  for (const TimelineSlice &slice : trace.timeline.slices) {
    EXPECT_GE(slice.end_s, slice.begin_s);
    if (slice.activity == Activity::poll) {
      continue; // recorded before the slice around it
    }
    if (const auto before = last.find(slice.rank); before != last.end()) {
      EXPECT_GE(slice.begin_s, before->second.end_s);
    }
    last[slice.rank] = slice;
  }
  for (const TimelineSlice &poll : trace.timeline.slices) {
    if (poll.activity == Activity::poll) {
      EXPECT_TRUE(std::any_of(trace.timeline.slices.begin(), trace.timeline.slices.end(), [&](const auto &around) {
        return around.activity == Activity::compute && around.rank == poll.rank && around.step == poll.step &&
               around.begin_s <= poll.begin_s && poll.end_s <= around.end_s;
      }));
    }
  }
}

TEST(TracedRing, ShowsEveryMeetingAndMessageOfItsPlans) {
  for (const schedule::Schedule kind : {schedule::Schedule::ring, schedule::Schedule::bidirectional_ring}) {
    for (const schedule::Pass pass : {schedule::Pass::forward, schedule::Pass::backward}) {
      on_first_ranks(4, [&](Communicator &ring) {
        RingOptions options = small_ring(4);
        options.problem.schedule = kind;
        options.problem.pass = pass;
        RankRecorder recorder(first_ranks(4));
        options.recorder = &recorder;
        const RingRun run = run_ring(ring, options);
        EXPECT_TRUE(run.valid) << testing::PrintToString(run.reasons);
        EXPECT_EQ(run.samples_s.size(), 2U);
        EXPECT_EQ(run.trace.has_value(), ring.rank() == 0);
        if (!run.trace) {
          return;
        }
        const MeasuredTimeline &trace = *run.trace;
        expect_in_order(trace);
        std::set<std::pair<std::int64_t, std::int64_t>> meetings;
        double pairs = 0.0;
        for (const TimelineSlice &slice : trace.timeline.slices) {
          if (slice.activity == Activity::compute) {
            EXPECT_TRUE(meetings.emplace(slice.rank, slice.owner).second);
            pairs += slice.pairs;
          }
        }
        EXPECT_EQ(meetings.size(), 16U);
        const auto tokens = static_cast<double>(options.problem.attention.tokens);
        EXPECT_EQ(pairs, 2.0 * tokens * (tokens + 1.0) / 2.0);
        std::int64_t blocks = 0;
        for (const TimelineMessage &message : trace.timeline.messages) {
          blocks += message.is_result ? 0 : 1;
          EXPECT_GE(message.end_s, message.begin_s);
          EXPECT_GT(message.bytes, 0.0);
        }
        EXPECT_EQ(blocks, run.all_hops);
        EXPECT_EQ(trace.timeline.messages.size() > static_cast<std::size_t>(blocks), pass == schedule::Pass::backward);
        for (const TracedRank &rank : trace.ranks) {
          EXPECT_GE(rank.begin_s, 0.0);
          EXPECT_LE(rank.end_s - rank.begin_s, trace.time_s * (1.0 + 1e-9));
          double busy_s = 0.0;
          for (const TimelineSlice &slice : trace.timeline.slices) {
            busy_s += slice.rank == rank.rank && slice.activity != Activity::poll ? slice.end_s - slice.begin_s : 0.0;
          }
          EXPECT_LE(busy_s, (rank.end_s - rank.begin_s) * (1.0 + 1e-9));
          EXPECT_GT(busy_s, 0.0);
        }
      });
    }
  }
}

TEST(TracedRing, ShowsTheRanksAndStepsThatWereChosen) {
  on_first_ranks(4, [](Communicator &ring) {
    RingOptions options = small_ring(4);
    TimelineSelection selection;
    selection.ranks = {1, 2};
    selection.first_step = selection.last_step = 1;
    RankRecorder recorder(selection);
    options.recorder = &recorder;
    const RingRun run = run_ring(ring, options);
    if (!run.trace) {
      return;
    }
    std::set<std::int64_t> ranks;
    for (const TimelineSlice &slice : run.trace->timeline.slices) {
      EXPECT_EQ(slice.step, 1);
      ranks.insert(slice.rank);
    }
    EXPECT_EQ(ranks, (std::set<std::int64_t>{1, 2}));
    // Between the two ranks goes one message a step.
    ASSERT_EQ(run.trace->timeline.messages.size(), 1U);
    EXPECT_EQ(run.trace->timeline.messages.front().from, 1);
    EXPECT_EQ(run.trace->timeline.messages.front().to, 2);
  });
}

TEST(TracedRing, KnowsRanksOfAGridByTheirPlaceInTheJob) {
  on_first_ranks(4, [](Communicator &job) {
    RingOptions options = small_ring(2);
    options.grid = {1, 1, 2, 2};
    RankRecorder recorder(first_ranks(4));
    options.recorder = &recorder;
    const RingRun run = run_ring(job, options);
    EXPECT_TRUE(run.valid) << testing::PrintToString(run.reasons);
    if (!run.trace) {
      return;
    }
    std::set<std::pair<std::int64_t, std::int64_t>> ends;
    for (const TimelineMessage &message : run.trace->timeline.messages) {
      ends.emplace(message.from, message.to);
    }
    EXPECT_EQ(ends, (std::set<std::pair<std::int64_t, std::int64_t>>{{0, 2}, {2, 0}, {1, 3}, {3, 1}}));
    EXPECT_TRUE(std::any_of(run.trace->timeline.slices.begin(), run.trace->timeline.slices.end(),
                            [](const TimelineSlice &slice) { return slice.activity == Activity::exchange; }));
  });
}

TEST(TracedRing, RefusesTooManyEventsOnEveryRankAndLeavesPollsOut) {
  on_first_ranks(3, [](Communicator &ring) {
    RingOptions options = small_ring(3);
    TimelineSelection selection = first_ranks(3);
    selection.most_events = 10;
    RankRecorder recorder(selection);
    options.recorder = &recorder;
    EXPECT_THROW(run_ring(ring, options), problem::InvalidInput);
    selection.ranks = {0, 7};
    selection.most_events = 100000;
    RankRecorder absent(selection);
    options.recorder = &absent;
    EXPECT_THROW(run_ring(ring, options), problem::InvalidInput);
  });
  RankRecorder recorder(first_ranks(1));
  recorder.start(1);
  recorder.add(Activity::poll, 0, 1.0, 2.0);
  recorder.add(Activity::poll, 0, 3.0, 4.0);
  recorder.add(Activity::wait, 0, 5.0, 6.0);
  recorder.stop();
  recorder.add(Activity::wait, 0, 7.0, 8.0);
  EXPECT_EQ(recorder.slices().size(), 2U);
  EXPECT_EQ(recorder.polls_left_out(), 1);
}

TEST(TracedRing, LeavesBitsAndOtherRunsAlone) {
  on_first_ranks(3, [](Communicator &ring) {
    RingOptions options = small_ring(3);
    const RingRun untraced = run_ring(ring, options);
    EXPECT_FALSE(untraced.trace.has_value());
    RankRecorder recorder(first_ranks(3));
    options.recorder = &recorder;
    EXPECT_EQ(run_ring(ring, options).output_checksum, untraced.output_checksum);
    EXPECT_FALSE(recorder.recording());
  });
}

} // namespace
} // namespace ringscale::ring
