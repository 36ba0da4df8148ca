// SPDX-License-Identifier: Apache-2.0
// Every mistake that the comparison of gradients is there to find, made on purpose: each must break the bound. And
// what the backward kernel declares and refuses.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gradient_case.hpp"

namespace ringscale::kernels::test {
namespace {

AttentionCase small_case(std::int64_t keys) {
  AttentionCase shape;
  shape.query_tokens = 130;
  shape.key_tokens = keys;
  return shape;
}

/// Runs the kernel on a changed block into cleared gradients and compares.
template <class Change> GradientComparison run_changed(const GradientData &data, const Change &change) {
  const Gradients gradients = data.filled(0.0F);
  BackwardBlock block = data.block(gradients);
  change(block, gradients);
  run_backward(block);
  return data.compare(gradients);
}

TEST(GradientControl, TheUndamagedCasePasses) {
  const GradientData data(small_case(500));
  const GradientComparison comparison = run_changed(data, [](BackwardBlock &, const Gradients &) {});
  EXPECT_TRUE(comparison.valid()) << comparison.text();
  EXPECT_GT(comparison.error.query, 0.0); // two computations, not one compared with itself
  EXPECT_GT(comparison.error.key, 0.0);
  EXPECT_GT(comparison.error.value, 0.0);
}

TEST(GradientControl, AScaleWrongByATenthOfAPercentIsRefusedInEveryGradient) {
  const GradientData data(small_case(500));
  const GradientComparison comparison =
      run_changed(data, [](BackwardBlock &block, const Gradients &) { block.scale *= 1.001F; });
  EXPECT_FALSE(comparison.error.query <= comparison.bound.query);
  EXPECT_FALSE(comparison.error.key <= comparison.bound.key);
  EXPECT_FALSE(comparison.error.value <= comparison.bound.value);
}

TEST(GradientControl, OneLostKeyOfThousandsIsRefused) {
  for (const std::int64_t keys : {64, 500, 4096}) {
    const GradientData data(small_case(keys));
    const GradientComparison comparison = run_changed(data, [&](BackwardBlock &block, const Gradients &gradients) {
      // The last key is not met; its gradient stays 0.
      block.key = ConstTensor4(data.data.key.data(), 1, keys - 1, 1, 64);
      block.value = ConstTensor4(data.data.value.data(), 1, keys - 1, 1, 64);
      block.key_gradient = Tensor4(gradients.key.data(), 1, keys - 1, 1, 64);
      block.value_gradient = Tensor4(gradients.value.data(), 1, keys - 1, 1, 64);
    });
    EXPECT_FALSE(comparison.error.query <= comparison.bound.query) << keys;
    EXPECT_FALSE(comparison.error.key <= comparison.bound.key) << keys;
    EXPECT_FALSE(comparison.error.value <= comparison.bound.value) << keys;
  }
}

TEST(GradientControl, OneLostQueryRowIsRefused) {
  const GradientData data(small_case(500));
  const Owned3 lse("lse", 1, 130, 1);
  Kokkos::deep_copy(lse, data.rounded_log_sum_exp);
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, lse);
  host(0, 129, 0) = -std::numeric_limits<float>::infinity(); // "admits no key"
  Kokkos::deep_copy(lse, host);
  const GradientComparison comparison =
      run_changed(data, [&](BackwardBlock &block, const Gradients &) { block.log_sum_exp = lse; });
  EXPECT_FALSE(comparison.error.query <= comparison.bound.query);
  EXPECT_FALSE(comparison.error.key <= comparison.bound.key);
  EXPECT_FALSE(comparison.error.value <= comparison.bound.value);
}

TEST(GradientControl, AStaleBufferIsRefused) {
  // What a kernel that forgot to overwrite would leave.
  const GradientData data(small_case(500));
  for (const float stale : {1e-3F, std::numeric_limits<float>::quiet_NaN()}) {
    const Gradients gradients = data.filled(stale);
    BackwardBlock block = data.block(gradients);
    block.accumulate = true;
    run_backward(block);
    const GradientComparison comparison = data.compare(gradients);
    EXPECT_FALSE(comparison.error.query <= comparison.bound.query);
    EXPECT_FALSE(comparison.error.key <= comparison.bound.key);
    EXPECT_FALSE(comparison.error.value <= comparison.bound.value);
    EXPECT_EQ(std::isnan(comparison.error.key), std::isnan(stale));
  }
}

TEST(GradientControl, AMissingOutputDotIsRefused) {
  const GradientData data(small_case(500));
  const Owned3 zero("zero", 1, 130, 1);
  const GradientComparison comparison =
      run_changed(data, [&](BackwardBlock &block, const Gradients &) { block.output_dot = zero; });
  EXPECT_FALSE(comparison.error.query <= comparison.bound.query);
  EXPECT_FALSE(comparison.error.key <= comparison.bound.key);
  EXPECT_TRUE(comparison.error.value <= comparison.bound.value); // dV does not know it
}

TEST(GradientControl, AMaskShiftedByOneIsRefused) {
  AttentionCase shape = small_case(300);
  shape.admission = {true, 170, 1, 0, 1};
  const GradientData data(shape);
  for (const std::int64_t shift : {-1, 1}) {
    const GradientComparison comparison =
        run_changed(data, [&](BackwardBlock &block, const Gradients &) { block.admission.query_origin += shift; });
    EXPECT_FALSE(comparison.error.query <= comparison.bound.query);
    EXPECT_FALSE(comparison.error.key <= comparison.bound.key);
    EXPECT_FALSE(comparison.error.value <= comparison.bound.value);
  }
}

TEST(GradientControl, ASwappedKeyValueHeadIsRefused) {
  AttentionCase shape = small_case(200);
  shape.query_heads = 4;
  shape.kv_heads = 2;
  const GradientData data(shape);
  // Head 1 of the group reads the other group's rows: the log-sum-exps of two heads are swapped.
  const Owned3 lse("lse", 1, 130, 4);
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.rounded_log_sum_exp);
  const auto swapped = Kokkos::create_mirror_view(lse);
  for (int row = 0; row < 130; ++row) {
    for (int head = 0; head < 4; ++head) {
      swapped(0, row, head) = host(0, row, head ^ 2);
    }
  }
  Kokkos::deep_copy(lse, swapped);
  EXPECT_FALSE(run_changed(data, [&](BackwardBlock &block, const Gradients &) { block.log_sum_exp = lse; }).valid());
}

