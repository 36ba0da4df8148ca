// SPDX-License-Identifier: Apache-2.0
// The reference of the gradients is itself held against finite differences of its forward pass, and that against
// reference_attention.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "gradient_case.hpp"

namespace ringscale::kernels::test {
namespace {

AttentionCase small_case() {
  AttentionCase shape;
  shape.batch = 2;
  shape.query_tokens = 5;
  shape.key_tokens = 7;
  shape.query_heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 3;
  shape.admission = {true, 1, 1, 0, 1};
  return shape;
}

/// Rounds to multiples of 2^-10, so that steps of 2^-9 and 2^-8 are exact.
void make_coarse(const Owned4 &tensor) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, tensor);
  for (std::size_t index = 0; index < host.size(); ++index) {
    host.data()[index] = std::round(host.data()[index] * 1024.0F) / 1024.0F;
  }
  Kokkos::deep_copy(tensor, host);
}

/// sum(output * output_gradient), whose derivatives the gradients are.
double loss(const GradientData &data, const Dropout &dropout) {
  const AttentionCase &shape = data.data.shape;
  const OwnedReference4 output("output", shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim);
  ReferenceProblem problem = data.reference_problem();
  problem.dropout = dropout;
  reference_attention_backward(ExecutionSpace(), problem, data.output_gradient, {output, {}, {}, {}, {}});
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, output);
  const auto upstream = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.output_gradient);
  double sum = 0.0;
  for (std::size_t index = 0; index < host.size(); ++index) {
    sum += host.data()[index] * static_cast<double>(upstream.data()[index]);
  }
  return sum;
}

/// Elements of a tensor whose gradient is not the central difference of the loss within its own error: with steps h
/// and 2h the differences deviate by c h^2 and 4 c h^2, so their distance is three times the error of the first; the
/// loss is rounded at 2^-53 of its some hundred terms of at most 3 each.
int wrong_elements(const GradientData &data, const Owned4 &tensor, const OwnedReference4 &gradient,
                   const Dropout &dropout, double factor = 1.0) {
  constexpr double step = 0x1.0p-9;
  constexpr double rounding = 0x1.0p-53 * 4000.0 / step;
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, tensor);
  const auto expected = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, gradient);
  int wrong = 0;
  for (std::size_t index = 0; index < host.size(); ++index) {
    const float held = host.data()[index];
    const auto loss_at = [&](double offset) {
      host.data()[index] = held + static_cast<float>(offset);
      Kokkos::deep_copy(tensor, host);
      return loss(data, dropout);
    };
    const double near = (loss_at(step) - loss_at(-step)) / (2.0 * step);
    const double far = (loss_at(2.0 * step) - loss_at(-2.0 * step)) / (4.0 * step);
    loss_at(0.0);
    const double bound = std::abs(far - near) + rounding;
    wrong += std::abs(near - factor * expected.data()[index]) <= bound ? 0 : 1;
  }
  return wrong;
}

GradientData coarse_data(const AttentionCase &shape, const Dropout &dropout, const std::vector<std::uint8_t> &mask) {
  GradientData data(shape, dropout, mask);
  make_coarse(data.data.query);
  make_coarse(data.data.key);
  make_coarse(data.data.value);
  data.compute_reference();
  return data;
}

std::vector<std::uint8_t> some_mask(std::int64_t rows, std::int64_t keys) {
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(rows * keys));
  for (std::size_t index = 0; index < mask.size(); ++index) {
    mask[index] = (index * 7 + index / 5) % 3 == 0 ? 0 : 1;
  }
  // One row that admits nothing.
  std::fill_n(mask.begin() + 2 * keys, keys, std::uint8_t{0});
  return mask;
}

TEST(ReferenceBackward, GradientsAreFiniteDifferencesOfTheForwardPass) {
  const AttentionCase shape = small_case();
  for (const float probability : {0.0F, 0.4F}) {
    for (const bool masked : {false, true}) {
      const Dropout dropout{probability, 3};
      const auto mask = masked ? some_mask(shape.query_tokens, shape.key_tokens) : std::vector<std::uint8_t>();
      const GradientData data = coarse_data(shape, dropout, mask);
      EXPECT_EQ(wrong_elements(data, data.data.query, data.query_gradient, dropout), 0);
      EXPECT_EQ(wrong_elements(data, data.data.key, data.key_gradient, dropout), 0);
      EXPECT_EQ(wrong_elements(data, data.data.value, data.value_gradient, dropout), 0);
    }
  }
}

TEST(ReferenceBackward, NegativeControlAnotherSeedFailsFiniteDifferences) {
  const GradientData data = coarse_data(small_case(), {0.4F, 3}, {});
  for (const auto &[tensor, gradient] :
       {std::pair(data.data.query, data.query_gradient), {data.data.key, data.key_gradient}}) {
    EXPECT_GT(wrong_elements(data, tensor, gradient, {0.4F, 4}), 20);
  }
  EXPECT_GT(wrong_elements(data, data.data.value, data.value_gradient, {0.4F, 4}), 20);
}

TEST(ReferenceBackward, NegativeControlATenthOfAPercentFailsFiniteDifferences) {
  const GradientData data = coarse_data(small_case(), {}, {});
  EXPECT_GT(wrong_elements(data, data.data.query, data.query_gradient, {}, 1.001), 20);
  EXPECT_GT(wrong_elements(data, data.data.key, data.key_gradient, {}, 1.001), 20);
  EXPECT_GT(wrong_elements(data, data.data.value, data.value_gradient, {}, 1.001), 20);
}

TEST(ReferenceBackward, ForwardPassEqualsTheReferenceOfTheForwardPass) {
  for (const bool causal : {false, true}) {
    AttentionCase shape;
    shape.batch = 2;
    shape.query_tokens = 40;
    shape.key_tokens = 55;
    shape.query_heads = 6;
    shape.kv_heads = 2;
    shape.head_dim = 20;
    shape.admission = {causal, -3, 2, 1, 3};
    const GradientData data(shape);
    const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.output);
    const auto expected = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.data.reference_output);
    for (std::size_t index = 0; index < output.size(); ++index) {
      EXPECT_TRUE(std::abs(output.data()[index] - expected.data()[index]) <= 1e-13);
    }
    const auto lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.log_sum_exp);
    const auto expected_lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.data.reference_log_sum_exp);
    for (std::size_t index = 0; index < lse.size(); ++index) {
      EXPECT_TRUE(lse.data()[index] == expected_lse.data()[index] ||
                  std::abs(lse.data()[index] - expected_lse.data()[index]) <= 1e-13);
    }
  }
}

TEST(ReferenceBackward, RefusesShapesThatDoNotFit) {
  const GradientData data(small_case());
  ReferenceProblem problem = data.reference_problem();
  problem.value = data.data.query;
  EXPECT_THROW(reference_attention_backward(ExecutionSpace(), problem, data.output_gradient, {}),
               std::invalid_argument);
  EXPECT_THROW(reference_attention_backward(ExecutionSpace(), data.reference_problem(), data.data.key, {}),
               std::invalid_argument);
}

} // namespace
} // namespace ringscale::kernels::test
