// SPDX-License-Identifier: Apache-2.0
// Every schedule with what moves, both passes, patterns and message layouts, on virtual ranks of one process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "problem/invalid_input.hpp"
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

std::string label(const RingOptions &options) {
  const schedule::RingProblem &problem = options.problem;
  return std::string(name(problem.schedule)) + "/" + std::to_string(problem.inner_ring_size) + " " +
         std::string(name(problem.moving)) + " " + std::string(name(problem.pass)) + " hops " +
         std::string(name(problem.hops)) + " " + std::string(name(problem.placement)) + " " +
         std::string(problem::name(problem.attention.mask)) + " " + std::string(problem::name(problem.pattern.kind)) +
         " " + std::string(name(problem.layout)) + " P=" + std::to_string(problem.ring_size);
}

/// Results within their bounds, everything met once, ledger equal to the closed form, and no stale data: all buffers
/// are NaN when they fall free.
void expect_right(RingOptions options) {
  options.poison_buffers = true;
  LoopbackRing ring(options);
  ring.pass();
  const std::string where = label(options);
  for (std::int64_t rank = 0; rank < options.problem.ring_size; ++rank) {
    EXPECT_THAT(ring.rank(rank).complaints(), testing::IsEmpty()) << where;
    EXPECT_TRUE(ring.rank(rank).met_every_block_once()) << where << " rank " << rank;
    EXPECT_EQ(ring.ledger(rank).at_high_water(), planned_memory(options, rank)) << where << " rank " << rank;
    if (options.problem.pass == Pass::forward) {
      const RowCheck check = ring.check(rank);
      EXPECT_TRUE(check.all_rows) << where;
      EXPECT_EQ(check.wrong_elements, 0) << where << " rank " << rank << " error " << check.max_error;
    } else {
      const GradientCheck check = ring.check_gradients(rank);
      EXPECT_TRUE(check.all_rows) << where;
      EXPECT_EQ(check.wrong_elements, 0) << where << " rank " << rank << " errors " << check.max_error.query << " "
                                         << check.max_error.key << " " << check.max_error.value;
    }
  }
}

TEST(Schedules, EveryScheduleMovingAndPassEqualsTheReference) {
  for (const std::int64_t ring_size : {1, 2, 3, 4, 5, 7, 8, 12}) {
    for (const Moving moving : {Moving::key_value, Moving::query}) {
      for (const Pass pass : {Pass::forward, Pass::backward}) {
        RingOptions options = small_options(ring_size, 37, Placement::zigzag, Mask::causal);
        options.problem.moving = moving;
        options.problem.pass = pass;
        for_every_schedule(options, expect_right);
      }
    }
  }
}

TEST(Schedules, EveryPlacementMaskAndShapeHasItsGradients) {
  for (const Placement placement : every_placement) {
    for (const Mask mask : every_mask) {
      for (const Moving moving : {Moving::key_value, Moving::query}) {
        RingOptions options = small_options(3, 41, placement, mask);
        options.problem.attention.batch = 2;
        options.problem.attention.query_heads = 6;
        options.problem.pass = Pass::backward;
        options.problem.moving = moving;
        if (moving == Moving::query && placement == Placement::replicated_queries) {
          EXPECT_THROW(LoopbackRing{options}, problem::InvalidInput);
          continue;
        }
        expect_right(options);
      }
    }
  }
}

/// A dilated pattern with segments shorter, equal and longer than a chunk of 30, straddling the borders of ranks.
problem::Pattern dilated_pattern(problem::DilationConvention convention) {
  problem::Pattern pattern;
  pattern.kind = problem::PatternKind::dilated;
  pattern.dilated = {{8, 30, 64}, {1, 2, 3}, convention};
  return pattern;
}

problem::Pattern sparse_pattern(problem::BlockSparseKind kind) {
  problem::Pattern pattern;
  pattern.kind = problem::PatternKind::block_sparse;
  pattern.block_sparse.kind = kind;
  pattern.block_sparse.window_tokens = 128;
  pattern.block_sparse.stride_blocks = 2;
  return pattern;
}

