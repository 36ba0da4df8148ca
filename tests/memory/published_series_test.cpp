// SPDX-License-Identifier: Apache-2.0
// The documents print 2096.1, 1072.1, 560.1, 304.1 and 176.1 "MB" for ring sizes 1, 2, 4, 8 and 16, at 8192 tokens,
// 8 heads x 64 and float32. These tests say which design gives that series, and by which bytes the executor differs.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "memory/memory_model.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::memory {
namespace {

using schedule::RingProblem;

constexpr double mebibyte = 1024.0 * 1024.0;
constexpr std::array<std::int64_t, 5> ring_sizes{1, 2, 4, 8, 16};
constexpr std::array<double, 5> published_mib{2096.1, 1072.1, 560.1, 304.1, 176.1};

RingProblem published_problem(std::int64_t ring_size) {
  RingProblem problem;
  problem.attention.tokens = 8192;
  problem.attention.query_heads = 8;
  problem.attention.kv_heads = 8;
  problem.attention.head_dim = 64;
  problem.ring_size = ring_size;
  return problem;
}

double mib(MemoryModel model, std::int64_t ring_size) {
  return static_cast<double>(model_memory(model, published_problem(ring_size), {64, 0}).total()) / mebibyte;
}

TEST(PublishedSeries, IsASerialLoopThatHoldsWholeTensors) {
  for (std::size_t index = 0; index < ring_sizes.size(); ++index) {
    const std::int64_t ring_size = ring_sizes[index];
    const MemoryByPurpose memory = model_memory(MemoryModel::serial_chunk_loop, published_problem(ring_size), {});
    EXPECT_EQ(memory.total(), 48 * (std::int64_t{1} << 20) + (std::int64_t{1} << 31) / ring_size);
    // 0.1 MiB stays unexplained: the printed figures are 48.1 + 2048 / P.
    EXPECT_NEAR(published_mib[index] - mib(MemoryModel::serial_chunk_loop, ring_size), 0.1, 1e-9);
  }
}

TEST(PublishedSeries, NoOtherModelComesWithinTwoPercent) {
  for (const MemoryModel model : all_memory_models) {
    double worst = 0.0;
    for (std::size_t index = 0; index < ring_sizes.size(); ++index) {
      worst = std::max(worst, std::abs(mib(model, ring_sizes[index]) / published_mib[index] - 1.0));
    }
    EXPECT_EQ(worst < 0.02, model == MemoryModel::serial_chunk_loop) << name(model) << " " << worst;
  }
}

TEST(PublishedSeries, DiffersFromTheExecutorWithReplicatedQueriesByNamedBytes) {
  // Both hold the whole query and the n x n/P scores. The published series holds whole keys and values (32 MiB) and
  // counts no output; the executor holds 32/P of them, 32/P more for the block that arrives, and output and
  // log-sum-exp, and each block carries a header of 64 bytes.
  for (const std::int64_t ring_size : ring_sizes) {
    const RingProblem problem = published_problem(ring_size);
    const MemoryByPurpose ours = model_memory(MemoryModel::ring_replicated_queries_materialised, problem, {64, 0});
    const MemoryByPurpose theirs = model_memory(MemoryModel::serial_chunk_loop, problem, {});
    constexpr std::int64_t one_mib = std::int64_t{1} << 20;
    EXPECT_EQ(ours[Purpose::query], theirs[Purpose::query]);
    EXPECT_EQ(ours[Purpose::query], 16 * one_mib);
    EXPECT_EQ(ours[Purpose::scores], theirs[Purpose::scores]);
    EXPECT_EQ(ours[Purpose::scores], 2048 * one_mib / ring_size);
    EXPECT_EQ(theirs[Purpose::key_value], 32 * one_mib);
    EXPECT_EQ(ours[Purpose::key_value], 32 * one_mib / ring_size + block_header_bytes);
    EXPECT_EQ(ours[Purpose::communication], ring_size > 1 ? ours[Purpose::key_value] : 0);
    EXPECT_EQ(ours[Purpose::output], 16 * one_mib);
    EXPECT_EQ(ours[Purpose::partial], one_mib / 4);
    EXPECT_EQ(theirs[Purpose::output] + theirs[Purpose::partial] + theirs[Purpose::communication], 0);
  }
}

TEST(PublishedSeries, TotalsAreThoseOfTheTableInTheDocumentation) {
  constexpr std::array<double, 5> replicated_mib{2112.25, 1088.25, 560.25, 296.25, 164.25};
  constexpr std::array<double, 5> sharded_mib{64.25, 48.125, 24.0625, 12.03125, 6.015625};
  for (std::size_t index = 0; index < ring_sizes.size(); ++index) {
    const std::int64_t ring_size = ring_sizes[index];
    const double headers_mib = (ring_size > 1 ? 2.0 : 1.0) * static_cast<double>(block_header_bytes) / mebibyte;
    EXPECT_DOUBLE_EQ(mib(MemoryModel::ring_replicated_queries_materialised, ring_size),
                     replicated_mib[index] + headers_mib);
    EXPECT_DOUBLE_EQ(mib(MemoryModel::ring_sharded, ring_size), sharded_mib[index] + headers_mib);
  }
}

TEST(PublishedSeries, ShardedAndStreamedIsOrdersOfMagnitudeBelow) {
  EXPECT_NEAR(mib(MemoryModel::ideal_sharded, 1), 64.0, 1e-9);
  EXPECT_NEAR(mib(MemoryModel::ideal_sharded, 16), 4.0, 1e-9);
  EXPECT_NEAR(mib(MemoryModel::ring_sharded, 1), 64.25, 1e-3);
  EXPECT_NEAR(mib(MemoryModel::ring_sharded, 16), 6.0 + 0.25 / 16.0, 1e-3);
}

TEST(MemoryModel, WordsGoBothWays) {
  for (const MemoryModel model : all_memory_models) {
    EXPECT_EQ(parse_memory_model(name(model)), model);
  }
  EXPECT_THROW(parse_memory_model("magic"), problem::InvalidInput);
}

TEST(MemoryModel, RefusesWhatNoCounterCanHold) {
  RingProblem problem = published_problem(1);
  problem.attention.tokens = std::int64_t{1} << 34;
  EXPECT_THROW(model_memory(MemoryModel::single_device_materialised, problem, {}), problem::InvalidInput);
}

} // namespace
} // namespace ringscale::memory
