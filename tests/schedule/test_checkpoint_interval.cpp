// SPDX-License-Identifier: Apache-2.0
#include "schedule/checkpoint_interval.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "problem/counter_random.hpp"
#include "tests/report/expect_invalid.hpp"

namespace ringscale::schedule {
namespace {

/// Seconds until the next failure, exponential with mean `mtbf_s`.
class Failures {
public:
  Failures(std::uint64_t seed, double mtbf_s) : seed_(seed), mtbf_s_(mtbf_s) {}
  double next_s() { return -mtbf_s_ * std::log1p(-problem::random_uniform(seed_, 0, counter_++)); }

private:
  std::uint64_t seed_;
  double mtbf_s_;
  std::uint64_t counter_ = 0;
};

struct Mean {
  double value = 0.0;
  double standard_error = 0.0;
};

/// Plays `runs` single intervals event by event: work and checkpoint must pass without a failure; each failure costs a
/// restart, which a failure may strike as well. Shares nothing with the formula.
Mean simulated_interval_s(int runs, double interval_s, const CheckpointCosts &costs, std::uint64_t seed) {
  Failures failures(seed, costs.mtbf_s);
  double sum = 0.0;
  double sum_of_squares = 0.0;
  for (int run = 0; run < runs; ++run) {
    double clock_s = 0.0;
    for (bool restarting = false;;) {
      const double needed_s = restarting ? costs.restart_s : interval_s + costs.checkpoint_s;
      const double failure_s = failures.next_s();
      clock_s += std::min(needed_s, failure_s);
      if (failure_s < needed_s) {
        restarting = true;
      } else if (restarting) {
        restarting = false;
      } else {
        break;
      }
    }
    sum += clock_s;
    sum_of_squares += clock_s * clock_s;
  }
  const double mean = sum / runs;
  return {mean, std::sqrt((sum_of_squares / runs - mean * mean) / runs)};
}

/// The interval with the shortest expected run, by golden section over its logarithm.
double best_interval_s(const CheckpointCosts &costs) {
  double low = std::log(1e-6 * costs.mtbf_s);
  double high = std::log(10.0 * costs.mtbf_s);
  const auto time = [&](double place) { return expected_run_time_s(1.0, std::exp(place), costs); };
  const double section = 1.0 / std::numbers::phi;
  for (int round = 0; round < 200; ++round) {
    const double left = high - section * (high - low);
    const double right = low + section * (high - low);
    (time(left) < time(right) ? high : low) = time(left) < time(right) ? right : left;
  }
  return std::exp((low + high) / 2.0);
}

/// How much longer a run with this interval takes than the best.
double excess(double interval_s, const CheckpointCosts &costs) {
  return expected_run_time_s(1.0, interval_s, costs) / expected_run_time_s(1.0, best_interval_s(costs), costs) - 1.0;
}

TEST(ExpectedRunTime, IsWhatEventsAddUpTo) {
  std::uint64_t seed = 1;
  for (const CheckpointCosts costs : {CheckpointCosts{1.0, 0.0, 50.0}, CheckpointCosts{5.0, 20.0, 60.0},
                                      CheckpointCosts{0.0, 3.0, 10.0}, CheckpointCosts{30.0, 10.0, 40.0}}) {
    for (const double interval_s : {2.0, 20.0, 60.0}) {
      const Mean mean = simulated_interval_s(100000, interval_s, costs, seed++);
      const double expected = expected_run_time_s(interval_s, interval_s, costs);
      EXPECT_LE(std::abs(mean.value - expected), 5.0 * mean.standard_error) << interval_s << " of " << costs.mtbf_s;
      EXPECT_LE(mean.standard_error, 0.02 * expected) << "else the test would see nothing";
      // Negative control: a formula that forgets the checkpoint's own time is noticed.
      if (costs.checkpoint_s > 0.0) {
        const double forgetful = expected_run_time_s(interval_s, interval_s, {0.0, costs.restart_s, costs.mtbf_s});
        EXPECT_GT(std::abs(mean.value - forgetful), 5.0 * mean.standard_error);
      }
    }
  }
}

TEST(ExpectedRunTime, HasTheRightLimits) {
  // Hardly any failures: the work and its checkpoints.
  EXPECT_NEAR(expected_run_time_s(1000.0, 10.0, {1.0, 5.0, 1e12}), 1100.0, 1e-3);
  // Restarts multiply.
  EXPECT_NEAR(expected_run_time_s(1.0, 1.0, {0.0, 7.0, 7.0}) / expected_run_time_s(1.0, 1.0, {0.0, 0.0, 7.0}),
              std::numbers::e, 1e-12);
}

TEST(DalyInterval, ComesCloseToTheBruteForceMinimum) {
  for (const double ratio : {1e-6, 1e-4, 1e-3, 1e-2, 0.05, 0.1, 0.2, 0.5}) {
    const CheckpointCosts costs{ratio * 3600.0, 0.0, 3600.0};
    const double daly = daly_interval_s(costs.checkpoint_s, costs.mtbf_s);
    EXPECT_LE(std::abs(daly / best_interval_s(costs) - 1.0), 6e-3) << ratio;
    EXPECT_LE(excess(daly, costs), 2e-5) << ratio;
    EXPECT_GT(excess(1.2 * daly, costs), 2e-5) << "an interval that is 20 % off is worse; ratio " << ratio;
  }
  for (const double ratio : {1.0, 1.5, 1.9, 2.0, 3.0, 10.0}) {
    const CheckpointCosts costs{ratio, 0.0, 1.0};
    EXPECT_LE(excess(daly_interval_s(ratio, 1.0), costs), 2e-3) << ratio;
  }
  EXPECT_EQ(daly_interval_s(2.0, 1.0), 1.0) << "from C = 2M on, M";
  EXPECT_EQ(daly_interval_s(50.0, 7.0), 7.0);
}

TEST(YoungInterval, IsTheFirstOrderOfIt) {
  EXPECT_EQ(young_interval_s(2.0, 100.0), 20.0);
  EXPECT_NEAR(excess(young_interval_s(0.1, 1.0), {0.1, 0.0, 1.0}), 0.005, 0.0005);
  EXPECT_NEAR(excess(young_interval_s(0.5, 1.0), {0.5, 0.0, 1.0}), 0.051, 0.001);
  for (const double ratio : {1e-6, 1e-4, 1e-2, 0.1, 0.5}) {
    const CheckpointCosts costs{ratio, 0.0, 1.0};
    EXPECT_GE(excess(young_interval_s(ratio, 1.0), costs), excess(daly_interval_s(ratio, 1.0), costs)) << ratio;
  }
  // The relative difference to the best shrinks as sqrt(C / M): it is first order.
  const auto off = [](double ratio) { return young_interval_s(ratio, 1.0) / best_interval_s({ratio, 0.0, 1.0}) - 1.0; };
  EXPECT_NEAR(off(1e-3) / off(1e-5), 10.0, 0.5);
}

TEST(CheckpointIntervals, TheTimeToRestartDoesNotMoveTheBest) {
  EXPECT_NEAR(best_interval_s({1.0, 0.0, 50.0}), best_interval_s({1.0, 30.0, 50.0}), 1e-4);
}

TEST(CheckpointIntervals, RefuseTimesThatAreNone) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {0.0, -1.0, nan, infinity}) {
    expect_invalid([&] { young_interval_s(bad, 1.0); }, {"checkpoint_s"});
    expect_invalid([&] { young_interval_s(1.0, bad); }, {"mtbf_s"});
    expect_invalid([&] { daly_interval_s(bad, 1.0); }, {"checkpoint_s"});
    expect_invalid([&] { daly_interval_s(1.0, bad); }, {"mtbf_s"});
    expect_invalid([&] { expected_run_time_s(bad, 1.0, {1.0, 1.0, 1.0}); }, {"work_s"});
    expect_invalid([&] { expected_run_time_s(1.0, bad, {1.0, 1.0, 1.0}); }, {"interval_s"});
    expect_invalid([&] { expected_run_time_s(1.0, 1.0, {1.0, 1.0, bad}); }, {"mtbf_s"});
  }
  for (const double bad : {-1.0, nan, infinity}) {
    expect_invalid([&] { expected_run_time_s(1.0, 1.0, {bad, 1.0, 1.0}); }, {"checkpoint_s"});
    expect_invalid([&] { expected_run_time_s(1.0, 1.0, {1.0, bad, 1.0}); }, {"restart_s"});
  }
}

} // namespace
} // namespace ringscale::schedule
