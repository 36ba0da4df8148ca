// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "machine/fleet.hpp"

namespace ringscale::simulator {

/// How often a run writes a checkpoint: never, after as many seconds of work as are given, or by Young's or Daly's
/// formula (schedule/checkpoint_interval.hpp).
enum class CheckpointRule { none, given, young, daly };

/// What a run does about devices that fail. Numbers that are not given are the machine's (machine.failures).
struct FailureOptions {
  std::optional<double> device_mtbf_s; ///< mean time between failures of one device
  std::optional<double> detection_s;   ///< from a failure until the others stop waiting
  std::optional<double> restart_s;     ///< from there to working again, the checkpoint read
  CheckpointRule rule = CheckpointRule::none;
  double interval_s = 0.0;                                ///< rule given: work between two checkpoints
  std::optional<double> checkpoint_s;                     ///< to write one; else its bytes over the bandwidths
  std::optional<double> checkpoint_bytes;                 ///< of one device; else the tensors it holds
  std::optional<double> checkpoint_bandwidth_bytes_per_s; ///< of one device
  std::int64_t passes = 1;                                ///< of the ring, one after the other: the run
  std::int64_t trials = 1000;                             ///< runs played event by event
};

/// A run as the failure model sees it: segments of `interval_s` work with a checkpoint behind each but the last.
struct FailingRun {
  double work_s = 0.0;       ///< without failures and checkpoints
  double job_mtbf_s = 0.0;   ///< of all devices together; failures are exponential
  double interval_s = 0.0;   ///< work between checkpoints; work_s when none is written
  double checkpoint_s = 0.0; ///< of one
  double detection_s = 0.0;
  double restart_s = 0.0;

  /// Segments, the last one (which may be shorter) among them; a double since it passes 2^63.
  double segments() const;
  double last_segment_s() const;
};

/// Where the time of a run beyond its work goes; total_s is the work and all of it.
struct RecoveryParts {
  double failures = 0.0;
  double checkpoint_s = 0.0; ///< written in full
  double lost_work_s = 0.0;  ///< computed again, with checkpoints that were cut short
  double detection_s = 0.0;
  double restart_s = 0.0;
  double total_s = 0.0;
  double recovery_s() const { return checkpoint_s + lost_work_s + detection_s + restart_s; }
};

/// Expected parts in closed form. A segment of length L that must pass without a failure, each failure costing the
/// detection D and a restart R that may fail too, takes (M + D) e^(R/M) (e^(L/M) - 1) on average: Daly's complete model
/// (2006, section 3) with a detection; without checkpoints L is the whole run. Infinite where e^(L/M) is.
RecoveryParts expected_recovery(const FailingRun &run);

/// The same run played `trials` times, failure by failure; seeded, the same on any machine.
struct FailureTrials {
  std::int64_t trials = 0; ///< 0: too many failures to play
  RecoveryParts mean;
  double standard_error_s = 0.0; ///< of the mean total
  double p5_s = 0.0;
  double p50_s = 0.0;
  double p95_s = 0.0;
};
FailureTrials play_failures(const FailingRun &run, std::int64_t trials, std::uint64_t seed);

/// Variance of the time of that run: of a geometric number of failures a segment, each with what it cut short, the
/// detection, and restarts that may fail too.
double expected_variance_s2(const FailingRun &run);

/// 5, 50 and 95 % of runs take at most so long.
struct RunPercentiles {
  double p5_s = 0.0;
  double p50_s = 0.0;
  double p95_s = 0.0;
};

/// Those of a gamma distribution with the mean and variance of the time beyond work and checkpoints: an exponential one
/// where a single segment fails very often, a normal one where many segments add up, and the truth lies between. For
/// runs with too many failures to play. Nothing where mean or variance leave what a double holds.
std::optional<RunPercentiles> approximate_percentiles(const FailingRun &run);

/// What failures make of a run of `passes` passes.
struct FailureEstimate {
  FailingRun run;
  CheckpointRule rule = CheckpointRule::none;
  std::int64_t passes = 1;
  double device_mtbf_s = 0.0;
  double checkpoint_bytes = 0.0; ///< of one device; 0 where the time was given or nothing is written
  RecoveryParts expected;        ///< analytic
  FailureTrials simulated;
  std::optional<RunPercentiles> approximate; ///< analytic; only where runs were asked for and have too many failures
};

/// What the machine files say of all devices together: failures add up, detection and restart are the longest, the
/// bandwidth to storage is the smallest. Nothing when one of the types says nothing.
std::optional<machine::Failures> failures_of(const machine::Fleet &fleet);

/// Whether options or machines say how often a device fails.
bool devices_fail(const std::optional<machine::Failures> &failures, const FailureOptions &options);

/// Throws InvalidInput for options of failures on devices that never fail: they would have no effect.
void require_failures_where_asked(const std::optional<machine::Failures> &failures, const FailureOptions &options);

/// Estimate for a ring of `devices` whose pass takes `pass_s` and whose devices hold `held_bytes` each. Throws
/// InvalidInput for numbers out of range, and for a checkpoint whose time nothing says.
FailureEstimate estimate_failures(const std::optional<machine::Failures> &failures, const FailureOptions &options,
                                  double devices, double pass_s, double held_bytes, std::uint64_t seed);

/// Checks the options alone.
void validate(const FailureOptions &options);

/// "none", "given", "young" or "daly".
std::string name(CheckpointRule rule);

} // namespace ringscale::simulator
