// SPDX-License-Identifier: Apache-2.0
// Blocks joined by their log-sum-exp, inside the kernel and by merge_partials, in any order; and the per_chunk control.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

#include "attention_case.hpp"
#include "kernels/merge.hpp"

namespace ringscale::kernels::test {
namespace {

struct Span {
  std::int64_t begin, count;
};

/// Cuts `tokens` keys into spans of uneven lengths.
std::vector<Span> uneven_spans(std::int64_t tokens, std::int64_t longest, std::mt19937 &random) {
  std::vector<Span> spans;
  std::uniform_int_distribution<std::int64_t> length(1, longest);
  for (std::int64_t begin = 0; begin < tokens;) {
    const std::int64_t count = std::min(length(random), tokens - begin);
    spans.push_back({begin, count});
    begin += count;
  }
  return spans;
}

AttentionCase causal_case() {
  AttentionCase shape;
  shape.batch = 2;
  shape.query_tokens = 90;
  shape.key_tokens = 500;
  shape.query_heads = 4;
  shape.kv_heads = 2;
  shape.admission = {true, 250, 1, 0, 1};
  return shape;
}

void merge(const Partial &into, const Partial &other) {
  const ExecutionSpace space;
  merge_partials(space, into.output, into.log_sum_exp, other.output, other.log_sum_exp);
  space.fence();
}

TEST(Merge, OnlineBlocksInAnyOrderEqualTheReference) {
  for (const auto kernel : {run_streamed, run_materialised}) {
    for (unsigned seed = 1; seed <= 6; ++seed) {
      std::mt19937 random(seed);
      const CaseData data(causal_case());
      std::vector<Span> spans = uneven_spans(data.shape.key_tokens, seed % 2 == 0 ? 200 : 23, random);
      std::shuffle(spans.begin(), spans.end(), random);
      const Partial partial = data.empty_partial();
      for (const Span &span : spans) {
        Owned1 packed;
        AttentionBlock block = data.span_block(partial, span.begin, span.count, packed);
        block.merge = Merge::online;
        kernel(block);
      }
      const Comparison comparison = data.compare(partial, static_cast<std::int64_t>(spans.size()));
      EXPECT_TRUE(comparison.valid()) << "seed " << seed << ": " << comparison.max_error << ", lse "
                                      << comparison.max_lse_error << " over " << spans.size() << " spans";
    }
  }
}

TEST(Merge, SeparateMergesInAnyTreeEqualTheReference) {
  for (unsigned seed = 1; seed <= 6; ++seed) {
    std::mt19937 random(seed);
    const CaseData data(causal_case());
    std::vector<Partial> partials;
    for (const Span &span : uneven_spans(data.shape.key_tokens, 90, random)) {
      Owned1 packed;
      partials.push_back(data.poisoned_partial());
      run_streamed(data.span_block(partials.back(), span.begin, span.count, packed));
    }
    const auto merges = static_cast<std::int64_t>(partials.size());
    while (partials.size() > 1) {
      std::shuffle(partials.begin(), partials.end(), random);
      const Partial other = partials.back();
      partials.pop_back();
      merge(partials.front(), other);
    }
    EXPECT_TRUE(data.compare(partials.front(), merges).valid()) << "seed " << seed;
  }
}

TEST(Merge, APartialWithoutKeysChangesNothing) {
  const CaseData data(causal_case());
  const Partial partial = data.poisoned_partial();
  run_streamed(data.block(partial));
  merge(partial, data.empty_partial());
  EXPECT_TRUE(data.compare(partial, 1).valid());
  const Partial other_way = data.empty_partial();
  Kokkos::deep_copy(other_way.output, std::numeric_limits<float>::quiet_NaN()); // never to be read
  merge(other_way, partial);
  EXPECT_TRUE(data.compare(other_way, 1).valid());
}

TEST(Merge, IsAMeanWhenBothPartialsCountAlike) {
  const Owned4 first("first", 1, 1, 1, 2), second("second", 1, 1, 1, 2);
  const Owned3 first_lse("first lse", 1, 1, 1), second_lse("second lse", 1, 1, 1);
  Kokkos::deep_copy(first, 2.0F);
  Kokkos::deep_copy(second, 4.0F);
  Kokkos::deep_copy(first_lse, 1.5F);
  Kokkos::deep_copy(second_lse, 1.5F);
  merge({first, first_lse}, {second, second_lse});
  const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, first);
  const auto lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, first_lse);
  EXPECT_FLOAT_EQ(output(0, 0, 0, 0), 3.0F);
  EXPECT_FLOAT_EQ(output(0, 0, 0, 1), 3.0F);
  EXPECT_FLOAT_EQ(lse(0, 0, 0), static_cast<float>(1.5 + std::log(2.0)));
}

TEST(Merge, PerChunkIsTheMeanOfTheChunksAndIsRefused) {
  const CaseData data([] {
    AttentionCase shape;
    shape.query_tokens = 20;
    shape.key_tokens = 120;
    return shape;
  }());
  for (const auto kernel : {run_streamed, run_materialised}) {
    const Partial partial = data.empty_partial();
    std::vector<double> mean(partial.output.size(), 0.0);
    for (std::int64_t chunk = 0; chunk < 3; ++chunk) {
      Owned1 packed;
      AttentionBlock block = data.span_block(partial, chunk * 40, 40, packed);
      block.merge = Merge::per_chunk;
      kernel(block);
      const Partial alone = data.poisoned_partial();
      block = data.span_block(alone, chunk * 40, 40, packed);
      kernel(block);
      const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, alone.output);
      for (std::size_t index = 0; index < mean.size(); ++index) {
        mean[index] += static_cast<double>(output.data()[index]) / 3.0;
      }
    }
    const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.output);
    for (std::size_t index = 0; index < mean.size(); ++index) {
      ASSERT_NEAR(output.data()[index], mean[index], 1e-6);
    }
    const auto lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.log_sum_exp);
    EXPECT_NEAR(lse(0, 0, 0), std::log(3.0), 1e-6);
    EXPECT_FALSE(data.compare(partial, 3).valid());
  }
}

TEST(Merge, RefusesPartialsOfDifferentShape) {
  const Owned4 output("output", 1, 2, 1, 4), longer("longer", 1, 3, 1, 4);
  const Owned3 lse("lse", 1, 2, 1), longer_lse("longer lse", 1, 3, 1);
  EXPECT_THROW(merge({output, lse}, {longer, longer_lse}), std::invalid_argument);
  EXPECT_THROW(merge({output, longer_lse}, {output, longer_lse}), std::invalid_argument);
}

} // namespace
} // namespace ringscale::kernels::test
