// SPDX-License-Identifier: Apache-2.0
// Runs that fail: closed form, events, and an independent play with a clock of its own for every device.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "problem/counter_random.hpp"
#include "schedule/checkpoint_interval.hpp"
#include "simulator/simulation.hpp"
#include "tests/report/expect_invalid.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::simulator {
namespace {

using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

constexpr double standard_errors = 4.5; // some hundred comparisons, each missed once in 150,000 if all is right

/// Runs with few and many failures, with checkpoints and without, with costs that are nothing or large.
std::vector<FailingRun> example_runs() {
  return {{1000.0, 5000.0, 1000.0, 0.0, 0.0, 0.0}, {1000.0, 400.0, 1000.0, 0.0, 10.0, 50.0},
          {1000.0, 200.0, 50.0, 5.0, 20.0, 30.0},  {1000.0, 200.0, 300.0, 5.0, 20.0, 30.0}, // last one shorter
          {1000.0, 60.0, 40.0, 10.0, 5.0, 60.0},   {1000.0, 1e9, 100.0, 3.0, 20.0, 30.0},
          {5000.0, 300.0, 77.0, 0.0, 0.0, 100.0},  {1000.0, 100.0, 1000.0 / 3.0, 1.0, 30.0, 0.0}};
}

/// Every device has its own exponential clock and is replaced when the job restarts; nothing is skipped over. Shares
/// no code with play_failures.
RecoveryParts play_devices(const FailingRun &run, int devices, std::uint64_t trial) {
  std::uint64_t counter = 0;
  const auto lifetime_s = [&] {
    const double uniform = problem::random_uniform(7, 1000 + trial, counter++);
    return -run.job_mtbf_s * devices * std::log1p(-uniform);
  };
  std::vector<double> dies(static_cast<std::size_t>(devices));
  for (double &at : dies) {
    at = lifetime_s();
  }
  RecoveryParts parts;
  double clock = 0.0;
  double done_s = 0.0;
  bool restarting = false;
  while (done_s < run.work_s * (1.0 - 1e-12)) {
    const double left_s = run.work_s - done_s;
    const bool last = left_s <= run.interval_s * (1.0 + 1e-12);
    const double phase_s = restarting ? run.restart_s : last ? left_s : run.interval_s + run.checkpoint_s;
    const auto first = std::min_element(dies.begin(), dies.end());
    if (*first >= clock + phase_s) {
      clock += phase_s;
      parts.restart_s += restarting ? phase_s : 0.0;
      if (!restarting) {
        parts.checkpoint_s += last ? 0.0 : run.checkpoint_s;
        done_s += last ? left_s : run.interval_s;
      }
      restarting = false;
      continue;
    }
    (restarting ? parts.restart_s : parts.lost_work_s) += *first - clock;
    clock = *first + run.detection_s;
    parts.failures += 1.0;
    parts.detection_s += run.detection_s;
    restarting = true;
    for (double &at : dies) {
      if (at < clock) {
        at = clock + lifetime_s(); // whatever broke until then is replaced with it
      }
    }
  }
  parts.total_s = clock;
  return parts;
}

TEST(Failures, ExpectedTimesAreDalysCompleteModelWithDetection) {
  for (const FailingRun &run : example_runs()) {
    // E(L) = (M + D) e^(R/M) (e^(L/M) - 1) for a segment; the last one writes no checkpoint.
    const auto segment = [&](double length_s) {
      return (run.job_mtbf_s + run.detection_s) * std::exp(run.restart_s / run.job_mtbf_s) *
             std::expm1(length_s / run.job_mtbf_s);
    };
    const double expected =
        (run.segments() - 1.0) * segment(run.interval_s + run.checkpoint_s) + segment(run.last_segment_s());
    EXPECT_NEAR(expected_recovery(run).total_s, expected, 1e-9 * expected);
    // Without detection and with a checkpoint behind the last segment, it is the formula that the executor plans by.
    FailingRun daly = run;
    daly.detection_s = 0.0;
    daly.work_s = 10.0 * daly.interval_s;
    const double last_checkpoint_s = daly.job_mtbf_s * std::exp(daly.restart_s / daly.job_mtbf_s) *
                                     (std::exp((daly.interval_s + daly.checkpoint_s) / daly.job_mtbf_s) -
                                      std::exp(daly.interval_s / daly.job_mtbf_s));
    const double known = schedule::expected_run_time_s(daly.work_s, daly.interval_s,
                                                       {daly.checkpoint_s, daly.restart_s, daly.job_mtbf_s});
    EXPECT_NEAR(expected_recovery(daly).total_s + last_checkpoint_s, known, 1e-9 * known);
  }
}

TEST(Failures, EventsAndClosedFormAgreeWithinTheMonteCarloInterval) {
  std::uint64_t seed = 1;
  for (const FailingRun &run : example_runs()) {
    const RecoveryParts expected = expected_recovery(run);
    const FailureTrials trials = play_failures(run, 20000, seed++);
    ASSERT_EQ(trials.trials, 20000);
    if (expected.failures < 1e-3) {
      // Too rare for a mean: hardly a run sees one, so the median is work and checkpoints.
      EXPECT_DOUBLE_EQ(trials.p50_s, run.work_s + expected.checkpoint_s);
      continue;
    }
    EXPECT_LE(std::abs(trials.mean.total_s - expected.total_s), standard_errors * trials.standard_error_s);
    EXPECT_EQ(trials.mean.checkpoint_s > 0.0, expected.checkpoint_s > 0.0);
    const double parts_s = run.work_s + trials.mean.recovery_s();
    EXPECT_NEAR(parts_s, trials.mean.total_s, 1e-9 * parts_s);
    EXPECT_LE(trials.p5_s, trials.p50_s);
    EXPECT_LE(trials.p50_s, trials.p95_s);
    EXPECT_GE(trials.p5_s, run.work_s);
    if (expected.failures > 1.0) {
      // Negative control: devices that fail 10 % more often are seen.
      FailingRun worse = run;
      worse.job_mtbf_s /= 1.1;
      EXPECT_GT(std::abs(trials.mean.total_s - expected_recovery(worse).total_s),
                standard_errors * trials.standard_error_s);
      // The same for every part: failures are counted, lost, detected and repaired as expected, within 5 %.
      EXPECT_NEAR(trials.mean.failures, expected.failures, 0.05 * expected.failures);
      EXPECT_NEAR(trials.mean.lost_work_s, expected.lost_work_s, 0.05 * expected.lost_work_s);
      EXPECT_NEAR(trials.mean.detection_s, expected.detection_s, 0.05 * expected.detection_s);
      EXPECT_NEAR(trials.mean.restart_s, expected.restart_s, 0.05 * expected.restart_s);
    }
  }
}

TEST(Failures, ClocksOfTheDevicesGiveTheSame) {
  const FailingRun run{1000.0, 200.0, 300.0, 5.0, 20.0, 30.0};
  const RecoveryParts expected = expected_recovery(run);
  constexpr int trials = 4000;
  double sum = 0.0;
  double sum_of_squares = 0.0;
  double failures = 0.0;
  std::vector<double> totals;
  for (int trial = 0; trial < trials; ++trial) {
    const RecoveryParts one = play_devices(run, 16, static_cast<std::uint64_t>(trial));
    EXPECT_NEAR(run.work_s + one.recovery_s(), one.total_s, 1e-9 * one.total_s);
    sum += one.total_s;
    sum_of_squares += one.total_s * one.total_s;
    failures += one.failures / trials;
    totals.push_back(one.total_s);
  }
  const double mean = sum / trials;
  const double standard_error = std::sqrt((sum_of_squares / trials - mean * mean) / trials);
  EXPECT_LE(std::abs(mean - expected.total_s), standard_errors * standard_error);
  EXPECT_NEAR(failures, expected.failures, 0.05 * expected.failures);
  // Percentiles too: the middle half of these totals lies where play_failures says.
  const FailureTrials played = play_failures(run, 20000, 3);
  const auto below = static_cast<double>(
      std::count_if(totals.begin(), totals.end(), [&](double total_s) { return total_s <= played.p50_s; }));
  EXPECT_NEAR(below / trials, 0.5, standard_errors * 0.5 / std::sqrt(trials));
}

TEST(Failures, TrialsAreSeeded) {
  const FailingRun run{1000.0, 200.0, 300.0, 5.0, 20.0, 30.0};
  EXPECT_EQ(play_failures(run, 200, 5).mean.total_s, play_failures(run, 200, 5).mean.total_s);
  EXPECT_NE(play_failures(run, 200, 5).mean.total_s, play_failures(run, 200, 6).mean.total_s);
  // The first trials of a longer play are those of a shorter one.
  const double first = play_failures(run, 1, 5).mean.total_s;
  const double both = 2.0 * play_failures(run, 2, 5).mean.total_s;
  EXPECT_GT(both, first);
}

TEST(Failures, ARunThatNeverEndsSaysSoAndIsNotPlayed) {
  // e^2000 restarts from scratch: beyond what a double holds.
  const FailingRun run{2000.0, 1.0, 2000.0, 0.0, 0.0, 0.0};
  EXPECT_TRUE(std::isinf(expected_recovery(run).total_s));
  EXPECT_EQ(play_failures(run, 1000, 1).trials, 0);
  // Fewer trials where a thousand would take too long.
  const FailingRun long_run{12.0, 1.0, 12.0, 0.0, 0.0, 0.0};
  const std::int64_t trials = play_failures(long_run, 1000, 1).trials;
  EXPECT_GE(trials, 100);
  EXPECT_LT(trials, 1000);
}

TEST(Failures, TheVarianceIsThatOfPlayedRuns) {
  std::uint64_t seed = 40;
  for (const FailingRun &run : example_runs()) {
    if (expected_recovery(run).failures < 1e-3) {
      continue; // too rare for a variance
    }
    constexpr double trials = 20000.0;
    const double error_s = play_failures(run, static_cast<std::int64_t>(trials), seed++).standard_error_s;
    const double played = error_s * error_s * trials;
    EXPECT_NEAR(expected_variance_s2(run), played, 0.1 * played); // a variance of 20000 runs is known to some 3 %
    FailingRun worse = run;
    worse.job_mtbf_s /= 1.5;
    EXPECT_GT(std::abs(expected_variance_s2(worse) - played), 0.1 * played);
  }
}

TEST(Failures, PercentilesInClosedFormAreThoseOfPlayedRunsWithManyFailures) {
  // From scratch after 150 failures a run, and after many segments of two failures each, with failing restarts.
  for (const FailingRun &run :
       {FailingRun{1000.0, 200.0, 1000.0, 0.0, 20.0, 30.0}, FailingRun{50000.0, 100.0, 100.0, 10.0, 20.0, 50.0}}) {
    const FailureTrials played = play_failures(run, 4000, 9);
    ASSERT_EQ(played.trials, 4000);
    const std::optional<RunPercentiles> closed = approximate_percentiles(run);
    ASSERT_TRUE(closed.has_value());
    const double spread_s = played.p95_s - played.p5_s;
    EXPECT_NEAR(closed->p5_s, played.p5_s, 0.03 * spread_s);
    EXPECT_NEAR(closed->p50_s, played.p50_s, 0.03 * spread_s);
    EXPECT_NEAR(closed->p95_s, played.p95_s, 0.06 * spread_s);
  }
}

TEST(Failures, RunsWithTooManyFailuresToPlayHavePercentilesInClosedForm) {
  FailureOptions options;
  options.device_mtbf_s = 8.0; // of eight devices: one second between failures
  const FailureEstimate often = estimate_failures(std::nullopt, options, 8.0, 30.0, 0.0, 1);
  EXPECT_EQ(often.simulated.trials, 0);
  ASSERT_TRUE(often.approximate.has_value());
  // e^30 attempts: exponential, so that its median is log 2 of the mean.
  EXPECT_NEAR(often.approximate->p50_s, std::log(2.0) * often.expected.total_s, 1e-6 * often.expected.total_s);
  EXPECT_NEAR(often.approximate->p95_s, std::log(20.0) * often.expected.total_s, 1e-6 * often.expected.total_s);
  options.trials = 0; // none asked for
  EXPECT_FALSE(estimate_failures(std::nullopt, options, 8.0, 30.0, 0.0, 1).approximate.has_value());
  options.trials = 1000;
  EXPECT_FALSE(estimate_failures(std::nullopt, options, 8.0, 3.0, 0.0, 1).approximate.has_value()); // played
  EXPECT_FALSE(estimate_failures(std::nullopt, options, 8.0, 1e5, 0.0, 1).approximate.has_value()); // never ends
}

TEST(Failures, MoreFailuresNeverShortenARun) {
  for (const FailingRun &run : example_runs()) {
    const double total_s = expected_recovery(run).total_s;
    for (double FailingRun::*cost : {&FailingRun::detection_s, &FailingRun::restart_s, &FailingRun::checkpoint_s}) {
      FailingRun dearer = run;
      dearer.*cost += 1.0;
      EXPECT_GE(expected_recovery(dearer).total_s, total_s);
    }
    FailingRun often = run;
    often.job_mtbf_s *= 0.9;
    EXPECT_GT(expected_recovery(often).total_s, total_s);
  }
}

TEST(Failures, DalysIntervalIsNextToTheBest) {
  FailingRun run{1e6, 2000.0, 0.0, 20.0, 60.0, 300.0};
  const auto total = [&](double interval_s) {
    run.interval_s = interval_s;
    return expected_recovery(run).total_s;
  };
  const double daly = schedule::daly_interval_s(20.0, 2000.0);
  EXPECT_LT(total(daly), total(0.7 * daly));
  EXPECT_LT(total(daly), total(1.4 * daly));
  double best = total(daly);
  for (double share = 0.5; share < 2.0; share += 0.01) {
    best = std::min(best, total(share * daly));
  }
  EXPECT_LE(total(daly), 1.001 * best);
}

TEST(Failures, ASimulationTakesItsNumbersFromMachineAndOptions) {
  machine::Machine machine = simple_machine(1e-9, 1e-6, 1e9);
  SimulationOptions options = ring_options(64, 1024);
  EXPECT_FALSE(simulate(machine, options).failures.has_value());
  machine.failures = machine::Failures{number(1e5), number(2.0), number(7.0), number(1e6), std::nullopt};
  options.failures.passes = 50;
  options.failures.rule = CheckpointRule::daly;
  const Simulation result = simulate(machine, options);
  ASSERT_TRUE(result.failures.has_value());
  const FailureEstimate &failures = *result.failures;
  EXPECT_DOUBLE_EQ(failures.run.work_s, 50.0 * result.time_s);
  EXPECT_DOUBLE_EQ(failures.run.job_mtbf_s, 1e5 / 64.0);
  // Query, keys and values, output and log-sum-exps of 1024 tokens of one head of width 64; a header on the block.
  EXPECT_DOUBLE_EQ(failures.checkpoint_bytes, 4.0 * 1024 * 64 * 4 + 64 + 1024 * 4);
  EXPECT_DOUBLE_EQ(failures.run.checkpoint_s, failures.checkpoint_bytes / 1e6);
  EXPECT_EQ(failures.run.restart_s, 7.0);
  // Storage that all share is the narrower way.
  machine.failures->storage_bandwidth_bytes_per_s = number(32e6);
  EXPECT_DOUBLE_EQ(simulate(machine, options).failures->run.checkpoint_s, failures.checkpoint_bytes * 64 / 32e6);
  // Flags win over the machine file.
  options.failures.device_mtbf_s = 2e5;
  options.failures.restart_s = 0.0;
  options.failures.checkpoint_s = 0.5;
  const FailureEstimate given = *simulate(machine, options).failures;
  EXPECT_DOUBLE_EQ(given.run.job_mtbf_s, 2e5 / 64.0);
  EXPECT_EQ(given.run.restart_s, 0.0);
  EXPECT_EQ(given.run.checkpoint_s, 0.5);
}

TEST(Failures, RefuseWhatIsNoNumber) {
  const machine::Machine machine = simple_machine(1e-9, 1e-6, 1e9);
  const auto refused = [&](FailureOptions options, const char *what) {
    if (!options.device_mtbf_s) {
      options.device_mtbf_s = 1e6;
    }
    expect_invalid([&] { estimate_failures(machine.failures, options, 8.0, 1.0, 1e6, 1); }, {what});
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double bad : {0.0, -1.0, nan}) {
    FailureOptions options;
    options.device_mtbf_s = bad;
    refused(options, "device_mtbf_s");
  }
  FailureOptions options;
  options.restart_s = -1.0;
  refused(options, "restart_s");
  options = {};
  options.rule = CheckpointRule::young;
  refused(options, "--checkpoint-time");
  options.checkpoint_s = 0.0;
  refused(options, "no best interval");
  options.rule = CheckpointRule::given;
  options.interval_s = 0.0;
  refused(options, "interval");
  expect_invalid([&] { estimate_failures(machine.failures, {}, 8.0, 1.0, 1e6, 1); }, {"--device-mtbf"});
}

} // namespace
} // namespace ringscale::simulator
