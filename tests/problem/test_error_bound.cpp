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

// The same formula with all three roundings to bfloat16, u_b = 2^-8: scores move by 2 u_b S + u_b^2 S and the smallest
// normal numbers, weights by a factor of (1 + u_b) / (1 - u_b), values by u_b, and each of 4 merges rounds once.
TEST(ErrorBound, OfRoundedStorageEqualsTheFormulaWrittenOut) {
  const double u = std::ldexp(1.0, -24);
  const double b = std::ldexp(1.0, -8);
  const double shift = 2.0 * 3.0 / 8.0 * (2.0 * b + b * b);
  const double score = 2.0 * 3.0 / 8.0 + shift;
  const double value = 1.0 + b;
  const double relative = 2.0 * (u * (4.0 * 8.0 + 2.0) * score) + 4.0 * u + 4.0 * 32.0 * u + 4.0 * 2.0 * 6.0 * u;
  const double moved = (std::exp(2.0 * shift) * (1.0 + b) / (1.0 - b) - 1.0) * value + b;
  const Roundings all{DType::bfloat16, DType::bfloat16, DType::bfloat16};
  const ErrorBound bound = attention_error_bound(all, 1024, 64, 4, {1.0, 2.0, 3.0});
  EXPECT_NEAR(bound.output, 2.0 * relative * value + moved + 4.0 * b * value, 1e-12);
  EXPECT_NEAR(bound.log_sum_exp, relative + 2.0 * u * (score + std::log(1024.0)) + shift - std::log(1.0 - b), 1e-12);
}

TEST(ErrorBound, CountsOnlyTheRoundingsThatHappen) {
  const DataMagnitude magnitude{1.0, 8.0, 8.0};
  const auto output = [&](const Roundings &roundings, std::int64_t merges) {
    return attention_error_bound(roundings, 1024, 64, merges, magnitude).output;
  };
  const double none = attention_error_bound(DType::float32, 1024, 64, 1, magnitude).output;
  EXPECT_EQ(output({}, 1), none);
  double before = none;
  for (const DType dtype : {DType::float16, DType::bfloat16, DType::float8_e4m3, DType::float8_e5m2}) {
    EXPECT_GT(output({dtype, DType::float32, DType::float32}, 1), before);
    before = output({dtype, DType::float32, DType::float32}, 1);
    EXPECT_GT(output({DType::float32, dtype, DType::float32}, 1), none);
    EXPECT_GT(output({DType::float32, DType::float32, dtype}, 2), output({DType::float32, DType::float32, dtype}, 1));
    // Averages of values differ by at most twice the largest of them, however coarse the format.
    EXPECT_LE(output({dtype, dtype, dtype}, 1 << 20), 5.5 * magnitude.max_value);
  }
  const Roundings native{DType::bfloat16, DType::bfloat16, DType::float32};
  EXPECT_EQ(attention_error_bound(DType::bfloat16, 1024, 64, 1, magnitude).output, output(native, 1));
  EXPECT_EQ(attention_error_bound(DType::float16, 1024, 64, 1, magnitude).output,
            output({DType::float16, DType::float32, DType::float32}, 1));
}

TEST(ErrorBound, UnitRoundoffsAreHalfTheGapAboveOne) {
  EXPECT_EQ(unit_roundoff(DType::float32), std::ldexp(1.0, -24));
  EXPECT_EQ(unit_roundoff(DType::tfloat32), std::ldexp(1.0, -11));
  EXPECT_EQ(unit_roundoff(DType::float16), std::ldexp(1.0, -11));
  EXPECT_EQ(unit_roundoff(DType::bfloat16), std::ldexp(1.0, -8));
  EXPECT_EQ(unit_roundoff(DType::float8_e4m3), std::ldexp(1.0, -4));
  EXPECT_EQ(unit_roundoff(DType::float8_e5m2), std::ldexp(1.0, -3));
  EXPECT_EQ(smallest_step_error(DType::float16), std::ldexp(1.0, -25));
  EXPECT_EQ(smallest_step_error(DType::float8_e4m3), std::ldexp(1.0, -10));
  EXPECT_EQ(smallest_step_error(DType::float8_e5m2), std::ldexp(1.0, -17));
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