TEST(GradientControl, NotANumberInAnyInputReachesTheComparison) {
  for (const int which : {0, 1, 2, 3}) {
    GradientData data(small_case(300));
    const Owned4 &tensor = which == 0   ? data.data.query
                           : which == 1 ? data.data.key
                           : which == 2 ? data.data.value
                                        : data.output_gradient;
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, tensor);
    host(0, 33, 0, 17) = std::numeric_limits<float>::quiet_NaN();
    Kokkos::deep_copy(tensor, host);
    EXPECT_FALSE(run_changed(data, [](BackwardBlock &, const Gradients &) {}).valid()) << which;
  }
}

TEST(BackwardWork, CountsWhatBruteForceCounts) {
  AttentionCase shape;
  shape.batch = 2;
  shape.query_tokens = 30;
  shape.key_tokens = 41;
  shape.query_heads = 6;
  shape.kv_heads = 2;
  shape.head_dim = 5;
  for (const bool causal : {false, true}) {
    shape.admission = {causal, 7, 2, 3, 1};
    const GradientData data(shape);
    BackwardBlock block = data.block(data.filled(0.0F));
    double pairs = 0.0;
    for (int row = 0; row < 30; ++row) {
      for (int key = 0; key < 41; ++key) {
        pairs += !causal || 3 + key <= 7 + 2 * row ? 1.0 : 0.0;
      }
    }
    const double query_bytes = 4.0 * 2 * 30 * 6 * 5;
    const double key_bytes = 4.0 * 2 * 41 * 2 * 5;
    const double row_bytes = 4.0 * 2 * 30 * 6;
    KernelWork work = attention_backward_work(block);
    EXPECT_EQ(work.flop, 5.0 * 2.0 * pairs * 2 * 6 * 5);
    EXPECT_EQ(work.read_bytes, 2.0 * query_bytes + 2.0 * key_bytes + 2.0 * row_bytes);
    EXPECT_EQ(work.written_bytes, query_bytes + 2.0 * key_bytes);
    block.accumulate = true;
    work = attention_backward_work(block);
    EXPECT_EQ(work.read_bytes, 3.0 * query_bytes + 4.0 * key_bytes + 2.0 * row_bytes);
    block.kv_heads = {1, 1};
    work = attention_backward_work(block);
    EXPECT_EQ(work.flop, 0.5 * 5.0 * 2.0 * pairs * 2 * 6 * 5);
    EXPECT_EQ(work.read_bytes, 0.5 * (3.0 * query_bytes + 4.0 * key_bytes + 2.0 * row_bytes));
    block.kv_heads = {};
    block.overwrite_key_gradients = true;
    work = attention_backward_work(block);
    EXPECT_EQ(work.read_bytes, 3.0 * query_bytes + 2.0 * key_bytes + 2.0 * row_bytes);
  }
  const KernelWork dot = output_gradient_dot_work(2, 30, 6, 5);
  EXPECT_EQ(dot.flop, 2.0 * 2 * 30 * 6 * 5);
  EXPECT_EQ(dot.read_bytes, 2.0 * 4.0 * 2 * 30 * 6 * 5);
  EXPECT_EQ(dot.written_bytes, 4.0 * 2 * 30 * 6);
}

