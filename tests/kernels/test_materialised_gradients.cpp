// SPDX-License-Identifier: Apache-2.0
// The materialised kernels with a boolean mask, forward, and their gradients, against the double-precision reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "gradient_case.hpp"
#include "kernels/attention_materialised_backward.hpp"

namespace ringscale::kernels::test {
namespace {

constexpr float poison = std::numeric_limits<float>::quiet_NaN();

/// A mask without any order, in which row 3 admits nothing and row 4 only the last key.
std::vector<std::uint8_t> some_mask(std::int64_t rows, std::int64_t keys) {
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(rows * keys));
  std::uint32_t state = 1;
  for (auto &element : mask) {
    state = state * 1664525U + 1013904223U;
    element = static_cast<std::uint8_t>((state >> 28) & 2U); // 0 or 2: any nonzero admits
  }
  if (rows > 4) {
    std::fill_n(mask.begin() + 3 * keys, 2 * keys, std::uint8_t{0});
    mask[static_cast<std::size_t>(5 * keys - 1)] = 1;
  }
  return mask;
}

/// Forward, then backward, with whole matrices kept.
struct Materialised {
  Partial partial;
  Gradients gradients;

  explicit Materialised(const GradientData &data, bool with_mask = true)
      : partial(data.data.poisoned_partial()), gradients(data.filled(poison)) {
    const ExecutionSpace space;
    AttentionBlock forward = data.data.block(partial);
    forward.dropout = data.dropout;
    const Owned1 weights("weights", materialised_score_elements(forward));
    const std::uint8_t *mask = data.mask.size() == 0 || !with_mask ? nullptr : data.mask.data();
    attention_block_materialised(space, forward, weights.data(), mask);
    const BackwardBlock block = data.block(gradients);
    const Owned1 score_gradients("score gradients", materialised_weight_elements(block));
    attention_materialised_backward(space, block, weights.data(), score_gradients.data());
    space.fence();
  }
};

/// The weights come from the forward pass, so their error is one more of the log-sum-exp's.
GradientComparison compare(const GradientData &data, const Materialised &found) {
  return data.compare(found.gradients, {data.data.compare(found.partial).bound.log_sum_exp, 0.0});
}

void expect_valid(GradientData &data) {
  Kokkos::deep_copy(data.data.reference_output, data.output);
  Kokkos::deep_copy(data.data.reference_log_sum_exp, data.log_sum_exp);
  const Materialised found(data);
  const Comparison forward = data.data.compare(found.partial);
  EXPECT_TRUE(forward.max_error <= forward.bound.output * static_cast<double>(data.dropout.kept_factor()))
      << data.data.shape.text() << forward.max_error;
  EXPECT_TRUE(forward.max_lse_error <= forward.bound.log_sum_exp);
  const GradientComparison comparison = compare(data, found);
  EXPECT_TRUE(comparison.valid()) << data.data.shape.text() << comparison.text();
}

TEST(MaterialisedGradients, EqualTheReferenceForAnyShape) {
  const std::int64_t tokens[][2] = {{1, 1}, {1, 100}, {7, 65}, {97, 70}, {130, 257}};
  for (const std::int64_t head_dim : {1, 17, 64, 80, 128, 200}) {
    for (const auto &pair : tokens) {
      for (const bool masked : {false, true}) {
        AttentionCase shape;
        shape.query_tokens = pair[0];
        shape.key_tokens = pair[1];
        shape.head_dim = head_dim;
        GradientData data(shape, {}, masked ? some_mask(pair[0], pair[1]) : std::vector<std::uint8_t>());
        expect_valid(data);
      }
    }
  }
}

TEST(MaterialisedGradients, EqualTheReferenceForGroupsBatchesCausalAndDropout) {
  for (const bool causal : {false, true}) {
    for (const bool masked : {false, true}) {
      for (const float probability : {0.0F, 0.2F}) {
        AttentionCase shape;
        shape.batch = 2;
        shape.query_tokens = 103;
        shape.key_tokens = 490;
        shape.query_heads = 6;
        shape.kv_heads = 2;
        shape.head_dim = 24;
        shape.admission = {causal, 400, 1, 5, 1};
        GradientData data(shape, {probability, 8}, masked ? some_mask(103, 490) : std::vector<std::uint8_t>());
        expect_valid(data);
      }
    }
  }
}

TEST(MaterialisedGradients, RowsThatAdmitNothingAreZero) {
  AttentionCase shape;
  shape.query_tokens = 9;
  shape.key_tokens = 30;
  GradientData data(shape, {}, some_mask(9, 30));
  const Materialised found(data);
  const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, found.partial.output);
  const auto lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, found.partial.log_sum_exp);
  const auto query = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, found.gradients.query);
  EXPECT_EQ(lse(0, 3, 0), -std::numeric_limits<float>::infinity());
  for (int dim = 0; dim < 64; ++dim) {
    EXPECT_EQ(output(0, 3, 0, dim), 0.0F);
    EXPECT_EQ(query(0, 3, 0, dim), 0.0F);
  }
}

