// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "problem/counter_random.hpp"
#include "problem/synthetic.hpp"

namespace ringscale::problem {
namespace {

TEST(CounterRandom, UniformHasTheMomentsOfAUniform) {
  double sum = 0.0;
  double squares = 0.0;
  constexpr int count = 200000;
  for (int index = 0; index < count; ++index) {
    const double value = random_uniform(7, 3, static_cast<std::uint64_t>(index));
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
    squares += value * value;
  }
  // Five standard errors: sqrt(1/12/n) = 6.5e-4 and sqrt(4/45/n) = 6.7e-4.
  EXPECT_NEAR(sum / count, 0.5, 3.3e-3);
  EXPECT_NEAR(squares / count, 1.0 / 3.0, 3.4e-3);
}

TEST(CounterRandom, NormalHasUnitVarianceAndNoSkew) {
  double sum = 0.0;
  double squares = 0.0;
  double cubes = 0.0;
  constexpr int count = 200000;
  for (int index = 0; index < count; ++index) {
    const double value = random_normal(7, 3, static_cast<std::uint64_t>(index));
    sum += value;
    squares += value * value;
    cubes += value * value * value;
  }
  EXPECT_NEAR(sum / count, 0.0, 5.0 / std::sqrt(count));
  EXPECT_NEAR(squares / count, 1.0, 5.0 * std::sqrt(2.0 / count));
  EXPECT_NEAR(cubes / count, 0.0, 5.0 * std::sqrt(15.0 / count));
}

TEST(CounterRandom, StreamsAndSeedsDiffer) {
  EXPECT_NE(random_bits(1, 2, 3), random_bits(1, 3, 2));
  EXPECT_NE(random_bits(1, 2, 3), random_bits(2, 2, 3));
  EXPECT_EQ(random_bits(1, 2, 3), random_bits(1, 2, 3));
}

TEST(Synthetic, EveryRankMakesTheSameTokenAlone) {
  AttentionProblem problem;
  problem.tokens = 20;
  problem.batch = 2;
  problem.query_heads = 4;
  problem.kv_heads = 2;
  problem.head_dim = 6;
  const TokenSet stripe{{3, 5, 4}, {}};
  std::vector<float> part(2 * 5 * 2 * 6);
  fill_synthetic(part.data(), 9, Tensor::key, problem, stripe);
  for (std::int64_t batch = 0; batch < 2; ++batch) {
    for (std::int64_t index = 0; index < 5; ++index) {
      for (std::int64_t head = 0; head < 2; ++head) {
        for (std::int64_t dim = 0; dim < 6; ++dim) {
          ASSERT_EQ(part[static_cast<std::size_t>(((batch * 5 + index) * 2 + head) * 6 + dim)],
                    synthetic_value(9, Tensor::key, batch, stripe.position(index), head, dim));
        }
      }
    }
  }
}

TEST(Synthetic, TensorsHaveTheStatedMagnitudeAndVariance) {
  AttentionProblem problem;
  problem.tokens = 500;
  problem.head_dim = 64;
  std::vector<float> data(500 * 8 * 64);
  for (const Tensor tensor : {Tensor::query, Tensor::key, Tensor::value}) {
    fill_synthetic(data.data(), 1, tensor, problem, {{0, 500, 1}, {}});
    double squares = 0.0;
    for (const float value : data) {
      ASSERT_LE(std::abs(value), synthetic_max_magnitude() * 1.0000001);
      squares += static_cast<double>(value) * value;
    }
    EXPECT_NEAR(squares / static_cast<double>(data.size()), 1.0, 0.02);
  }
}

} // namespace
} // namespace ringscale::problem
