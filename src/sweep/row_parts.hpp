// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "memory/closed_form.hpp"
#include "report/json.hpp"
#include "ring/recovered_run.hpp"
#include "ring/ring_options.hpp"
#include "schedule/ring_schedule.hpp"

namespace ringscale::sweep {

/// JSON has no NaN; a missing number is said to be missing.
report::Json finite_or_null(double value);
report::Json interval(double low, double high, double confidence);
report::Json by_purpose(const memory::MemoryByPurpose &memory);

/// What a row is and whose.
struct Identity {
  const char *kind;
  const char *verb;
  std::string point;
};

/// The fields that all rows of rings and of memory begin with.
report::Json common_fields(const Identity &identity, const schedule::RingProblem &problem, ring::SoftmaxRule softmax,
                           memory::KernelKind kernel);

/// What moves, in which pass, form and pattern: the fields of a schedule beyond its name, for rings measured and
/// simulated.
void add_schedule_fields(report::Json &row, const schedule::RingProblem &problem);

/// What a run gave up for its memory limit, and the counters of the pool that its buffers came from.
void add_recovery_fields(report::Json &row, const ring::RecoveredRun &run);

/// What checkpoints did to a run and cost it.
report::Json checkpoint_fields(const ring::CheckpointReport &checkpoint);

} // namespace ringscale::sweep
