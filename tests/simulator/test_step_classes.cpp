// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>

#include "problem/token_span.hpp"
#include "schedule/ring_schedule.hpp"
#include "simulator/step_classes.hpp"

namespace ringscale::simulator {
namespace {

using problem::Mask;
using schedule::Placement;

std::vector<schedule::RingProblem> all_problems() {
  std::vector<schedule::RingProblem> problems;
  for (const Placement placement :
       {Placement::contiguous, Placement::zigzag, Placement::striped, Placement::replicated_queries}) {
    for (const Mask mask : {Mask::none, Mask::causal}) {
      for (const std::int64_t ring_size : {1, 2, 3, 4, 5, 7, 8, 13}) {
        for (const std::int64_t extra : {0, 1, 2, 5, 6, 11}) {
          schedule::RingProblem problem;
          problem.attention.tokens = 6 * ring_size + extra % (2 * ring_size);
          problem.attention.mask = mask;
          problem.placement = placement;
          problem.ring_size = ring_size;
          problems.push_back(problem);
        }
      }
    }
  }
  return problems;
}

/// Pairs of every span of the rank's queries with every span of the keys it meets: all a tile's cost depends on.
std::vector<std::int64_t> span_work(const schedule::RingProblem &problem, std::int64_t rank, std::int64_t step) {
  const auto queries = query_tokens(problem.placement, problem.attention.tokens, problem.ring_size, rank);
  const auto keys = key_tokens(problem.placement, problem.attention.tokens, problem.ring_size,
                               schedule::step_of(problem, rank, step).block_owner);
  std::vector<std::int64_t> work;
  for (int query = 0; query < queries.span_count(); ++query) {
    for (int key = 0; key < keys.span_count(); ++key) {
      work.insert(work.end(), {queries.span(query).count, keys.span(key).count,
                               problem::admitted_pairs(queries.span(query), keys.span(key), problem.attention.mask)});
    }
  }
  return work;
}

TEST(StepClasses, EveryRankAndStepDoesTheWorkOfItsClassExample) {
  std::int64_t compared = 0;
  for (const schedule::RingProblem &problem : all_problems()) {
    const StepClasses classes(problem);
    ASSERT_EQ(classes.steps(), schedule::step_count(problem));
    if (classes.work_depends_on_owner()) {
      continue;
    }
    for (std::int64_t rank = 0; rank < problem.ring_size; ++rank) {
      for (std::int64_t step = 0; step < classes.steps(); ++step) {
        const StepClasses::Example example =
            classes.example(classes.query_class(rank), classes.key_relation(rank, step));
        ASSERT_GE(example.rank, 0) << "class without example";
        ASSERT_EQ(span_work(problem, rank, step), span_work(problem, example.rank, example.step))
            << schedule::name(problem.placement) << " P=" << problem.ring_size << " T=" << problem.attention.tokens
            << " rank " << rank << " step " << step;
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 10000);
}

TEST(StepClasses, WorkThatDependsOnTheOwnerIsTheSameForAllRanks) {
  for (const schedule::RingProblem &problem : all_problems()) {
    const StepClasses classes(problem);
    if (!classes.work_depends_on_owner()) {
      continue;
    }
    std::map<std::int64_t, std::vector<std::int64_t>> by_owner;
    for (std::int64_t rank = 0; rank < problem.ring_size; ++rank) {
      for (std::int64_t step = 0; step < classes.steps(); ++step) {
        const auto work = span_work(problem, rank, step);
        const auto [entry, added] = by_owner.emplace(schedule::step_of(problem, rank, step).block_owner, work);
        EXPECT_EQ(entry->second, work);
      }
    }
  }
}

TEST(StepClasses, RunsListEveryRanksClassInOrder) {
  for (const schedule::RingProblem &problem : all_problems()) {
    const StepClasses classes(problem);
    std::vector<ClassRun> runs;
    for (std::int64_t step = 0; step < classes.steps(); ++step) {
      for (const std::int64_t begin : {std::int64_t{0}, problem.ring_size / 2}) {
        const std::int64_t end = begin + problem.ring_size - 1;
        classes.runs(step, begin, end, runs);
        std::int64_t position = begin;
        for (const ClassRun &run : runs) {
          ASSERT_EQ(run.rank_begin, position);
          for (; position < run.rank_end; ++position) {
            ASSERT_EQ(run.key_relation, classes.key_relation(position % problem.ring_size, step));
          }
        }
        ASSERT_EQ(position, std::max(begin, end));
      }
    }
  }
}

TEST(StepClasses, CountsRanksOfAClass) {
  for (const schedule::RingProblem &problem : all_problems()) {
    const StepClasses classes(problem);
    std::int64_t ranks = 0;
    for (int query_class = 0; query_class < classes.query_classes(); ++query_class) {
      ranks += classes.count_ranks(query_class, 0, problem.ring_size);
    }
    EXPECT_EQ(ranks, problem.ring_size);
  }
}

TEST(StepClasses, ACausalRingIsNotUniformAndAnUnmaskedEvenOneIs) {
  schedule::RingProblem problem;
  problem.attention.tokens = 64;
  problem.ring_size = 8;
  EXPECT_TRUE(StepClasses(problem).uniform());
  problem.attention.mask = Mask::causal;
  EXPECT_FALSE(StepClasses(problem).uniform());
  problem.attention.mask = Mask::none;
  problem.attention.tokens = 65;
  EXPECT_FALSE(StepClasses(problem).uniform());
}

} // namespace
} // namespace ringscale::simulator
