// SPDX-License-Identifier: Apache-2.0
#include "memory/closed_form.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "problem/invalid_input.hpp"

namespace ringscale::memory {
namespace {

using schedule::Placement;
using schedule::RingProblem;
using schedule::Schedule;

/// Counts rows, padded keys and scores of one rank by walking over every rank's spans, one token at a time.
MemoryByPurpose enumerated(const RingProblem &problem, std::int64_t rank, const KernelFootprint &footprint,
                           KernelKind kernel) {
  const auto &attention = problem.attention;
  const auto spans = [&](bool query, std::int64_t owner) {
    const problem::TokenSet set = query ? query_tokens(problem.placement, attention.tokens, problem.ring_size, owner)
                                        : key_tokens(problem.placement, attention.tokens, problem.ring_size, owner);
    std::vector<std::int64_t> counts(2, 0);
    for (std::int64_t token = 0; token < attention.tokens; ++token) {
      for (int index = 0; index < set.span_count(); ++index) {
        for (std::int64_t place = 0; place < set.span(index).count; ++place) {
          counts[static_cast<std::size_t>(index)] += set.span(index).position(place) == token ? 1 : 0;
        }
      }
    }
    return counts;
  };
  std::int64_t most_packed_tokens = 0;
  std::int64_t longest_key_span = 0;
  for (std::int64_t owner = 0; owner < problem.ring_size; ++owner) {
    std::int64_t packed_tokens = 0;
    for (const std::int64_t count : spans(false, owner)) {
      std::int64_t padded = 0;
      while (padded < count) {
        padded += footprint.key_tile_tokens;
      }
      packed_tokens += padded;
      longest_key_span = std::max(longest_key_span, count);
    }
    most_packed_tokens = std::max(most_packed_tokens, packed_tokens);
  }
  const std::vector<std::int64_t> query_spans = spans(true, rank);
  const std::int64_t rows = attention.batch * (query_spans[0] + query_spans[1]) * attention.query_heads;
  MemoryByPurpose memory;
  memory[Purpose::query] = 4 * rows * attention.head_dim;
  memory[Purpose::output] = 4 * rows * attention.head_dim;
  memory[Purpose::partial] = 4 * rows;
  memory[Purpose::key_value] =
      64 + 2 * 4 * attention.batch * most_packed_tokens * attention.kv_heads * attention.head_dim;
  if (problem.schedule == Schedule::ring && problem.ring_size > 1) {
    memory[Purpose::communication] = memory[Purpose::key_value];
  }
  if (kernel == KernelKind::materialised) {
    memory[Purpose::scores] =
        4 * attention.batch * attention.query_heads * std::max(query_spans[0], query_spans[1]) * longest_key_span;
  }
  memory[Purpose::workspace] = footprint.workspace_bytes;
  return memory;
}

TEST(ClosedForm, EqualsEnumerationForEveryPlacementRingAndTokenCount) {
  std::int64_t points = 0;
  for (const Placement placement :
       {Placement::contiguous, Placement::zigzag, Placement::striped, Placement::replicated_queries}) {
    for (std::int64_t ring_size = 1; ring_size <= 9; ++ring_size) {
      for (std::int64_t tokens = ring_size; tokens <= 40; tokens += 1 + tokens / 16) {
        for (const std::int64_t tile : {1, 3, 16}) {
          RingProblem problem;
          problem.placement = placement;
          problem.ring_size = ring_size;
          problem.schedule = tokens % 5 == 0 ? Schedule::local_only : Schedule::ring;
          problem.attention.tokens = tokens;
          problem.attention.batch = 1 + tokens % 2;
          problem.attention.query_heads = 4;
          problem.attention.kv_heads = tokens % 3 == 0 ? 2 : 4;
          problem.attention.head_dim = 8;
          const KernelKind kernel = tokens % 2 == 0 ? KernelKind::materialised : KernelKind::streamed;
          const KernelFootprint footprint{tile, 100 * tile};
          std::int64_t most = 0;
          for (std::int64_t rank = 0; rank < ring_size; ++rank) {
            const MemoryByPurpose closed = closed_form(problem, rank, footprint, kernel);
            ASSERT_EQ(closed, enumerated(problem, rank, footprint, kernel))
                << name(placement) << " P=" << ring_size << " tokens=" << tokens << " rank=" << rank;
            most = std::max(most, closed.total());
            ++points;
          }
          EXPECT_EQ(closed_form(problem, rank_with_most_memory(problem), footprint, kernel).total(), most);
        }
      }
    }
  }
  EXPECT_GT(points, 3000);
  RecordProperty("points", static_cast<int>(points));
}

TEST(ClosedForm, CountsRealBytesOfNarrowElements) {
  RingProblem problem;
  problem.attention.tokens = 1000;
  problem.ring_size = 3;
  const MemoryByPurpose full = closed_form(problem, 0, {64, 10}, KernelKind::materialised);
  for (const auto &[dtype, share] : {std::pair{problem::DType::bfloat16, 2}, std::pair{problem::DType::float16, 2},
                                     std::pair{problem::DType::float8_e4m3, 4}}) {
    problem.attention.dtype = dtype;
    const MemoryByPurpose narrow = closed_form(problem, 0, {64, 10}, KernelKind::materialised);
    EXPECT_EQ(narrow[Purpose::query] * share, full[Purpose::query]);
    EXPECT_EQ((narrow[Purpose::key_value] - block_header_bytes) * share, full[Purpose::key_value] - block_header_bytes);
    // Partial outputs, log-sum-exps and scores stay float32, and scratch is the kernel's own affair.
    EXPECT_EQ(narrow[Purpose::output], full[Purpose::output]);
    EXPECT_EQ(narrow[Purpose::partial], full[Purpose::partial]);
    EXPECT_EQ(narrow[Purpose::scores], full[Purpose::scores]);
    EXPECT_EQ(narrow[Purpose::workspace], full[Purpose::workspace]);
  }
}

TEST(ClosedForm, TwoByteKeysOfAnOddHeadDimAreEvenAndResultsStayFloat32) {
  RingProblem problem;
  problem.attention.tokens = 128;
  problem.attention.query_heads = 2;
  problem.attention.kv_heads = 1;
  problem.attention.head_dim = 5;
  problem.attention.dtype = problem::DType::bfloat16;
  problem.ring_size = 2;
  const problem::TokenSet keys{{0, 64, 1}, {}};
  EXPECT_EQ(packed_bytes(problem.attention, keys, {64, 0}), 2 * 64 * (6 + 5));
  problem.moving = schedule::Moving::query;
  EXPECT_EQ(block_payload_bytes(problem, 0, {64, 0}), 2 * 64 * 2 * 5);
  EXPECT_EQ(result_payload_bytes(problem, 0), 4 * 64 * 2 * 5 + 4 * 64 * 2);
  problem.attention.dtype = problem::DType::float32;
  EXPECT_EQ(packed_bytes(problem.attention, keys, {64, 0}), 4 * 64 * (5 + 5));
}

TEST(ClosedForm, WideningHalfBlocksBackwardWouldSaveNothing) {
  RingProblem problem;
  problem.attention.tokens = 1024;
  problem.ring_size = 4;
  problem.pass = schedule::Pass::backward;
  const std::int64_t key_elements =
      problem.attention.batch * 256 * problem.attention.kv_heads * problem.attention.head_dim;
  const std::int64_t full = block_payload_bytes(problem, 0, {64, 0});
  const std::int64_t result = result_payload_bytes(problem, 0);
  EXPECT_EQ(full, 8 * key_elements);
  EXPECT_EQ(result, 8 * key_elements);
  // The rank's own block, one that arrives, and three results under way.
  EXPECT_EQ(closed_form(problem, 0, {64, 0}, KernelKind::streamed)[Purpose::communication],
            block_header_bytes + full + 3 * (block_header_bytes + result));
  problem.attention.dtype = problem::DType::bfloat16;
  const std::int64_t half = block_payload_bytes(problem, 0, {64, 0});
  EXPECT_EQ(2 * half + full, 2 * full) << "two halves and their widened copy are two whole blocks";
  EXPECT_EQ(4 * (half + result), 3 * (full + result)) << "a quarter of what travels would go";
}

TEST(ClosedForm, RefusesBadProblems) {
  RingProblem problem;
  problem.attention.tokens = 3;
  problem.ring_size = 4;
  EXPECT_THROW(closed_form(problem, 0, {}, KernelKind::streamed), problem::InvalidInput);
  problem.attention.tokens = 8;
  EXPECT_THROW(closed_form(problem, 4, {}, KernelKind::streamed), problem::InvalidInput);
  EXPECT_THROW(closed_form(problem, 0, {0, 0}, KernelKind::streamed), problem::InvalidInput);
}

TEST(ClosedForm, RefusesScoresThatNoCounterCanHold) {
  RingProblem problem;
  problem.attention.tokens = std::int64_t{1} << 40;
  EXPECT_THROW(closed_form(problem, 0, {}, KernelKind::materialised), problem::InvalidInput);
  EXPECT_GT(closed_form(problem, 0, {}, KernelKind::streamed).total(), std::int64_t{1} << 50);
}

TEST(KernelKind, WordsGoBothWays) {
  for (const KernelKind kernel : {KernelKind::streamed, KernelKind::materialised}) {
    EXPECT_EQ(parse_kernel(name(kernel)), kernel);
  }
  EXPECT_THROW(parse_kernel("flash"), problem::InvalidInput);
}

} // namespace
} // namespace ringscale::memory
