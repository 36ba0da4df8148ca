// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "problem/invalid_input.hpp"
#include "schedule/ring_schedule.hpp"

namespace ringscale::schedule {
namespace {

RingProblem ring(std::int64_t tokens, std::int64_t ring_size, Placement placement, problem::Mask mask,
                 Schedule schedule = Schedule::ring) {
  RingProblem result;
  result.attention.tokens = tokens;
  result.attention.mask = mask;
  result.placement = placement;
  result.schedule = schedule;
  result.ring_size = ring_size;
  return result;
}

/// Visits of every (query token, key token) pair by all ranks and steps.
std::vector<int> visits(const RingProblem &problem) {
  const std::int64_t tokens = problem.attention.tokens;
  std::vector<int> count(static_cast<std::size_t>(tokens * tokens), 0);
  for (std::int64_t rank = 0; rank < problem.ring_size; ++rank) {
    const problem::TokenSet queries = query_tokens(problem.placement, tokens, problem.ring_size, rank);
    for (std::int64_t step = 0; step < step_count(problem); ++step) {
      const std::int64_t owner = step_of(problem, rank, step).block_owner;
      const problem::TokenSet keys = key_tokens(problem.placement, tokens, problem.ring_size, owner);
      for (std::int64_t query = 0; query < queries.count(); ++query) {
        for (std::int64_t key = 0; key < keys.count(); ++key) {
          if (problem.attention.mask == problem::Mask::none || keys.position(key) <= queries.position(query)) {
            ++count[static_cast<std::size_t>(queries.position(query) * tokens + keys.position(key))];
          }
        }
      }
    }
  }
  return count;
}

TEST(RingSchedule, EveryAdmittedPairIsVisitedOnce) {
  for (const Placement placement : {Placement::contiguous, Placement::zigzag, Placement::striped}) {
    for (const problem::Mask mask : {problem::Mask::none, problem::Mask::causal}) {
      for (std::int64_t ring_size = 1; ring_size <= 8; ++ring_size) {
        for (const std::int64_t tokens : {std::int64_t{8}, std::int64_t{13}, std::int64_t{31}, std::int64_t{32}}) {
          const std::vector<int> count = visits(ring(tokens, ring_size, placement, mask));
          for (std::int64_t query = 0; query < tokens; ++query) {
            for (std::int64_t key = 0; key < tokens; ++key) {
              const int expected = mask == problem::Mask::none || key <= query ? 1 : 0;
              ASSERT_EQ(count[static_cast<std::size_t>(query * tokens + key)], expected)
                  << name(placement) << " ring " << ring_size << " tokens " << tokens;
            }
          }
        }
      }
    }
  }
}

TEST(RingSchedule, ReplicatedQueriesRepeatTheWholeWorkOnEveryRank) {
  EXPECT_THAT(visits(ring(13, 4, Placement::replicated_queries, problem::Mask::none)), testing::Each(4));
}

TEST(RingSchedule, LocalOnlyMissesTheOtherBlocks) {
  const RingProblem problem = ring(12, 3, Placement::contiguous, problem::Mask::none, Schedule::local_only);
  const std::vector<int> count = visits(problem);
  EXPECT_EQ(count[0], 1);
  EXPECT_EQ(count[11], 0); // query 0 never meets key 11
  EXPECT_EQ(hop_count(problem), 0);
  EXPECT_EQ(step_of(problem, 1, 0).send_to, -1);
}

TEST(RingSchedule, PairsInStepEqualEnumeration) {
  for (const Placement placement :
       {Placement::contiguous, Placement::zigzag, Placement::striped, Placement::replicated_queries}) {
    for (const problem::Mask mask : {problem::Mask::none, problem::Mask::causal}) {
      for (const std::int64_t ring_size : {1, 2, 3, 5, 8}) {
        const RingProblem problem = ring(41, ring_size, placement, mask);
        std::int64_t total = 0;
        for (std::int64_t rank = 0; rank < ring_size; ++rank) {
          for (std::int64_t step = 0; step < step_count(problem); ++step) {
            total += pairs_in_step(problem, rank, step);
          }
        }
        const std::int64_t copies = placement == Placement::replicated_queries ? ring_size : 1;
        ASSERT_EQ(total, copies * problem::admitted_pairs(std::int64_t{41}, mask)) << name(placement) << ring_size;
      }
    }
  }
}

TEST(RingSchedule, SenderAndReceiverAgreeOnTheBlock) {
  for (std::int64_t ring_size = 2; ring_size <= 8; ++ring_size) {
    const RingProblem problem = ring(64, ring_size, Placement::contiguous, problem::Mask::none);
    EXPECT_EQ(hop_count(problem), ring_size - 1);
    for (std::int64_t step = 0; step + 1 < ring_size; ++step) {
      for (std::int64_t rank = 0; rank < ring_size; ++rank) {
        const Step mine = step_of(problem, rank, step);
        EXPECT_EQ(step_of(problem, mine.send_to, step).receive_from, rank);
        EXPECT_EQ(step_of(problem, mine.send_to, step + 1).block_owner, mine.block_owner);
      }
    }
    EXPECT_EQ(step_of(problem, 0, ring_size - 1).send_to, -1);
  }
}

TEST(RingSchedule, LargeRingsStayExact) {
  const RingProblem problem = ring(std::int64_t{1} << 30, 262144, Placement::zigzag, problem::Mask::causal);
  validate(problem);
  // Zigzag halves of 2048 tokens: every step of another block does 2 x 2048^2 pairs, whoever owns it.
  EXPECT_EQ(pairs_in_step(problem, 5, 1000), 2 * 2048LL * 2048LL);
  EXPECT_EQ(pairs_in_step(problem, 262143, 7), 2 * 2048LL * 2048LL);
  EXPECT_EQ(block_tokens(problem, 17), 4096);
  EXPECT_EQ(step_of(problem, 0, 262143).block_owner, 1);
}

TEST(RingSchedule, HolderAndBlockAreInverses) {
  for (const Schedule schedule : {Schedule::ring, Schedule::bidirectional_ring, Schedule::double_ring,
                                  Schedule::all_gather, Schedule::local_only}) {
    for (const std::int64_t inner : {1, 2, 3, 6}) {
      RingProblem problem = ring(64, 6, Placement::contiguous, problem::Mask::none, schedule);
      problem.inner_ring_size = inner;
      for (std::int64_t lane = 0; lane < 2; ++lane) {
        for (std::int64_t step = 0; step <= 6; ++step) {
          for (std::int64_t rank = 0; rank < 6; ++rank) {
            const std::int64_t owner = block_at(problem, rank, step, lane);
            ASSERT_EQ(owner < 0 ? rank : holder_of(problem, owner, step, lane), rank) << name(schedule);
          }
        }
      }
    }
  }
}

TEST(RingSchedule, PairsOfMeetingsOfPatternsEqualEnumeration) {
  for (const Placement placement : {Placement::contiguous, Placement::zigzag, Placement::replicated_queries}) {
    for (const problem::Mask mask : {problem::Mask::none, problem::Mask::causal}) {
      for (const bool dilated : {false, true}) {
        RingProblem problem = ring(413, 3, placement, mask);
        problem.attention.query_heads = 3;
        problem.attention.kv_heads = 3;
        problem.pattern_heads = 5;
        problem.first_pattern_head = 1;
        problem.pattern.kind = dilated ? problem::PatternKind::dilated : problem::PatternKind::block_sparse;
        problem.pattern.dilated = {{32, 100, 500}, {1, 2, 3}, problem::DilationConvention::split};
        problem.pattern.block_sparse.kind = problem::BlockSparseKind::hierarchical;
        problem.pattern.block_sparse.window_tokens = 64;
        problem.pattern.block_sparse.stride_blocks = 3;
        for (std::int64_t query_rank = 0; query_rank < 3; ++query_rank) {
          for (std::int64_t key_rank = 0; key_rank < 3; ++key_rank) {
            const problem::TokenSet queries = queries_of(problem, query_rank);
            const problem::TokenSet keys = keys_of(problem, key_rank);
            double counted = 0.0;
            for (std::int64_t head = 1; head < 4; ++head) {
              for (std::int64_t query = 0; query < queries.count(); ++query) {
                for (std::int64_t key = 0; key < keys.count(); ++key) {
                  counted += static_cast<double>(problem::multiplicity(problem.pattern, mask, 5, head,
                                                                       queries.position(query), keys.position(key)));
                }
              }
            }
            ASSERT_EQ(pairs_of_meeting(problem, query_rank, key_rank), counted)
                << name(placement) << (dilated ? " dilated" : " block_sparse");
          }
        }
      }
    }
  }
}

TEST(RingSchedule, CombinationsThatMakeNoSenseAreRefused) {
  RingProblem problem = ring(64, 4, Placement::replicated_queries, problem::Mask::none);
  problem.moving = Moving::query;
  EXPECT_THROW(validate(problem), problem::InvalidInput);
  problem = ring(64, 4, Placement::contiguous, problem::Mask::none, Schedule::double_ring);
  problem.inner_ring_size = 3;
  EXPECT_THROW(validate(problem), problem::InvalidInput);
  problem = ring(640, 4, Placement::striped, problem::Mask::none);
  problem.pattern.kind = problem::PatternKind::block_sparse;
  EXPECT_THROW(validate(problem), problem::InvalidInput);
  problem.placement = Placement::contiguous;
  EXPECT_NO_THROW(validate(problem));
  problem.pattern.block_sparse.kind = problem::BlockSparseKind::adaptive;
  EXPECT_THROW(validate(problem), problem::InvalidInput);
}

TEST(RingSchedule, WordsRoundTrip) {
  EXPECT_EQ(parse_schedule(name(Schedule::local_only)), Schedule::local_only);
  EXPECT_EQ(parse_placement(name(Placement::striped)), Placement::striped);
  EXPECT_THROW(parse_schedule("rings"), problem::InvalidInput);
}

} // namespace
} // namespace ringscale::schedule
