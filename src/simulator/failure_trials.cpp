// SPDX-License-Identifier: Apache-2.0
// Runs with failures, played failure by failure.
#include <algorithm>
#include <cmath>
#include <vector>

#include "problem/counter_random.hpp"
#include "simulator/failures.hpp"
#include "statistics/summary.hpp"

namespace ringscale::simulator {

namespace {

/// Failures of all trials together, about a second's worth.
constexpr double most_failures = 2.0e7;
/// Trials below which percentiles would say little.
constexpr std::int64_t fewest_trials = 100;

/// Times between failures of one trial, exponential; a function of seed, trial and how many were drawn.
class Gaps {
public:
  Gaps(std::uint64_t seed, std::uint64_t trial, double mtbf_s)
      : seed_(seed), stream_(0x6661696C00000000ULL + trial), mtbf_s_(mtbf_s) {}
  double next_s() { return -mtbf_s_ * std::log1p(-problem::random_uniform(seed_, stream_, counter_++)); }

private:
  std::uint64_t seed_;
  std::uint64_t stream_;
  double mtbf_s_;
  std::uint64_t counter_ = 0;
};

RecoveryParts play(const FailingRun &run, Gaps gaps) {
  RecoveryParts parts;
  const double segment_s = run.interval_s + run.checkpoint_s;
  const double last_segment_s = run.last_segment_s();
  double to_do = run.segments() - 1.0; // segments that end in a checkpoint
  parts.checkpoint_s = to_do * run.checkpoint_s;
  for (;;) {
    const double up_s = gaps.next_s();
    if (up_s >= to_do * segment_s + last_segment_s) {
      break;
    }
    const double saved = std::min(to_do, std::floor(up_s / segment_s));
    to_do -= saved;
    parts.lost_work_s += up_s - saved * segment_s;
    for (bool up = false; !up;) {
      parts.failures += 1.0;
      parts.detection_s += run.detection_s;
      const double until_next_s = gaps.next_s(); // a restart may fail as well
      up = until_next_s >= run.restart_s;
      parts.restart_s += std::min(until_next_s, run.restart_s);
    }
  }
  parts.total_s = run.work_s + parts.recovery_s();
  return parts;
}

} // namespace

FailureTrials play_failures(const FailingRun &run, std::int64_t trials, std::uint64_t seed) {
  const double expected = expected_recovery(run).failures;
  FailureTrials result;
  if (trials < 1 || !(expected * static_cast<double>(std::min(trials, fewest_trials)) <= most_failures)) {
    return result;
  }
  const double affordable = expected > 0.0 ? most_failures / expected : 1e18;
  result.trials = std::min(trials, static_cast<std::int64_t>(std::min(affordable, 1e18)));
  std::vector<double> totals;
  double sum_of_squares = 0.0;
  RecoveryParts &mean = result.mean;
  const auto count = static_cast<double>(result.trials);
  for (std::int64_t trial = 0; trial < result.trials; ++trial) {
    const RecoveryParts one = play(run, Gaps(seed, static_cast<std::uint64_t>(trial), run.job_mtbf_s));
    for (const auto part : {&RecoveryParts::failures, &RecoveryParts::checkpoint_s, &RecoveryParts::lost_work_s,
                            &RecoveryParts::detection_s, &RecoveryParts::restart_s, &RecoveryParts::total_s}) {
      mean.*part += one.*part / count;
    }
    totals.push_back(one.total_s);
  }
  for (const double total_s : totals) {
    sum_of_squares += (total_s - mean.total_s) * (total_s - mean.total_s);
  }
  result.standard_error_s = result.trials > 1 ? std::sqrt(sum_of_squares / (count - 1.0) / count) : 0.0;
  result.p5_s = statistics::quantile(totals, 0.05);
  result.p50_s = statistics::quantile(totals, 0.5);
  result.p95_s = statistics::quantile(totals, 0.95);
  return result;
}

} // namespace ringscale::simulator
