// SPDX-License-Identifier: Apache-2.0
#include "simulator/failures.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "problem/readable_number.hpp"
#include "problem/words.hpp"
#include "schedule/checkpoint_interval.hpp"

namespace ringscale::simulator {

using problem::InvalidInput;

namespace {

constexpr std::array<std::pair<std::string_view, CheckpointRule>, 4> rule_words{{{"none", CheckpointRule::none},
                                                                                 {"given", CheckpointRule::given},
                                                                                 {"young", CheckpointRule::young},
                                                                                 {"daly", CheckpointRule::daly}}};

constexpr double longest_s = 1e15; // thirty million years

void require_range(const char *field, double value, double low, double high, bool low_allowed) {
  if (!(value <= high && (low_allowed ? value >= low : value > low))) {
    throw InvalidInput(std::string(field) + " is " + problem::readable(value) + "; it must be " +
                       (low_allowed ? "between " : "above ") + problem::readable(low) +
                       (low_allowed ? " and " : " and at most ") + problem::readable(high));
  }
}

void require_time(const char *field, const std::optional<double> &value, bool zero_allowed) {
  if (value) {
    require_range(field, *value, 0.0, longest_s, zero_allowed);
  }
}

/// Seconds of one checkpoint and the bytes of a device in it.
struct CheckpointCost {
  double seconds = 0.0;
  double bytes = 0.0;
};

CheckpointCost checkpoint_cost(const std::optional<machine::Failures> &failures, const FailureOptions &options,
                               double devices, double held_bytes) {
  if (options.checkpoint_s) {
    return {*options.checkpoint_s, 0.0};
  }
  const double bytes = options.checkpoint_bytes.value_or(held_bytes);
  double per_device = options.checkpoint_bandwidth_bytes_per_s.value_or(0.0);
  if (!options.checkpoint_bandwidth_bytes_per_s && failures && failures->checkpoint_bandwidth_bytes_per_s) {
    per_device = failures->checkpoint_bandwidth_bytes_per_s->value;
  }
  const double together =
      failures && failures->storage_bandwidth_bytes_per_s ? failures->storage_bandwidth_bytes_per_s->value : 0.0;
  if (!(per_device > 0.0) && !(together > 0.0)) {
    throw InvalidInput("a checkpoint takes time: give --checkpoint-time or --checkpoint-bandwidth, or "
                       "failures.checkpoint_bandwidth_bytes_per_s in the machine file");
  }
  const double own_s = per_device > 0.0 ? bytes / per_device : 0.0;
  const double shared_s = together > 0.0 ? bytes * devices / together : 0.0;
  return {std::max(own_s, shared_s), bytes};
}

double interval_of(const FailureOptions &options, double checkpoint_s, double job_mtbf_s) {
  if (options.rule == CheckpointRule::given) {
    return options.interval_s;
  }
  if (!(checkpoint_s > 0.0)) {
    throw InvalidInput("checkpoint interval " + name(options.rule) +
                       ": a checkpoint that takes no time has no best interval; give seconds");
  }
  return options.rule == CheckpointRule::young ? schedule::young_interval_s(checkpoint_s, job_mtbf_s)
                                               : schedule::daly_interval_s(checkpoint_s, job_mtbf_s);
}

} // namespace

std::string name(CheckpointRule rule) { return std::string(problem::word_of(rule_words, rule)); }

double FailingRun::segments() const { return std::max(1.0, std::ceil(work_s / interval_s * (1.0 - 1e-12))); }

double FailingRun::last_segment_s() const { return work_s - (segments() - 1.0) * interval_s; }

RecoveryParts expected_recovery(const FailingRun &run) {
  const double mtbf_s = run.job_mtbf_s;
  const double whole_segments = run.segments() - 1.0;
  const double restarts_that_fail = std::expm1(run.restart_s / mtbf_s); // before one that does not
  RecoveryParts parts;
  double failures_at_work = 0.0;
  const auto add_segment = [&](double count, double length_s) {
    if (count > 0.0) {
      const double failures = std::expm1(length_s / mtbf_s); // before an attempt that has none
      failures_at_work += count * failures;
      parts.lost_work_s += count * (mtbf_s * failures - length_s);
    }
  };
  add_segment(whole_segments, run.interval_s + run.checkpoint_s);
  add_segment(1.0, run.last_segment_s());
  parts.failures = failures_at_work * (1.0 + restarts_that_fail);
  parts.checkpoint_s = whole_segments * run.checkpoint_s;
  // No product with infinitely many failures where one costs nothing.
  parts.detection_s = run.detection_s > 0.0 ? parts.failures * run.detection_s : 0.0;
  parts.restart_s = restarts_that_fail > 0.0 ? failures_at_work * mtbf_s * restarts_that_fail : 0.0;
  parts.lost_work_s = std::max(0.0, parts.lost_work_s); // rounding where hardly anything fails
  parts.total_s = run.work_s + parts.recovery_s();
  return parts;
}

std::optional<machine::Failures> failures_of(const machine::Fleet &fleet) {
  std::optional<machine::Failures> together = fleet.machine(0).failures;
  double failures_per_s = 0.0;
  for (std::size_t type = 0; type < fleet.types(); ++type) {
    const std::optional<machine::Failures> &own = fleet.machine(type).failures;
    if (!own) {
      return std::nullopt;
    }
    failures_per_s += static_cast<double>(fleet.devices_of(type)) / own->device_mtbf_s.value;
    together->detection_s.value = std::max(together->detection_s.value, own->detection_s.value);
    together->restart_s.value = std::max(together->restart_s.value, own->restart_s.value);
    for (const auto bandwidth :
         {&machine::Failures::checkpoint_bandwidth_bytes_per_s, &machine::Failures::storage_bandwidth_bytes_per_s}) {
      std::optional<machine::Number> &narrowest = (*together).*bandwidth;
      const std::optional<machine::Number> &one = (*own).*bandwidth;
      if (one && (!narrowest || one->value < narrowest->value)) {
        narrowest = one;
      }
    }
  }
  together->device_mtbf_s.value = static_cast<double>(fleet.devices()) / failures_per_s;
  return together;
}

bool devices_fail(const std::optional<machine::Failures> &failures, const FailureOptions &options) {
  return options.device_mtbf_s.has_value() || failures.has_value();
}

void require_failures_where_asked(const std::optional<machine::Failures> &failures, const FailureOptions &options) {
  const bool asked =
      options.detection_s || options.restart_s || options.rule != CheckpointRule::none || options.passes > 1;
  if (asked && !devices_fail(failures, options)) {
    throw InvalidInput(
        "--failure-detection, --restart-time, --checkpoint-interval and --passes have no effect on devices "
        "that never fail: give --device-mtbf, or failures in the machine file");
  }
}

FailureEstimate estimate_failures(const std::optional<machine::Failures> &failures, const FailureOptions &options,
                                  double devices, double pass_s, double held_bytes, std::uint64_t seed) {
  validate(options);
  if (!devices_fail(failures, options)) {
    throw InvalidInput("the machine file does not say how often a device fails; give --device-mtbf");
  }
  const auto of_machine = [&](const machine::Number machine::Failures::*number) {
    return failures ? ((*failures).*number).value : 0.0;
  };
  FailureEstimate estimate;
  estimate.rule = options.rule;
  estimate.passes = options.passes;
  estimate.device_mtbf_s = options.device_mtbf_s.value_or(of_machine(&machine::Failures::device_mtbf_s));
  FailingRun &run = estimate.run;
  run.work_s = pass_s * static_cast<double>(options.passes);
  run.job_mtbf_s = estimate.device_mtbf_s / devices;
  run.detection_s = options.detection_s.value_or(of_machine(&machine::Failures::detection_s));
  run.restart_s = options.restart_s.value_or(of_machine(&machine::Failures::restart_s));
  run.interval_s = run.work_s;
  if (options.rule != CheckpointRule::none) {
    const CheckpointCost cost = checkpoint_cost(failures, options, devices, held_bytes);
    run.checkpoint_s = cost.seconds;
    estimate.checkpoint_bytes = cost.bytes;
    run.interval_s = std::min(run.work_s, interval_of(options, cost.seconds, run.job_mtbf_s));
  }
  estimate.expected = expected_recovery(run);
  estimate.simulated = play_failures(run, options.trials, seed);
  if (options.trials > 0 && estimate.simulated.trials == 0) {
    estimate.approximate = approximate_percentiles(run);
  }
  return estimate;
}

void validate(const FailureOptions &options) {
  require_time("device_mtbf_s", options.device_mtbf_s, false);
  require_time("detection_s", options.detection_s, true);
  require_time("restart_s", options.restart_s, true);
  require_time("checkpoint_s", options.checkpoint_s, true);
  require_time("checkpoint_bytes", options.checkpoint_bytes, true);
  require_time("checkpoint_bandwidth_bytes_per_s", options.checkpoint_bandwidth_bytes_per_s, false);
  if (options.rule == CheckpointRule::given) {
    require_range("checkpoint interval", options.interval_s, 0.0, longest_s, false);
  }
  require_range("passes", static_cast<double>(options.passes), 1.0, 1e12, true);
  require_range("failure trials", static_cast<double>(options.trials), 0.0, 1e6, true);
}

} // namespace ringscale::simulator
