// SPDX-License-Identifier: Apache-2.0
// The peer by two products, and attention of whole tensors in one call, against the double-precision reference.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <stdexcept>

#include "attention_case.hpp"
#include "kernels/attention.hpp"
#include "kernels/attention_two_products.hpp"
#include "kernels/triad.hpp"
#include "problem/attention_problem.hpp"

namespace ringscale::kernels::test {
namespace {

TwoProducts products_of(const CaseData &data, const Partial &partial) {
  return {data.query, data.key, data.value, static_cast<float>(problem::softmax_scale(data.shape.head_dim)),
          partial.output};
}

/// The peer, on a workspace full of NaN.
void run_two_products(const TwoProducts &products) {
  const Owned1 workspace("workspace", two_products_workspace_elements(products));
  Kokkos::deep_copy(workspace, std::numeric_limits<float>::quiet_NaN());
  attention_two_products(products, workspace.data());
}

AttentionCase shape_of(std::int64_t query_tokens, std::int64_t key_tokens, std::int64_t head_dim) {
  AttentionCase shape;
  shape.batch = 2;
  shape.query_tokens = query_tokens;
  shape.key_tokens = key_tokens;
  shape.query_heads = 6;
  shape.kv_heads = 2;
  shape.head_dim = head_dim;
  return shape;
}

constexpr std::int64_t token_counts[][2] = {{1, 1}, {1, 70}, {5, 63}, {64, 64}, {67, 130}, {129, 257}};

TEST(TwoProducts, EqualsTheReference) {
  for (const auto &tokens : token_counts) {
    for (const std::int64_t head_dim : {1, 3, 17, 40, 64, 65, 128}) {
      const CaseData data(shape_of(tokens[0], tokens[1], head_dim));
      const Partial partial = data.poisoned_partial();
      run_two_products(products_of(data, partial));
      const Comparison comparison = data.compare(partial);
      EXPECT_TRUE(comparison.max_error <= comparison.bound.output) << data.shape.text() << comparison.max_error;
    }
  }
}

TEST(TwoProducts, StaysFiniteWithLargeScores) {
  AttentionCase shape = shape_of(20, 200, 64);
  shape.query_factor = 300.0; // scores far beyond what a plain exponential takes
  const CaseData data(shape);
  const Partial partial = data.poisoned_partial();
  run_two_products(products_of(data, partial));
  const Comparison comparison = data.compare(partial);
  EXPECT_TRUE(comparison.max_error <= comparison.bound.output) << comparison.max_error;
}

TEST(TwoProducts, NegativeControlsAreFound) {
  const CaseData data(shape_of(33, 90, 64));
  const Partial partial = data.poisoned_partial();
  const auto error_within_bound = [&](const TwoProducts &products) {
    run_two_products(products);
    const Comparison comparison = data.compare(partial);
    return comparison.max_error <= comparison.bound.output;
  };
  const TwoProducts right = products_of(data, partial);
  EXPECT_TRUE(error_within_bound(right));
  TwoProducts wrong = right;
  wrong.scale *= 1.01F;
  EXPECT_FALSE(error_within_bound(wrong)) << "a scale that is off by 1 %";
  wrong = right;
  wrong.value = data.key;
  EXPECT_FALSE(error_within_bound(wrong)) << "keys for values";
}

TEST(TwoProducts, DeclaresItsWorkAndRefusesShapesThatDoNotFit) {
  const CaseData data(shape_of(7, 11, 5));
  const Partial partial = data.empty_partial();
  TwoProducts products = products_of(data, partial);
  const KernelWork work = attention_two_products_work(products);
  EXPECT_EQ(work.flop, 4.0 * 2 * 6 * 7 * 11 * 5);
  EXPECT_EQ(work.read_bytes, 4.0 * (2 * 7 * 6 * 5 + 2 * (2 * 11 * 2 * 5) + 3 * (2 * 6 * 7 * 11)));
  EXPECT_EQ(work.written_bytes, 4.0 * (2 * 7 * 6 * 5 + 2 * (2 * 6 * 7 * 11)));
  EXPECT_EQ(two_products_workspace_elements(products), 7 * 11 + 7);
  EXPECT_THROW(attention_two_products(products, nullptr), std::invalid_argument);
  products.value = data.query;
  EXPECT_THROW(run_two_products(products), std::invalid_argument);
}

TEST(Attention, OfWholeTensorsEqualsPackingAndTheBlockBitForBit) {
  for (const auto &tokens : token_counts) {
    for (const std::int64_t head_dim : {5, 64, 128}) {
      for (const std::int64_t heads : {1, 12}) { // too few for the threads, and enough
        for (const bool causal : {false, true}) {
          AttentionCase shape = shape_of(tokens[0], tokens[1], head_dim);
          shape.query_heads = 2 * heads;
          shape.kv_heads = heads;
          shape.admission.causal = causal;
          shape.admission.query_origin = causal ? tokens[1] / 3 : 0;
          const CaseData data(shape);
          const Partial expected = data.poisoned_partial();
          run_streamed(data.block(expected));
          const Partial found = data.poisoned_partial();
          AttentionBlock block = data.block(found);
          block.packed_key_value = nullptr;
          const Owned1 packed("packed", packed_elements(2, tokens[1], heads, head_dim));
          Kokkos::deep_copy(packed, std::numeric_limits<float>::quiet_NaN());
          const ExecutionSpace space;
          attention(space, data.key, data.value, block, packed.data());
          space.fence();
          ASSERT_EQ(std::memcmp(found.output.data(), expected.output.data(), found.output.size() * sizeof(float)), 0)
              << shape.text();
          ASSERT_EQ(std::memcmp(found.log_sum_exp.data(), expected.log_sum_exp.data(),
                                found.log_sum_exp.size() * sizeof(float)),
                    0);
        }
      }
    }
  }
}

TEST(Attention, OfWholeTensorsRefusesShapesThatDoNotFit) {
  const CaseData data(shape_of(7, 11, 5));
  const Partial partial = data.empty_partial();
  const Owned1 packed("packed", packed_elements(2, 11, 2, 5));
  const AttentionBlock block = data.block(partial);
  EXPECT_THROW(attention(ExecutionSpace(), data.key, data.query, block, packed.data()), std::invalid_argument);
  const CaseData other(shape_of(7, 11, 6));
  EXPECT_THROW(attention(ExecutionSpace(), other.key, other.value, block, packed.data()), std::invalid_argument);
  const KernelWork work = attention_work(block);
  EXPECT_EQ(work.flop, attention_block_work(block).flop);
  EXPECT_EQ(work.written_bytes - attention_block_work(block).written_bytes, 4.0 * 2 * 2 * 2 * 64 * 5);
}

TEST(Triad, IsPositiveAndFinite) {
  const double bandwidth = measure_triad_gbyte_per_s(ExecutionSpace(), 0.01);
  EXPECT_TRUE(bandwidth > 0.1 && std::isfinite(bandwidth));
}

} // namespace
} // namespace ringscale::kernels::test
