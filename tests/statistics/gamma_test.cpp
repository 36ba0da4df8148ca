// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "statistics/gamma.hpp"

namespace ringscale::statistics {
namespace {

TEST(Gamma, QuantilesAgreeWithScipy) {
  struct Known {
    double shape;
    std::array<double, 3> at; ///< scipy.stats.gamma.ppf of 0.05, 0.5 and 0.95
  };
  for (const Known &known : {Known{0.5, {0.001966070000009761, 0.227468211559786, 1.920729410347062}},
                             Known{1.0, {0.05129329438755053, 0.6931471805599455, 2.9957322735539895}},
                             Known{2.5, {0.5727381130308846, 2.175730095547763, 5.535248846758176}},
                             Known{30.0, {21.593979226994882, 29.66733313822123, 39.54097224392437}},
                             Known{9999.0, {9835.093335426749, 9998.666668642245, 10164.043687393954}},
                             Known{1e4, {9836.085110855192, 9999.666668642047, 10165.051911966126}},
                             Known{1e6, {998355.7150837178, 999999.6666666864, 1001645.42194519}},
                             Known{1e12, {999998355146.9415, 999999999999.6666, 1000001644854.1954}}}) {
    const double bound = known.shape < 1e4 ? 1e-11 : 1e-6;
    for (const auto &[place, probability] : {std::pair{0, 0.05}, std::pair{1, 0.5}, std::pair{2, 0.95}}) {
      const double expected = known.at[static_cast<std::size_t>(place)];
      EXPECT_NEAR(gamma_quantile(known.shape, probability), expected, bound * expected) << known.shape;
    }
  }
}

TEST(Gamma, ProbabilitiesAgreeWithScipyOnBothSidesOfTheMean) {
  EXPECT_NEAR(gamma_probability(0.5, 0.1), 0.34527915398142317, 1e-14);
  EXPECT_NEAR(gamma_probability(3.0, 2.0), 0.32332358381693654, 1e-14);
  EXPECT_NEAR(gamma_probability(3.0, 9.0), 0.9937678048936227, 1e-14);
  EXPECT_NEAR(gamma_probability(500.0, 520.0), 0.8153088509012563, 1e-12);
  EXPECT_EQ(gamma_probability(2.0, 0.0), 0.0);
}

TEST(Gamma, RefusesWhatHasNoQuantile) {
  for (const double bad : {0.0, -1.0, std::numeric_limits<double>::infinity(), std::nan("")}) {
    EXPECT_THROW((void)gamma_quantile(bad, 0.5), std::invalid_argument);
  }
  for (const double bad : {0.0, 1.0, -0.5, std::nan("")}) {
    EXPECT_THROW((void)gamma_quantile(2.0, bad), std::invalid_argument);
  }
}

} // namespace
} // namespace ringscale::statistics
