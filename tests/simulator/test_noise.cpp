// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "simulator/lanes.hpp"
#include "simulator/noise.hpp"

namespace ringscale::simulator {
namespace {

constexpr std::int64_t ranks = 512;
constexpr std::int64_t steps = 512;

double noise_at(std::uint64_t seed, std::int64_t rank, std::int64_t step) {
  const std::uint32_t bits = mix_keys(noise_rank_key(seed, rank), noise_group_key(seed, step));
  return (noise_of(bits, static_cast<int>(step % steps_per_noise_group)) - noise_mean) / noise_deviation;
}

/// Mean of f over all (rank, step); its standard error for unit-variance, uncorrelated f is 1 / ranks.
template <class Function> double mean_over_grid(const Function &function) {
  double sum = 0.0;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    for (std::int64_t step = 0; step < steps; ++step) {
      sum += function(rank, step);
    }
  }
  return sum / static_cast<double>(ranks * steps);
}

constexpr double five_standard_errors = 5.0 / 512.0;

TEST(Noise, HasMeanZeroVarianceOneAndTheKurtosisOfFourUniforms) {
  const double mean = mean_over_grid([](auto rank, auto step) { return noise_at(7, rank, step); });
  const double square = mean_over_grid([](auto rank, auto step) { return std::pow(noise_at(7, rank, step), 2); });
  const double fourth = mean_over_grid([](auto rank, auto step) { return std::pow(noise_at(7, rank, step), 4); });
  EXPECT_NEAR(mean, 0.0, five_standard_errors);
  EXPECT_NEAR(square, 1.0, 1.4 * five_standard_errors);
  // A sum of n uniforms has kurtosis 3 - 6 / (5 n): 2.7 for four.
  EXPECT_NEAR(fourth, 2.7, 10.0 * five_standard_errors);
}

TEST(Noise, NeighboursInRankAndStepAreUncorrelated) {
  for (std::int64_t by_rank = 0; by_rank <= 3; ++by_rank) {
    for (std::int64_t by_step = 0; by_step <= 6; ++by_step) {
      if (by_rank + by_step == 0) {
        continue;
      }
      const double correlation = mean_over_grid(
          [&](auto rank, auto step) { return noise_at(3, rank, step) * noise_at(3, rank + by_rank, step + by_step); });
      EXPECT_NEAR(correlation, 0.0, five_standard_errors) << by_rank << " ranks, " << by_step << " steps apart";
    }
  }
}

TEST(Noise, MagnitudesWithinAGroupOfStepsAreNearlyIndependent) {
  // The four steps of a group share their bytes. Signed sums of independent uniforms are uncorrelated but not
  // independent: corr(x^2, y^2) = -0.2 / 1.7 from the bytes' negative excess. That bound is what is tested.
  const double expected = -0.3;
  const double product = mean_over_grid([](auto rank, auto step) {
    const std::int64_t first = step / 4 * 4;
    return (std::pow(noise_at(5, rank, first), 2) - 1.0) * (std::pow(noise_at(5, rank, first + 1), 2) - 1.0);
  });
  EXPECT_NEAR(product, expected, 8.0 * five_standard_errors);
}

TEST(Noise, FourCornersOfARectangleDoNotMultiplyToAnything) {
  // Keys are joined by exclusive or, so the four keys of a rectangle cancel; the mixing must hide that.
  const double product = mean_over_grid([](auto rank, auto step) {
    return noise_at(9, rank, step) * noise_at(9, rank + 5, step) * noise_at(9, rank, step + 8) *
           noise_at(9, rank + 5, step + 8);
  });
  EXPECT_NEAR(product, 0.0, five_standard_errors);
}

TEST(Noise, SumsOverManyStepsSpreadLikeIndependentOnes) {
  // The total of n independent unit-variance terms has variance n; over 512 ranks that is known to 6 %.
  double sum_of_squares = 0.0;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    double total = 0.0;
    for (std::int64_t step = 0; step < steps; ++step) {
      total += noise_at(11, rank, step);
    }
    sum_of_squares += total * total / static_cast<double>(steps);
  }
  EXPECT_NEAR(sum_of_squares / static_cast<double>(ranks), 1.0, 5.0 * std::sqrt(2.0 / 512.0));
}

TEST(Noise, BytesAreUniform) {
  std::array<double, 256> counts{};
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    for (std::int64_t group = 0; group < 512; ++group) {
      const std::uint32_t bits = mix_keys(noise_rank_key(1, rank), noise_group_key(1, 4 * group));
      for (int byte = 0; byte < 4; ++byte) {
        counts[(bits >> (8 * byte)) & 0xFFU] += 1.0;
      }
    }
  }
  const double expected = 4.0 * 512.0 * 512.0 / 256.0;
  double chi_squared = 0.0;
  for (const double count : counts) {
    chi_squared += (count - expected) * (count - expected) / expected;
  }
  // 255 degrees of freedom: mean 255, deviation 22.6; five deviations either way.
  EXPECT_GT(chi_squared, 255.0 - 113.0);
  EXPECT_LT(chi_squared, 255.0 + 113.0);
}

TEST(Noise, DependsOnSeedRankAndStep) {
  EXPECT_EQ(noise_at(1, 2, 3), noise_at(1, 2, 3));
  int same = 0;
  for (std::int64_t index = 0; index < 64; ++index) {
    same += noise_at(1, index, 8) == noise_at(2, index, 8) ? 1 : 0;
  }
  EXPECT_LT(same, 8);
}

TEST(Noise, SixteenLanesGiveTheScalarNoiseTimesTheAmplitude) {
  constexpr std::uint32_t group_key = 0x12345678U;
  UnsignedLanes rank_keys;
  UnsignedLanes amplitudes;
  for (int lane = 0; lane < lane_count; ++lane) {
    rank_keys[lane] = noise_rank_key(4, lane);
    amplitudes[lane] = static_cast<std::uint32_t>(17 * lane) * 0x01010101U; // 0..255
  }
  UnsignedLanes bits;
  mix_lanes(bits, rank_keys, group_key);
  for (int step = 0; step < 4; ++step) {
    Lanes sum = Lanes{} + 1000;
    add_noise(sum, amplitudes, bits, noise_flips[step]);
    for (int lane = 0; lane < lane_count; ++lane) {
      const std::int32_t noise = noise_of(mix_keys(rank_keys[lane], group_key), step);
      EXPECT_EQ(sum[lane], 1000 + 17 * lane * noise);
      EXPECT_LE(std::abs(noise), largest_noise);
    }
  }
}

TEST(DeviceTimeFactor, HasTheAskedSpreadAndMedianOne) {
  double sum = 0.0;
  double squares = 0.0;
  constexpr int devices = 100000;
  for (int rank = 0; rank < devices; ++rank) {
    const double logarithm = std::log(device_time_factor(5, rank, 0.05));
    sum += logarithm;
    squares += logarithm * logarithm;
  }
  EXPECT_NEAR(sum / devices, 0.0, 5.0 * 0.05 / std::sqrt(devices));
  EXPECT_NEAR(std::sqrt(squares / devices), 0.05, 5.0 * 0.05 / std::sqrt(2.0 * devices));
  EXPECT_EQ(device_time_factor(5, 3, 0.0), 1.0);
}

} // namespace
} // namespace ringscale::simulator
