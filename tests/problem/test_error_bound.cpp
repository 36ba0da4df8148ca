// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "problem/error_bound.hpp"
#include "problem/synthetic.hpp"

namespace ringscale::problem {
namespace {

// The formula of docs/definitions.md ("Error bound"), written out once more with numbers:
// u = 2^-24, d = 64, n = 1024, b = 4 merges, |q| = 2, |k| = 3, max |v| = 1.
TEST(ErrorBound, EqualsTheFormulaWrittenOut) {
  const double u = std::ldexp(1.0, -24);
  const double score = 2.0 * 3.0 / 8.0;
  const double relative = 2.0 * (u * (4.0 * 8.0 + 2.0) * score) + 4.0 * u + 4.0 * 32.0 * u + 4.0 * 2.0 * 6.0 * u;
  const ErrorBound bound = attention_error_bound(DType::float32, 1024, 64, 4, {1.0, 2.0, 3.0});
  EXPECT_DOUBLE_EQ(bound.output, 2.0 * relative);
  EXPECT_DOUBLE_EQ(bound.log_sum_exp, relative + 2.0 * u * (score + std::log(1024.0)));
}

TEST(ErrorBound, GrowsWithEveryArgument) {
  const DataMagnitude magnitude{1.0, 8.0, 8.0};
  const double base = attention_error_bound(DType::float32, 1024, 64, 4, magnitude).output;
  EXPECT_GT(attention_error_bound(DType::float32, 4096, 64, 4, magnitude).output, base);
  EXPECT_GT(attention_error_bound(DType::float32, 1024, 64, 64, magnitude).output, base);
  EXPECT_GT(attention_error_bound(DType::float32, 1024, 64, 4, {2.0, 8.0, 8.0}).output, base);
  EXPECT_GT(attention_error_bound(DType::float32, 1024, 64, 4, {1.0, 9.0, 8.0}).output, base);
}

TEST(ErrorBound, SyntheticMagnitudesHoldForGeneratedRows) {
  AttentionProblem problem;
  problem.tokens = 2000;
  problem.head_dim = 64;
  std::vector<float> data(2000 * 8 * 64);
  const DataMagnitude magnitude = synthetic_magnitude(64);
  for (const Tensor tensor : {Tensor::query, Tensor::key}) {
    fill_synthetic(data.data(), 5, tensor, problem, {{0, 2000, 1}, {}});
    const double allowed = tensor == Tensor::query ? magnitude.max_query_norm : magnitude.max_key_norm;
    double largest = 0.0;
    for (std::size_t row = 0; row < 2000 * 8; ++row) {
      double squares = 0.0;
      for (std::size_t dim = 0; dim < 64; ++dim) {
        squares += static_cast<double>(data[row * 64 + dim]) * data[row * 64 + dim];
      }
      largest = std::max(largest, std::sqrt(squares));
    }
    EXPECT_LE(largest, allowed);
    EXPECT_GE(largest, 0.7 * allowed); // the bound is not idle
  }
}

} // namespace
} // namespace ringscale::problem
