// SPDX-License-Identifier: Apache-2.0
#include "statistics/summary.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

namespace ringscale::statistics {
namespace {

// Eleven log-normal numbers; the expected values below are numpy 1.24's quantile() and median() of them.
const std::vector<double> samples{1.0012, 1.3482, 0.7602, 0.4104, 0.6347, 0.371, 1.062, 3.8199, 0.6113, 0.5377, 1.6321};

TEST(Typical, IsTheMedianOrTheFastest) {
  const std::vector<double> times{3.0, 1.0, 7.0, 2.0, 100.0};
  EXPECT_EQ(typical(times, Typical::median), 3.0);
  EXPECT_EQ(typical(times, Typical::fastest), 1.0);
  EXPECT_THROW(typical(std::vector<double>{}, Typical::fastest), std::invalid_argument);
  EXPECT_THROW(typical(std::vector<double>{1.0, std::nan("")}, Typical::fastest), std::invalid_argument);
}

TEST(Quantile, AgreesWithNumpy) {
  EXPECT_DOUBLE_EQ(median(samples), 0.7602);
  EXPECT_DOUBLE_EQ(quantile(samples, 0.0), 0.371);
  EXPECT_DOUBLE_EQ(quantile(samples, 0.05), 0.3907);
  EXPECT_DOUBLE_EQ(quantile(samples, 0.25), 0.5745);
  EXPECT_DOUBLE_EQ(quantile(samples, 0.9), 1.6321);
  EXPECT_DOUBLE_EQ(quantile(samples, 1.0), 3.8199);
}

TEST(Median, OfEvenCountsIsTheMeanOfTheMiddleTwo) {
  EXPECT_DOUBLE_EQ(median(std::vector<double>{4.0, 1.0, 3.0, 2.0}), 2.5);
  EXPECT_DOUBLE_EQ(median(std::vector<double>{7.0}), 7.0);
}

TEST(Median, KeepsInfinities) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(median(std::vector<double>{1.0, infinity, infinity}), infinity);
  EXPECT_EQ(median(std::vector<double>{-infinity, 1.0, infinity}), 1.0);
}

TEST(Statistics, RefuseNothingAndNaN) {
  const std::vector<double> none;
  const std::vector<double> not_a_number{1.0, std::nan(""), 2.0};
  EXPECT_THROW(median(none), std::invalid_argument);
  EXPECT_THROW(median(not_a_number), std::invalid_argument);
  EXPECT_THROW(median_interval(none), std::invalid_argument);
  EXPECT_THROW(median_interval(not_a_number), std::invalid_argument);
  EXPECT_THROW(quantile(samples, -0.1), std::invalid_argument);
  EXPECT_THROW(quantile(samples, std::nan("")), std::invalid_argument);
}

struct Expected {
  std::size_t count;
  std::size_t trimmed;
  double confidence;
};

class MedianInterval : public testing::TestWithParam<Expected> {};

// Trimmed samples at each end and coverage: 1 - 2 scipy.stats.binom.cdf(trimmed, n, 0.5) of scipy 1.10, for the most
// that may be trimmed with at least 95 %.
INSTANTIATE_TEST_SUITE_P(AgreesWithScipy, MedianInterval,
                         testing::Values(Expected{1, 0, 0.0}, Expected{2, 0, 0.5}, Expected{5, 0, 0.9375},
                                         Expected{6, 0, 0.96875}, Expected{8, 0, 0.9921875},
                                         Expected{11, 1, 0.98828125}, Expected{20, 5, 0.9586105346679688},
                                         Expected{101, 40, 0.9539559330706572},
                                         Expected{2000, 955, 0.9534471795082161}));

TEST_P(MedianInterval, TakesTheNarrowestPairThatCovers) {
  const Expected expected = GetParam();
  std::vector<double> values(expected.count);
  std::iota(values.rbegin(), values.rend(), 0.0); // values equal their ranks
  const Interval interval = median_interval(values);
  EXPECT_EQ(interval.low, static_cast<double>(expected.trimmed));
  EXPECT_EQ(interval.high, static_cast<double>(expected.count - 1 - expected.trimmed));
  EXPECT_NEAR(interval.confidence, expected.confidence, 1e-10);
}

TEST(MedianIntervalCoverage, IsWhatItSays) {
  // 4000 samples of ten exponential numbers each: the share of intervals that hold the true median ln 2.
  std::mt19937_64 generator(11);
  std::exponential_distribution<double> exponential(1.0);
  int covered = 0;
  double confidence = 0.0;
  for (int trial = 0; trial < 4000; ++trial) {
    std::vector<double> values(10);
    for (double &value : values) {
      value = exponential(generator);
    }
    const Interval interval = median_interval(values);
    confidence = interval.confidence;
    covered += interval.low <= std::log(2.0) && std::log(2.0) <= interval.high ? 1 : 0;
  }
  EXPECT_NEAR(covered / 4000.0, confidence, 0.01);
}

} // namespace
} // namespace ringscale::statistics