TEST(MaterialisedGradients, NegativeControlOneWrongMaskElementIsRefused) {
  AttentionCase shape;
  shape.query_tokens = 60;
  shape.key_tokens = 200;
  const auto right = some_mask(60, 200);
  const GradientData data(shape, {}, right);
  for (const std::size_t element : {std::size_t{0}, std::size_t{59 * 200 + 199}}) {
    auto wrong = right;
    wrong[element] = wrong[element] == 0 ? 1 : 0;
    const GradientData other(shape, {}, wrong);
    EXPECT_FALSE(compare(data, Materialised(other)).valid());
  }
  EXPECT_FALSE(compare(data, Materialised(data, false)).valid());
}

TEST(MaterialisedGradients, AccumulateAdds) {
  AttentionCase shape;
  shape.query_tokens = 40;
  shape.key_tokens = 50;
  const GradientData data(shape);
  const Materialised found(data);
  const Gradients twice = data.filled(0.0F);
  const ExecutionSpace space;
  const Partial partial = data.data.poisoned_partial();
  const AttentionBlock forward = data.data.block(partial);
  const Owned1 weights("weights", materialised_score_elements(forward));
  attention_block_materialised(space, forward, weights.data());
  BackwardBlock block = data.block(twice);
  block.accumulate = true;
  const Owned1 score_gradients("score gradients", materialised_weight_elements(block));
  for (int time = 0; time < 2; ++time) {
    attention_materialised_backward(space, block, weights.data(), score_gradients.data());
  }
  space.fence();
  for (const auto &[one, two] : {std::pair(found.gradients.query, twice.query),
                                 {found.gradients.key, twice.key},
                                 {found.gradients.value, twice.value}}) {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, one);
    const auto host_twice = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, two);
    for (std::size_t index = 0; index < host.size(); ++index) {
      ASSERT_EQ(host_twice.data()[index], 2.0F * host.data()[index]);
    }
  }
}

TEST(MaterialisedGradients, DeclaredWorkAndRefusals) {
  AttentionCase shape;
  shape.query_tokens = 13;
  shape.key_tokens = 11;
  shape.query_heads = 2;
  shape.head_dim = 3;
  shape.kv_heads = 2;
  const GradientData data(shape);
  BackwardBlock block = data.block(data.filled(0.0F));
  const double pairs = 2.0 * 13 * 11;
  KernelWork work = attention_materialised_backward_work(block);
  EXPECT_DOUBLE_EQ(work.flop, 4.0 * 2.0 * pairs * 3);
  // dO, Q, K, V, output_dot; P twice, dS twice.
  EXPECT_EQ(work.read_bytes, 4.0 * (2 * 13 * 2 * 3 + 2 * 11 * 2 * 3 + 13 * 2 + 4 * pairs));
  EXPECT_EQ(work.written_bytes, 4.0 * (13 * 2 * 3 + 2 * 11 * 2 * 3 + pairs));
  block.dropout.probability = 0.5F;
  EXPECT_EQ(attention_materialised_backward_work(block).written_bytes, work.written_bytes + 4.0 * pairs);
  EXPECT_THROW(attention_materialised_backward(ExecutionSpace(), block, nullptr, nullptr), std::invalid_argument);
}

} // namespace
} // namespace ringscale::kernels::test