TEST(Schedules, DilatedSegmentsCrossTheBordersOfRanks) {
  for (const auto convention : {problem::DilationConvention::split, problem::DilationConvention::longnet,
                                problem::DilationConvention::longnet_blocked}) {
    for (const Placement placement : {Placement::contiguous, Placement::zigzag, Placement::replicated_queries}) {
      for (const Pass pass : {Pass::forward, Pass::backward}) {
        for (const Hops hops : {Hops::all, Hops::needed}) {
          RingOptions options = small_options(4, 118, placement, Mask::causal);
          options.problem.attention.batch = 2;
          options.problem.pattern = dilated_pattern(convention);
          options.problem.pass = pass;
          options.problem.hops = hops;
          expect_right(options);
        }
      }
    }
  }
}

TEST(Schedules, SparseBlocksCrossTheBordersOfRanksAndStopWhereNobodyNeedsThem) {
  for (const auto kind : {problem::BlockSparseKind::local_window, problem::BlockSparseKind::dilated,
                          problem::BlockSparseKind::hierarchical}) {
    for (const Mask mask : every_mask) {
      for (const Pass pass : {Pass::forward, Pass::backward}) {
        for (const Hops hops : {Hops::all, Hops::needed}) {
          RingOptions options = small_options(3, 64 * 7 + 5, Placement::contiguous, mask);
          options.problem.attention.query_heads = 2;
          options.problem.attention.kv_heads = 1;
          options.problem.attention.head_dim = 8;
          options.problem.pattern = sparse_pattern(kind);
          options.problem.pass = pass;
          options.problem.hops = hops;
          expect_right(options);
        }
      }
    }
  }
}

TEST(Schedules, PatternsRunOnEveryScheduleAndWithMovingQueries) {
  for (const Moving moving : {Moving::key_value, Moving::query}) {
    for (const Pass pass : {Pass::forward, Pass::backward}) {
      RingOptions options = small_options(4, 118, Placement::contiguous, Mask::none);
      options.problem.pattern = dilated_pattern(problem::DilationConvention::longnet);
      options.problem.moving = moving;
      options.problem.pass = pass;
      options.problem.hops = Hops::needed;
      for_every_schedule(options, expect_right);
    }
  }
}

TEST(Schedules, NeededHopsLeaveOutWhatTheMaskDoesNot) {
  for (const Moving moving : {Moving::key_value, Moving::query}) {
    for (const Pass pass : {Pass::forward, Pass::backward}) {
      RingOptions options = small_options(6, 49, Placement::contiguous, Mask::causal);
      options.problem.moving = moving;
      options.problem.pass = pass;
      options.problem.hops = Hops::needed;
      for_every_schedule(options, expect_right);
      LoopbackRing ring(options);
      std::int64_t messages = 0;
      for (std::int64_t rank = 0; rank < 6; ++rank) {
        messages += ring.rank(rank).plan().block_messages();
      }
      // Keys of rank r are met by ranks r .. 5. Queries of rank r meet keys of ranks 0 .. r, which they reach last, so
      // that only those of rank 0 stop early.
      EXPECT_EQ(messages, moving == Moving::key_value ? 15 : 25);
    }
  }
}

TEST(Schedules, MessageLayoutsGiveTheSameBits) {
  for (const Pass pass : {Pass::forward, Pass::backward}) {
    for (const bool sparse : {false, true}) {
      RingOptions options = small_options(4, sparse ? 600 : 151, Placement::zigzag, Mask::causal);
      options.problem.attention.batch = 2;
      options.problem.pass = pass;
      if (sparse) {
        options.problem.pattern = sparse_pattern(problem::BlockSparseKind::local_window);
      }
      LoopbackRing packed(options);
      packed.pass();
      for (const MessageLayout layout : {MessageLayout::separate, MessageLayout::copied}) {
        options.problem.layout = layout;
        expect_right(options);
        LoopbackRing other(options);
        other.pass();
        EXPECT_EQ(other.output_checksum(), packed.output_checksum()) << label(options);
      }
    }
  }
}

TEST(Schedules, CopiedMessagesOfEveryScheduleGiveTheReferencesResult) {
  for (const std::int64_t ring_size : {2, 4, 6}) {
    RingOptions options = small_options(ring_size, 61, Placement::zigzag, Mask::causal);
    options.problem.layout = MessageLayout::copied;
    for_every_schedule(options, expect_right);
  }
}

