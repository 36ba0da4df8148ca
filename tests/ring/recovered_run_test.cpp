// SPDX-License-Identifier: Apache-2.0
// Runs within a memory limit, on real ranks: what is given up, that it is said, and that results stay right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "problem/invalid_input.hpp"
#include "ring/recovered_run.hpp"
#include "tests/ring/loopback_ring.hpp"
#include "tests/ring/mpi_main.hpp"

namespace ringscale::ring {
namespace {

using memory::RecoveryAction;

RingOptions batch_options(int ring_size) {
  RingOptions options = small_options(ring_size, 403, schedule::Placement::zigzag, problem::Mask::causal);
  options.problem.attention.batch = 5;
  return options;
}

memory::Limits limit_of(std::int64_t bytes) {
  memory::Limits limits;
  limits.memory_bytes = bytes;
  return limits;
}

RecoveredRun run_within(Communicator &ring, const RingOptions &options, const memory::Limits &limits) {
  return run_recovered(ring, options, recover_memory(options, limits), limits);
}

TEST(RecoveredRun, GivesNothingUpWhereEverythingFits) {
  on_first_ranks(2, [](Communicator &ring) {
    const RingOptions options = batch_options(2);
    const RecoveredRun free = run_within(ring, options, {});
    const RecoveredRun exact = run_within(ring, options, limit_of(largest_planned_memory(options)));
    EXPECT_TRUE(free.run.valid && exact.run.valid);
    EXPECT_TRUE(free.plan.steps.empty() && exact.plan.steps.empty());
    EXPECT_EQ(free.run.output_checksum, exact.run.output_checksum);
    EXPECT_GT(free.pool.misses, 0);
    EXPECT_EQ(free.run.memory_peak_bytes, largest_planned_memory(options));
  });
}

TEST(RecoveredRun, RecomputesScoresThenSplitsTheBatchAndSaysSo) {
  on_first_ranks(2, [](Communicator &ring) {
    RingOptions options = batch_options(2);
    const std::int64_t streamed = largest_planned_memory(options);
    options.problem.attention.batch = 2;
    const std::int64_t two_entries = largest_planned_memory(options);
    options.problem.attention.batch = 5;
    options.kernel = memory::KernelKind::materialised;
    const std::int64_t stored = largest_planned_memory(options);
    ASSERT_GT(stored, streamed);

    const RecoveredRun recomputed = run_within(ring, options, limit_of(streamed));
    EXPECT_TRUE(recomputed.run.valid);
    ASSERT_EQ(recomputed.plan.steps.size(), 1U);
    EXPECT_EQ(recomputed.plan.steps[0].action, RecoveryAction::recompute_instead_of_store);
    EXPECT_EQ(recomputed.plan.steps[0].bytes_before, stored);
    EXPECT_EQ(recomputed.plan.steps[0].bytes_after, streamed);
    EXPECT_EQ(recomputed.plan.steps[0].error_cost, 0.0);

    const RecoveredRun split = run_within(ring, options, limit_of(two_entries));
    EXPECT_TRUE(split.run.valid);
    ASSERT_EQ(split.plan.steps.size(), 2U);
    EXPECT_EQ(split.plan.steps[1].action, RecoveryAction::split_batch);
    EXPECT_EQ(split.plan.configuration.batch_pieces, 3); // of 2, 2 and 1 entries
    EXPECT_LE(split.run.memory_peak_bytes, two_entries);
    EXPECT_EQ(split.run.checked_rows, recomputed.run.checked_rows);
    EXPECT_LE(split.run.max_error, split.run.error_bound);
    EXPECT_GT(split.pool.hits, 0) << "the second piece takes the buffers of the first";
  });
}

TEST(RecoveredRun, GradientsOfPiecesAreRight) {
  on_first_ranks(2, [](Communicator &ring) {
    RingOptions options = batch_options(2);
    options.problem.pass = schedule::Pass::backward;
    RingOptions one = options;
    one.problem.attention.batch = 1;
    const RecoveredRun split = run_within(ring, options, limit_of(largest_planned_memory(one)));
    EXPECT_TRUE(split.run.valid) << (split.run.reasons.empty() ? "" : split.run.reasons.front());
    EXPECT_TRUE(split.run.has_gradients && split.run.all_rows_checked);
    EXPECT_EQ(split.plan.configuration.batch_pieces, 5);
  });
}

TEST(RecoveredRun, LowersThePrecisionLastAndOnlyWhereAllowed) {
  on_first_ranks(3, [](Communicator &ring) {
    RingOptions options = batch_options(3);
    options.problem.attention.batch = 2;
    RingOptions one = options;
    one.problem.attention.batch = 1;
    const std::int64_t split = largest_planned_memory(one);
    one.problem.attention.dtype = problem::DType::bfloat16;
    const std::int64_t lowered = largest_planned_memory(one);
    ASSERT_LT(lowered, split);
    EXPECT_THROW((void)recover_memory(options, limit_of(lowered)), memory::OutOfBudget) << "nobody allowed an error";

    const RecoveredOptions recovered = recover_memory(options, limit_of(lowered), true);
    const RecoveredRun result = run_recovered(ring, options, recovered, limit_of(lowered));
    EXPECT_TRUE(result.run.valid) << (result.run.reasons.empty() ? "" : result.run.reasons.front());
    ASSERT_EQ(result.plan.steps.size(), 2U);
    EXPECT_EQ(result.plan.steps[0].action, RecoveryAction::split_batch);
    EXPECT_EQ(result.plan.steps[0].error_cost, 0.0);
    EXPECT_EQ(result.plan.steps[1].action, RecoveryAction::lower_precision);
    EXPECT_EQ(result.plan.steps[1].bytes_before, split);
    EXPECT_EQ(result.plan.steps[1].bytes_after, lowered);
    EXPECT_EQ(result.plan.steps[1].after.storage, problem::DType::bfloat16);
    EXPECT_EQ(recovered.options.problem.attention.dtype, problem::DType::bfloat16);
    EXPECT_LE(result.run.memory_peak_bytes, lowered);

    // The row's bound is that of float32 and what the step says it costs; the errors are of bfloat16.
    const RecoveredRun exact = run_within(ring, options, {});
    EXPECT_DOUBLE_EQ(result.run.error_bound, exact.run.error_bound + result.plan.error_cost);
    EXPECT_GT(result.run.max_error, exact.run.error_bound);
    EXPECT_LE(result.run.max_error, result.run.error_bound);

    const RecoveredOptions roomy = recover_memory(options, limit_of(split), true);
    EXPECT_EQ(roomy.options.problem.attention.dtype, problem::DType::float32) << "taken before it had to be";
    options.problem.pass = schedule::Pass::backward;
    EXPECT_THROW((void)recover_memory(options, limit_of(lowered), true), problem::InvalidInput);
  });
}

TEST(RecoveredRun, MessagesOfALoweredRunHaveHalfTheBytes) {
  on_first_ranks(4, [](Communicator &ring) {
    RingOptions options = small_options(4, 512, schedule::Placement::contiguous, problem::Mask::none);
    const RingRun full = run_ring(ring, options);
    options.problem.attention.dtype = problem::DType::bfloat16;
    const RingRun half = run_ring(ring, options);
    EXPECT_TRUE(full.valid && half.valid);
    ASSERT_GT(full.transport.messages_sent, 0);
    ASSERT_EQ(half.transport.messages_sent, full.transport.messages_sent);
    const std::int64_t headers = memory::block_header_bytes * full.transport.messages_sent;
    EXPECT_EQ(2 * (half.transport.bytes_sent - headers), full.transport.bytes_sent - headers);
    EXPECT_EQ(2 * (half.hop_bytes - memory::block_header_bytes), full.hop_bytes - memory::block_header_bytes);
    EXPECT_EQ(half.memory_peak_bytes, half.memory_closed_form_bytes);
  });
}

TEST(RecoveredRun, IsRefusedWithAdviceWhenNothingHelps) {
  const RingOptions options = batch_options(2);
  try {
    (void)recover_memory(options, limit_of(1000));
    FAIL() << "1000 bytes were enough";
  } catch (const memory::OutOfBudget &error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("--memory-limit"));
    EXPECT_THAT(error.what(), testing::HasSubstr("split_batch"));
  }
}

TEST(RecoveredRun, TheLargestMessageIsABlockAResultOrAWholeGather) {
  RingOptions options = batch_options(4);
  const std::int64_t block = memory::block_buffer_bytes(options.problem, kernel_footprint(options));
  EXPECT_EQ(largest_message(options), block);
  options.problem.moving = schedule::Moving::query;
  EXPECT_GT(largest_message(options), memory::block_buffer_bytes(options.problem, kernel_footprint(options)));
  options.problem.moving = schedule::Moving::key_value;
  options.problem.schedule = schedule::Schedule::all_gather;
  options.collective = true;
  EXPECT_EQ(largest_message(options), 4 * block);
  options.problem.ring_size = 1;
  EXPECT_EQ(largest_message(options), 0);
}

} // namespace
} // namespace ringscale::ring
