// SPDX-License-Identifier: Apache-2.0
// All ways to compute dilated attention that the documents compare give the reference's result; and what they allocate.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/dilated_variants.hpp"
#include "pattern_case.hpp"

namespace ringscale::kernels::test {
namespace {

constexpr DilatedIndices indices[] = {DilatedIndices::strided, DilatedIndices::cached, DilatedIndices::computed};
constexpr OutputStart starts[] = {OutputStart::zeros, OutputStart::empty_then_fill};
constexpr OutputJoin joins[] = {OutputJoin::in_place, OutputJoin::copied};
constexpr HeadLoop loops[] = {HeadLoop::ranges, HeadLoop::one_by_one};

DilatedVariantResult run(const PatternData &data, const Dilation &dilation, const DilatedVariant &variant,
                         DilatedIndexCache &cache) {
  DilatedAttention attention = data.dilated(dilation, data.poisoned_partial());
  const Owned1 workspace("workspace", dilated_workspace_elements(attention));
  Kokkos::deep_copy(workspace, std::numeric_limits<float>::quiet_NaN());
  return dilated_attention_variant(ExecutionSpace(), attention, variant, workspace.data(), cache);
}

PatternCase small_case(std::int64_t heads, bool causal) {
  PatternCase shape;
  shape.batch = 2;
  shape.query_tokens = shape.key_tokens = 107;
  shape.query_heads = shape.kv_heads = heads;
  shape.head_dim = 20;
  shape.causal = causal;
  return shape;
}

TEST(DilatedVariants, AllEqualTheFormula) {
  for (const DilationConvention convention :
       {DilationConvention::split, DilationConvention::longnet, DilationConvention::longnet_blocked}) {
    for (const bool causal : {false, true}) {
      const PatternData data(small_case(5, causal));
      const Dilation dilation{{30, 64, 200}, {1, 3, 4}, convention};
      data.compute_dilated_reference(dilation);
      DilatedIndexCache cache;
      for (const DilatedIndices index : indices) {
        for (const OutputStart start : starts) {
          for (const OutputJoin join : joins) {
            for (const HeadLoop loop : loops) {
              const DilatedVariantResult result = run(data, dilation, {index, start, join, loop}, cache);
              const Comparison comparison = data.compare({result.output, result.log_sum_exp}, 3);
              EXPECT_TRUE(comparison.valid())
                  << static_cast<int>(convention) << static_cast<int>(index) << static_cast<int>(join)
                  << static_cast<int>(loop) << ": " << comparison.max_error << ", " << comparison.max_lse_error;
            }
          }
        }
      }
    }
  }
}

TEST(DilatedVariants, ARateBeyondTheSegmentLeavesPhasesWithoutTokens) {
  const PatternData data(small_case(8, false));
  const Dilation dilation{{4}, {7}, DilationConvention::longnet};
  data.compute_dilated_reference(dilation);
  DilatedIndexCache cache;
  for (const DilatedIndices index : indices) {
    const DilatedVariantResult result =
        run(data, dilation, {index, OutputStart::zeros, OutputJoin::in_place, HeadLoop::ranges}, cache);
    EXPECT_TRUE(data.compare({result.output, result.log_sum_exp}, 1).valid());
  }
}

TEST(DilatedVariants, BytesAreCounted) {
  PatternCase shape = small_case(4, false);
  shape.batch = 1;
  shape.query_tokens = shape.key_tokens = 100;
  const PatternData data(shape);
  const Dilation dilation{{10, 50}, {1, 5}, DilationConvention::longnet};
  const std::int64_t partial = (100 * 4 * 20 + 100 * 4) * 4;
  DilatedIndexCache cache;
  const auto with = [&](DilatedIndices index, OutputStart start, OutputJoin join) {
    return run(data, dilation, {index, start, join, HeadLoop::ranges}, cache);
  };
  // Zeros, and empty filled with zeros, are the same bytes.
  for (const OutputStart start : starts) {
    const DilatedVariantResult strided = with(DilatedIndices::strided, start, OutputJoin::in_place);
    EXPECT_EQ(strided.output_bytes, partial);
    EXPECT_EQ(strided.index_bytes + strided.gathered_bytes + strided.temporary_bytes, 0);
  }
  EXPECT_EQ(with(DilatedIndices::strided, OutputStart::zeros, OutputJoin::copied).temporary_bytes, 2 * partial);
  // Rate 1 has one phase of 100 tokens (one list of each head: four phases of rate 1 are one); rate 5 has four of its
  // five phases in use, 20 tokens each.
  const std::int64_t lists = (100 + 4 * 20) * 8;
  const DilatedVariantResult computed = with(DilatedIndices::computed, OutputStart::zeros, OutputJoin::in_place);
  EXPECT_EQ(computed.index_bytes, lists);
  EXPECT_EQ(cache.bytes(), 0);
  const DilatedVariantResult cached = with(DilatedIndices::cached, OutputStart::zeros, OutputJoin::in_place);
  EXPECT_EQ(cached.index_bytes, lists);
  EXPECT_EQ(cache.bytes(), lists);
  with(DilatedIndices::cached, OutputStart::zeros, OutputJoin::in_place);
  EXPECT_EQ(cache.bytes(), lists); // the second call finds them
  // Queries, keys, values and outputs of four heads at rate 1 and one at each phase of rate 5, and a float a row.
  EXPECT_EQ(cached.gathered_bytes, (4 * 20 + 1) * (100 * 4 + 20 * 4) * 4);
  cache.clear();
  EXPECT_EQ(cache.bytes(), 0);
}

TEST(DilatedVariants, AStaleIndexListIsRefused) {
  // Lists of another length under the same name: what a cache that forgets part of its key would hand out.
  const PatternData data(small_case(2, false));
  const Dilation dilation{{64}, {3}, DilationConvention::split};
  data.compute_dilated_reference(dilation);
  DilatedIndexCache cache;
  const DilatedVariant cached{DilatedIndices::cached, OutputStart::zeros, OutputJoin::in_place, HeadLoop::ranges};
  const DilatedVariantResult right = run(data, dilation, cached, cache);
  EXPECT_TRUE(data.compare({right.output, right.log_sum_exp}, 1).valid());
  const DilatedGroup group = dilated_groups(dilation, 2)[0];
  const TokenList list = cache.tokens(ExecutionSpace(), group, 0, 107);
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, list);
  for (std::size_t index = 0; index < host.size(); ++index) {
    host(index) = std::min<std::int64_t>(host(index) + 1, 106); // the next phase's tokens
  }
  Kokkos::deep_copy(list, host);
  const DilatedVariantResult stale = run(data, dilation, cached, cache);
  EXPECT_FALSE(data.compare({stale.output, stale.log_sum_exp}, 1).valid());
}

TEST(DilatedVariants, RefuseWhatListsCannotDo) {
  PatternCase shape = small_case(4, false);
  shape.kv_heads = 2;
  const PatternData grouped(shape);
  const Dilation dilation{{64}, {3}, DilationConvention::split};
  DilatedIndexCache cache;
  const DilatedVariant cached{DilatedIndices::cached, OutputStart::zeros, OutputJoin::in_place, HeadLoop::ranges};
  EXPECT_THROW(run(grouped, dilation, cached, cache), std::invalid_argument);
  grouped.compute_dilated_reference(dilation);
  const DilatedVariantResult strided = run(grouped, dilation, {}, cache); // strided runs can
  EXPECT_TRUE(grouped.compare({strided.output, strided.log_sum_exp}, 1).valid());
}

} // namespace
} // namespace ringscale::kernels::test
