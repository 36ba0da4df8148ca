// SPDX-License-Identifier: Apache-2.0
#include "statistics/fit.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

namespace ringscale::statistics {
namespace {

const std::vector<double> x{1.0, 2.0, 4.0, 8.0, 16.0, 32.0};
const std::vector<double> y{1.1, 1.9, 4.2, 7.7, 16.5, 31.0};

TEST(FitLine, AgreesWithScipyLinregress) {
  // scipy.stats.linregress(x, y) of scipy 1.10; residuals by numpy.
  const LineFit fit = fit_line(x, y);
  EXPECT_NEAR(fit.slope, 0.9724235963041934, 1e-13);
  EXPECT_NEAR(fit.intercept, 0.1895522388059696, 1e-13);
  EXPECT_NEAR(fit.slope_standard_error, 0.016913780357798676, 1e-13);
  EXPECT_NEAR(fit.intercept_standard_error, 0.25511229343790415, 1e-13);
  EXPECT_NEAR(fit.r_squared, 0.9987913372045206, 1e-13);
  EXPECT_NEAR(fit.max_relative_residual, 0.12336812179702973, 1e-13);
  EXPECT_NEAR(fit.median_relative_residual, 0.040241587363122513, 1e-13);
}

TEST(FitLine, WeightsAgreeWithTheNormalEquations) {
  // numpy.linalg.solve(X'WX, X'Wy) and inv(X'WX) s^2 with W = diag(1 / y^2).
  std::vector<double> weights;
  for (const double value : y) {
    weights.push_back(1.0 / (value * value));
  }
  const LineFit fit = fit_line(x, y, weights);
  EXPECT_NEAR(fit.intercept, 0.08678107, 1e-8);
  EXPECT_NEAR(fit.slope, 0.97790148, 1e-8);
  EXPECT_NEAR(fit.intercept_standard_error, 0.06995443, 1e-8);
  EXPECT_NEAR(fit.slope_standard_error, 0.0312365, 1e-7);
  EXPECT_NEAR(fit.r_squared, 0.99593532596632, 1e-12);
  std::vector<double> scaled = weights;
  for (double &weight : scaled) {
    weight *= 1e6;
  }
  EXPECT_NEAR(fit_line(x, y, scaled).slope_standard_error, fit.slope_standard_error, 1e-14);
}

TEST(FitLine, IsExactOnALineFarFromTheOrigin) {
  std::vector<double> far_x;
  std::vector<double> far_y;
  for (int index = 0; index < 5; ++index) {
    far_x.push_back(1e9 + index);
    far_y.push_back(3.0 * index + 7.0);
  }
  const LineFit fit = fit_line(far_x, far_y);
  EXPECT_NEAR(fit.slope, 3.0, 1e-9);
  EXPECT_NEAR(fit.r_squared, 1.0, 1e-12);
}

TEST(FitLine, OfTwoPointsHasNoErrorEstimate) {
  const LineFit fit = fit_line(std::vector<double>{1.0, 3.0}, std::vector<double>{2.0, 8.0});
  EXPECT_DOUBLE_EQ(fit.slope, 3.0);
  EXPECT_DOUBLE_EQ(fit.intercept, -1.0);
  EXPECT_EQ(fit.slope_standard_error, 0.0);
}

TEST(FitPower, AgreesWithScipyOnLogarithms) {
  // scipy.stats.linregress(log x, log y).
  const PowerFit fit = fit_power(x, y);
  EXPECT_NEAR(fit.factor, 1.0438781014183298, 1e-13);
  EXPECT_NEAR(fit.exponent, 0.9803747758145009, 1e-13);
  EXPECT_NEAR(fit.exponent_standard_error, 0.020252094187924116, 1e-13);
  EXPECT_NEAR(fit.r_squared, 0.9982959790384472, 1e-13);
  EXPECT_NEAR(fit.max_relative_residual, 0.08397283975316934, 1e-13);
}

TEST(FitPower, FindsAQuadraticLaw) {
  std::vector<double> squares;
  for (const double value : x) {
    squares.push_back(0.25 * value * value);
  }
  const PowerFit fit = fit_power(x, squares);
  EXPECT_NEAR(fit.exponent, 2.0, 1e-12);
  EXPECT_NEAR(fit.factor, 0.25, 1e-12);
  EXPECT_NEAR(fit.at(3.0), 2.25, 1e-11);
}

TEST(Fit, RefusesWhatHasNoAnswer) {
  const std::vector<double> one{1.0};
  const std::vector<double> same{2.0, 2.0, 2.0};
  const std::vector<double> three{1.0, 2.0, 3.0};
  const std::vector<double> with_nan{1.0, std::nan(""), 3.0};
  const std::vector<double> with_zero{1.0, 0.0, 3.0};
  EXPECT_THROW(fit_line(one, one), std::invalid_argument);
  EXPECT_THROW(fit_line({}, {}), std::invalid_argument);
  EXPECT_THROW(fit_line(same, three), std::invalid_argument);
  EXPECT_THROW(fit_line(three, one), std::invalid_argument);
  EXPECT_THROW(fit_line(three, with_nan), std::invalid_argument);
  EXPECT_THROW(fit_line(three, three, one), std::invalid_argument);
  EXPECT_THROW(fit_line(three, three, with_zero), std::invalid_argument);
  EXPECT_THROW(fit_power(three, with_zero), std::invalid_argument);
  EXPECT_THROW(fit_power(with_zero, three), std::invalid_argument);
  EXPECT_THROW(fit_power(three, with_nan), std::invalid_argument);
}

} // namespace
} // namespace ringscale::statistics
