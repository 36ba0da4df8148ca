// SPDX-License-Identifier: Apache-2.0
// How far runs with failures lie apart, in closed form: for those that have too many failures to be played.
#include <cmath>

#include "simulator/failures.hpp"
#include "statistics/gamma.hpp"

namespace ringscale::simulator {

namespace {

struct Moments {
  double mean = 0.0;
  double variance = 0.0;
};

/// An exponential time of mean `mtbf_s`, given that it is shorter than `length_s`: what a failure cuts short.
Moments cut_short(double mtbf_s, double length_s) {
  const double ratio = length_s / mtbf_s;
  if (!(ratio > 1e-4)) {
    return {0.5 * length_s, length_s * length_s / 12.0}; // uniform, where the differences below would cancel
  }
  const double odds = std::expm1(ratio);
  const double mean = mtbf_s - length_s / odds;
  return {mean, mtbf_s * mtbf_s - length_s * length_s * (odds + 1.0) / (odds * odds)};
}

/// Sum of a geometric number of independent times: `failures` of them on average, before the first success.
Moments geometric_sum(double failures, const Moments &one) {
  return {failures * one.mean, failures * one.variance + failures * (1.0 + failures) * one.mean * one.mean};
}

} // namespace

double expected_variance_s2(const FailingRun &run) {
  const double mtbf_s = run.job_mtbf_s;
  // A failure costs its detection and a restart; each restart that fails costs what it had done, and that again.
  const Moments failed_restart = cut_short(mtbf_s, run.restart_s);
  const Moments repeated = geometric_sum(std::expm1(run.restart_s / mtbf_s),
                                         {failed_restart.mean + run.detection_s, failed_restart.variance});
  const auto segment_variance = [&](double length_s) {
    const Moments lost = cut_short(mtbf_s, length_s);
    const Moments failure{lost.mean + run.detection_s + run.restart_s + repeated.mean,
                          lost.variance + repeated.variance};
    return geometric_sum(std::expm1(length_s / mtbf_s), failure).variance;
  };
  const double whole_segments = run.segments() - 1.0;
  const double whole =
      whole_segments > 0.0 ? whole_segments * segment_variance(run.interval_s + run.checkpoint_s) : 0.0;
  return whole + segment_variance(run.last_segment_s());
}

std::optional<RunPercentiles> approximate_percentiles(const FailingRun &run) {
  const RecoveryParts expected = expected_recovery(run);
  const double least_s = run.work_s + expected.checkpoint_s;
  const double beyond_s = expected.total_s - least_s;
  const double variance = expected_variance_s2(run);
  const double shape = beyond_s * beyond_s / variance;
  if (!(std::isfinite(variance) && variance > 0.0 && std::isfinite(shape) && shape > 0.0)) {
    return std::nullopt;
  }
  const auto at = [&](double probability) {
    return least_s + statistics::gamma_quantile(shape, probability) * (variance / beyond_s);
  };
  return RunPercentiles{at(0.05), at(0.5), at(0.95)};
}

} // namespace ringscale::simulator
