// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "memory/buffer_pool.hpp"
#include "memory/limits.hpp"
#include "memory/memory_recovery.hpp"
#include "ring/ring_run.hpp"

namespace ringscale::ring {

/// Bytes of the largest message buffer of any rank: block, partial result, or everything that an all-gather collects.
std::int64_t largest_message(const RingOptions &options);

/// Bytes of the rank with the most, in closed form.
std::int64_t largest_planned_memory(const RingOptions &options);

/// What a run gave up to stay within its memory limit, before it starts.
struct RecoveredOptions {
  RingOptions options;
  memory::RecoveryPlan plan;
};

/// Takes steps of the recovery chain (memory::plan_recovery) until every rank's closed form is within
/// limits.memory_bytes: scores are recomputed instead of stored, the batch is split into pieces, and where
/// `may_lower_precision` allows an error, tensors are stored and sent as bfloat16; that step's error cost is what it
/// adds to ring_error_bound. Throws memory::OutOfBudget when that is not enough, and InvalidInput when the precision
/// may be lowered and these options cannot (require_may_lower_precision).
RecoveredOptions recover_memory(const RingOptions &options, const memory::Limits &limits,
                                bool may_lower_precision = false);

/// Throws InvalidInput when a run with `options` cannot store its tensors in bfloat16 with the streamed kernel.
void require_may_lower_precision(const RingOptions &options);

/// A run with what was given up for it, and the pool that its buffers came from.
struct RecoveredRun {
  RingRun run;
  memory::RecoveryPlan plan;
  memory::PoolCounters pool;
};

/// run_ring on the recovered options, piece by piece where the batch was split: times add up, errors and memory are the
/// largest. Buffers come from one pool within limits.memory_bytes, so that later pieces take those of earlier ones.
RecoveredRun run_recovered(Communicator &communicator, const RingOptions &asked, const RecoveredOptions &recovered,
                           const memory::Limits &limits);

} // namespace ringscale::ring