TEST(AttentionBackward, RefusesShapesThatDoNotFit) {
  AttentionCase shape = small_case(20);
  shape.query_heads = 4;
  shape.kv_heads = 2;
  const GradientData data(shape);
  const Gradients gradients = data.filled(0.0F);
  const BackwardBlock good = data.block(gradients);
  EXPECT_NO_THROW(check_backward_block(good));
  const auto refuses = [&](const auto &change) {
    BackwardBlock bad = good;
    change(bad);
    EXPECT_THROW(run_backward(bad), std::invalid_argument);
  };
  refuses([&](BackwardBlock &bad) { bad.value = bad.query; });
  refuses([&](BackwardBlock &bad) { bad.output_gradient = bad.key; });
  refuses([&](BackwardBlock &bad) { bad.query_gradient = gradients.key; });
  refuses([&](BackwardBlock &bad) { bad.key_gradient = gradients.query; });
  refuses([&](BackwardBlock &bad) { bad.value_gradient = gradients.query; });
  refuses([&](BackwardBlock &bad) { bad.log_sum_exp = ConstTensor3(data.rounded_log_sum_exp.data(), 1, 130, 3); });
  refuses([&](BackwardBlock &bad) { bad.output_dot = ConstTensor3(data.rounded_output_dot.data(), 1, 129, 4); });
  refuses([&](BackwardBlock &bad) { bad.admission.key_stride = 0; });
  refuses([&](BackwardBlock &bad) { bad.dropout.probability = 1.0F; });
  refuses([&](BackwardBlock &bad) { bad.dropout.probability = -0.1F; });
  refuses([&](BackwardBlock &bad) { bad.dropout.probability = std::numeric_limits<float>::quiet_NaN(); });
  EXPECT_THROW(output_gradient_dot(ExecutionSpace(), good.query, good.key, data.rounded_output_dot),
               std::invalid_argument);
}

} // namespace
} // namespace ringscale::kernels::test