TEST(Schedules, ChunksInProportionToSpeedGiveTheSameResults) {
  for (const Pass pass : {Pass::forward, Pass::backward}) {
    for (const Placement placement : {Placement::contiguous, Placement::zigzag}) {
      RingOptions options = small_options(4, 123, placement, Mask::causal);
      options.problem.pass = pass;
      options.problem.chunks = schedule::weighted_chunks({1.0, 3.0, 2.0, 5.5});
      for_every_schedule(options, expect_right);
    }
  }
}

TEST(Schedules, AGatheringCollectiveGivesTheSameBitsAsMessages) {
  for (const Pass pass : {Pass::forward, Pass::backward}) {
    RingOptions options = small_options(5, 77, Placement::zigzag, Mask::causal);
    options.problem.schedule = Schedule::all_gather;
    options.problem.pass = pass;
    LoopbackRing messages(options);
    messages.pass();
    options.collective = true;
    expect_right(options);
    LoopbackRing collective(options);
    collective.pass();
    EXPECT_EQ(collective.output_checksum(), messages.output_checksum());
  }
}

/// Complaints and wrong elements of a ring of four with `fault`, backward.
struct Broken {
  std::int64_t wrong_elements = 0;
  std::vector<std::string> complaints;
};
Broken broken_backward(Moving moving, const Fault &fault) {
  RingOptions options = small_options(4, 97, Placement::contiguous, Mask::none);
  options.problem.pass = Pass::backward;
  options.problem.moving = moving;
  options.fault = fault;
  LoopbackRing ring(options);
  ring.pass();
  Broken broken;
  for (std::int64_t rank = 0; rank < 4; ++rank) {
    broken.wrong_elements += ring.check_gradients(rank).wrong_elements;
    const auto &complaints = ring.rank(rank).complaints();
    broken.complaints.insert(broken.complaints.end(), complaints.begin(), complaints.end());
  }
  return broken;
}

TEST(SchedulesControl, EveryFaultOfABackwardPassIsSeen) {
  for (const Moving moving : {Moving::key_value, Moving::query}) {
    EXPECT_EQ(broken_backward(moving, {}).wrong_elements, 0);
    for (const FaultKind kind : {FaultKind::skip_hop, FaultKind::corrupt_element, FaultKind::swap_halves,
                                 FaultKind::wrong_scale, FaultKind::drop_result}) {
      const Broken broken = broken_backward(moving, {kind, 1, 1, 0.0});
      EXPECT_GT(broken.wrong_elements, 0) << name(kind) << " moving " << name(moving);
      EXPECT_EQ(broken.complaints.empty(), kind == FaultKind::wrong_scale) << name(kind);
    }
  }
}

TEST(SchedulesControl, ADroppedPartialOutputIsSeen) {
  RingOptions options = small_options(4, 97, Placement::contiguous, Mask::none);
  options.problem.moving = Moving::query;
  options.fault = {FaultKind::drop_result, 2, 2, 0.0};
  LoopbackRing ring(options);
  ring.pass();
  std::int64_t wrong = 0;
  std::vector<std::string> complaints;
  for (std::int64_t rank = 0; rank < 4; ++rank) {
    wrong += ring.check(rank).wrong_elements;
    complaints.insert(complaints.end(), ring.rank(rank).complaints().begin(), ring.rank(rank).complaints().end());
  }
  EXPECT_GT(wrong, 0);
  EXPECT_THAT(complaints, testing::Contains(testing::HasSubstr("contributions of 2 ranks instead of 4")));
}

TEST(SchedulesControl, PoisonWouldBeSeen) {
  // A rank that computed with a buffer after its time would meet NaN: here, by running a second repetition without
  // loading the blocks that the first one poisoned.
  RingOptions options = small_options(1, 20, Placement::contiguous, Mask::none);
  options.poison_buffers = true;
  LoopbackNetwork network;
  LoopbackTransport transport(network, 0);
  memory::Ledger ledger;
  RingRank rank(options, 0, transport, ledger);
  rank.begin(true);
  rank.load();
  rank.run();
  EXPECT_EQ(check_rows(options, 0, queries_of(options.problem, 0), rank.output(), rank.log_sum_exp()).wrong_elements,
            0);
  rank.begin(true);
  rank.run();
  EXPECT_GT(check_rows(options, 0, queries_of(options.problem, 0), rank.output(), rank.log_sum_exp()).wrong_elements,
            0);
  EXPECT_THAT(rank.complaints(), testing::Contains(testing::HasSubstr("readable header")));
}

} // namespace
} // namespace ringscale::ring
