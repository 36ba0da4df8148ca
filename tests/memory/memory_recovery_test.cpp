// SPDX-License-Identifier: Apache-2.0
#include "memory/memory_recovery.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace ringscale::memory {
namespace {

/// 400 bytes of cache, 300 of scores and 100 of tensors a sequence, tensors halved by bfloat16.
RecoveryNeed sample_need(std::int64_t batch) {
  RecoveryNeed need;
  need.batch = batch;
  need.need_bytes = [batch](const MemoryConfiguration &configuration) {
    const std::int64_t sequences = (batch + configuration.batch_pieces - 1) / configuration.batch_pieces;
    const std::int64_t tensors = configuration.storage == problem::DType::float32 ? 100 : 50;
    return (configuration.keeps_cache ? 400 : 0) + sequences * (tensors + (configuration.stores_scores ? 300 : 0));
  };
  need.storage_error_cost = [](problem::DType) { return 0.25; };
  return need;
}

constexpr MemoryConfiguration lavish{true, true, 1, problem::DType::float32};

Limits memory_limit(std::int64_t bytes) {
  Limits limits;
  limits.memory_bytes = bytes;
  return limits;
}

std::vector<RecoveryAction> actions(const RecoveryPlan &plan) {
  std::vector<RecoveryAction> taken;
  for (const RecoveryStep &step : plan.steps) {
    taken.push_back(step.action);
  }
  return taken;
}

TEST(PlanRecovery, TakesNoMoreStepsThanItNeeds) {
  using enum RecoveryAction;
  const RecoveryNeed need = sample_need(8); // 3600 as it starts, 3200 without cache, 800 recomputed, 100 x sequences
  const auto plan = [&](std::int64_t limit) { return plan_recovery(need, memory_limit(limit), lavish); };
  EXPECT_TRUE(plan(0).steps.empty()) << "no limit";
  EXPECT_TRUE(plan(3600).steps.empty());
  EXPECT_EQ(actions(plan(3599)), std::vector{drop_cache});
  EXPECT_EQ(actions(plan(3199)), (std::vector{drop_cache, recompute_instead_of_store}));
  EXPECT_EQ(actions(plan(799)), (std::vector{drop_cache, recompute_instead_of_store, split_batch}));
  EXPECT_EQ(actions(plan(99)), (std::vector{drop_cache, recompute_instead_of_store, split_batch, lower_precision}));
  EXPECT_EQ(plan(799).configuration.batch_pieces, 2) << "the fewest pieces";
  EXPECT_EQ(plan(300).configuration.batch_pieces, 3);
  EXPECT_EQ(plan(299).configuration.batch_pieces, 4);
  EXPECT_EQ(plan(100).configuration.batch_pieces, 8);
}

TEST(PlanRecovery, TellsBytesAndErrorOfEveryStep) {
  const RecoveryPlan plan = plan_recovery(sample_need(8), memory_limit(60), lavish);
  ASSERT_EQ(plan.steps.size(), 4U);
  EXPECT_EQ(plan.steps.front().bytes_before, 3600);
  for (std::size_t step = 1; step < 4; ++step) {
    EXPECT_EQ(plan.steps[step].bytes_before, plan.steps[step - 1].bytes_after);
  }
  for (const RecoveryStep &step : plan.steps) {
    EXPECT_LT(step.bytes_after, step.bytes_before);
    EXPECT_EQ(step.error_cost, step.action == RecoveryAction::lower_precision ? 0.25 : 0.0);
  }
  EXPECT_EQ(plan.bytes, 50);
  EXPECT_EQ(plan.error_cost, 0.25);
  EXPECT_EQ(plan.steps.back().after, plan.configuration);
  EXPECT_EQ(plan.configuration.storage, problem::DType::bfloat16);
}

TEST(PlanRecovery, SkipsStepsThatFreeNothing) {
  const MemoryConfiguration frugal{false, false, 1, problem::DType::float32};
  const RecoveryPlan plan = plan_recovery(sample_need(1), memory_limit(50), frugal);
  EXPECT_EQ(actions(plan), std::vector{RecoveryAction::lower_precision});
}

TEST(PlanRecovery, RefusesWithAdviceWhenNothingIsEnough) {
  const auto message = [](const RecoveryNeed &need, std::int64_t limit) {
    try {
      plan_recovery(need, memory_limit(limit), lavish);
    } catch (const OutOfBudget &refusal) {
      EXPECT_EQ(refusal.budget_bytes(), limit);
      return std::string(refusal.what());
    }
    return std::string("nothing was refused");
  };
  RecoveryNeed need = sample_need(8);
  EXPECT_NE(message(need, 49).find("drop_cache, recompute_instead_of_store, split_batch, lower_precision"),
            std::string::npos);
  EXPECT_NE(message(need, 49).find("--memory-limit"), std::string::npos);
  need.may_lower_precision = false;
  EXPECT_NE(message(need, 60).find("lower_precision was not allowed"), std::string::npos) << "an error needs consent";
  EXPECT_EQ(message(need, 100), "nothing was refused");
  EXPECT_THROW(plan_recovery(need, memory_limit(1), {true, true, 9, problem::DType::float32}), std::logic_error);
}

TEST(RecoveryAction, EachHasItsOwnWord) {
  for (const RecoveryAction left : recovery_chain) {
    for (const RecoveryAction right : recovery_chain) {
      EXPECT_EQ(name(left) == name(right), left == right);
    }
  }
}

schedule::RingProblem ring_problem() {
  schedule::RingProblem problem;
  problem.ring_size = 4;
  problem.attention.batch = 4;
  problem.attention.tokens = 4096;
  problem.attention.query_heads = 8;
  problem.attention.kv_heads = 2;
  problem.attention.head_dim = 64;
  return problem;
}

TEST(RingRecoveryNeed, EqualsTheClosedForms) {
  const schedule::RingProblem problem = ring_problem();
  const KernelFootprint footprint{64, 1 << 16};
  const problem::DataMagnitude magnitude = problem::synthetic_magnitude(64);
  const RecoveryNeed need = ring_recovery_need(problem, footprint, 12345, magnitude);
  EXPECT_EQ(need.need_bytes(lavish), closed_form(problem, 0, footprint, KernelKind::materialised).total() + 12345);
  schedule::RingProblem piece = problem;
  piece.attention.batch = 2; // the larger of three pieces of four sequences
  piece.attention.dtype = problem::DType::bfloat16;
  EXPECT_EQ(need.need_bytes({false, false, 3, problem::DType::bfloat16}),
            closed_form(piece, 0, footprint, KernelKind::streamed).total());
}

TEST(RingRecoveryNeed, StatesTheErrorBoundOfTheStorage) {
  const schedule::RingProblem problem = ring_problem();
  const problem::DataMagnitude magnitude = problem::synthetic_magnitude(64);
  const RecoveryNeed need = ring_recovery_need(problem, {}, 0, magnitude);
  const auto bound = [&](problem::DType storage) {
    return problem::attention_error_bound(storage, 4096, 64, 4, magnitude).output;
  };
  const double cost = need.storage_error_cost(problem::DType::bfloat16);
  EXPECT_EQ(cost, bound(problem::DType::bfloat16) - bound(problem::DType::float32));
  EXPECT_GT(cost, problem::unit_roundoff(problem::DType::bfloat16)) << "at least one value is rounded";
  EXPECT_EQ(need.storage_error_cost(problem::DType::float32), 0.0);
}

TEST(RingRecoveryNeed, WalksTheChainOnARealRing) {
  const schedule::RingProblem problem = ring_problem();
  const RecoveryNeed need = ring_recovery_need(problem, {}, 1 << 20, problem::synthetic_magnitude(64));
  // What the last configuration of the chain takes is the least that can be asked for.
  const std::int64_t least = need.need_bytes({false, false, 4, problem::DType::bfloat16});
  const RecoveryPlan plan = plan_recovery(need, memory_limit(least), lavish);
  EXPECT_EQ(plan.steps.size(), 4U);
  EXPECT_EQ(plan.bytes, least);
  EXPECT_GT(plan.error_cost, 0.0);
  EXPECT_THROW(plan_recovery(need, memory_limit(least - 1), lavish), OutOfBudget);
}

} // namespace
} // namespace ringscale::memory
