// SPDX-License-Identifier: Apache-2.0
// Every mistake that the comparison with the reference is there to find, made on purpose: each must break the bound.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "attention_case.hpp"

namespace ringscale::kernels::test {
namespace {

AttentionCase small_case(std::int64_t keys) {
  AttentionCase shape;
  shape.query_tokens = 70;
  shape.key_tokens = keys;
  return shape;
}

TEST(NegativeControl, TheUndamagedCasePasses) {
  const CaseData data(small_case(300));
  const Partial partial = data.poisoned_partial();
  run_streamed(data.block(partial));
  const Comparison comparison = data.compare(partial);
  EXPECT_TRUE(comparison.valid());
  EXPECT_GT(comparison.max_error, 0.0); // two computations, not one compared with itself
}

TEST(NegativeControl, AWrongScaleIsRefused) {
  const CaseData data(small_case(300));
  const Partial partial = data.poisoned_partial();
  AttentionBlock block = data.block(partial);
  block.scale *= 1.001F;
  run_streamed(block);
  EXPECT_FALSE(data.compare(partial).valid());
}

TEST(NegativeControl, OneKeyLostOfThousandsIsRefused) {
  for (const std::int64_t keys : {64, 1024, 4096}) {
    const CaseData data(small_case(keys));
    const Partial partial = data.poisoned_partial();
    AttentionBlock block = data.block(partial);
    block.key_tokens = keys - 1;
    // The values begin behind the padded keys, so the span is packed anew without its last token.
    Owned1 packed;
    block = data.span_block(partial, 0, keys - 1, packed);
    run_streamed(block);
    EXPECT_FALSE(data.compare(partial).valid()) << keys << " keys";
  }
}

TEST(NegativeControl, OneKeyMetTwiceIsRefused) {
  const CaseData data(small_case(1024));
  const Partial partial = data.poisoned_partial();
  run_streamed(data.block(partial));
  Owned1 packed;
  AttentionBlock again = data.span_block(partial, 500, 1, packed);
  again.merge = Merge::online;
  run_streamed(again);
  EXPECT_FALSE(data.compare(partial, 2).valid());
}

TEST(NegativeControl, AMaskShiftedByOneIsRefused) {
  AttentionCase shape = small_case(300);
  shape.admission = {true, 230, 1, 0, 1};
  const CaseData data(shape);
  for (const std::int64_t shift : {-1, 1}) {
    const Partial partial = data.poisoned_partial();
    AttentionBlock block = data.block(partial);
    block.admission.query_origin += shift;
    run_streamed(block);
    EXPECT_FALSE(data.compare(partial).valid()) << "shift " << shift;
  }
}

TEST(NegativeControl, ASwappedKeyValueHeadIsRefused) {
  AttentionCase shape = small_case(200);
  shape.query_heads = 4;
  shape.kv_heads = 2;
  const CaseData data(shape);
  const Partial partial = data.poisoned_partial();
  AttentionBlock block = data.block(partial);
  block.packed_key_value += packed_head_elements(200, 64); // every head reads the next one's keys
  block.kv_heads = 1;
  run_streamed(block);
  EXPECT_FALSE(data.compare(partial).valid());
}

TEST(NegativeControl, OneCorruptedElementIsRefused) {
  const CaseData data(small_case(300));
  for (const bool not_a_number : {false, true}) {
    const Partial partial = data.poisoned_partial();
    run_streamed(data.block(partial));
    const auto output = Kokkos::create_mirror_view(partial.output);
    Kokkos::deep_copy(output, partial.output);
    float &element = output(0, 69, 0, 63);
    element = not_a_number ? std::numeric_limits<float>::quiet_NaN() : element + 1e-3F;
    Kokkos::deep_copy(partial.output, output);
    EXPECT_FALSE(data.compare(partial).valid());
  }
}

TEST(NegativeControl, AWrongLogSumExpIsRefused) {
  const CaseData data(small_case(300));
  const Partial partial = data.poisoned_partial();
  run_streamed(data.block(partial));
  const auto lse = Kokkos::create_mirror_view(partial.log_sum_exp);
  Kokkos::deep_copy(lse, partial.log_sum_exp);
  for (const float wrong :
       {lse(0, 5, 0) + 1e-3F, -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    const auto damaged = Kokkos::create_mirror_view(partial.log_sum_exp);
    Kokkos::deep_copy(damaged, lse);
    damaged(0, 5, 0) = wrong;
    const Partial other{partial.output, Owned3("lse", 1, 70, 1)};
    Kokkos::deep_copy(other.log_sum_exp, damaged);
    EXPECT_FALSE(data.compare(other).valid());
  }
}

TEST(NegativeControl, NotANumberInAnyInputReachesTheComparison) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto kernel : {run_streamed, run_materialised}) {
    for (const int which : {0, 1, 2}) {
      CaseData data(small_case(300));
      const Owned4 &tensor = which == 0 ? data.query : which == 1 ? data.key : data.value;
      const auto host = Kokkos::create_mirror_view(tensor);
      Kokkos::deep_copy(host, tensor);
      host(0, 33, 0, 17) = nan;
      Kokkos::deep_copy(tensor, host);
      data.compute_reference();
      const Partial partial = data.empty_partial();
      kernel(data.block(partial));
      const Comparison comparison = data.compare(partial);
      EXPECT_TRUE(std::isnan(comparison.max_error)) << "tensor " << which;
      EXPECT_FALSE(comparison.valid()) << "tensor " << which;
    }
  }
}

TEST(NegativeControl, NotANumberInOneQueryStaysInItsRow) {
  CaseData data(small_case(300));
  const Partial clean = data.poisoned_partial();
  run_streamed(data.block(clean));
  const auto query = Kokkos::create_mirror_view(data.query);
  Kokkos::deep_copy(query, data.query);
  query(0, 33, 0, 17) = std::numeric_limits<float>::quiet_NaN();
  Kokkos::deep_copy(data.query, query);
  const Partial partial = data.poisoned_partial();
  run_streamed(data.block(partial));
  const auto expected = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, clean.output);
  const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.output);
  for (int row = 0; row < 70; ++row) {
    for (int dim = 0; dim < 64; ++dim) {
      if (row == 33) {
        EXPECT_TRUE(std::isnan(output(0, row, 0, dim)));
      } else {
        EXPECT_EQ(output(0, row, 0, dim), expected(0, row, 0, dim));
      }
    }
  }
}

} // namespace
} // namespace ringscale::kernels::test
