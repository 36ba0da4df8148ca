// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "memory/closed_form.hpp"
#include "memory/limits.hpp"
#include "problem/error_bound.hpp"

namespace ringscale::memory {

/// What a computation may give up for memory, cheapest first: the order of the chain. drop_cache: idle buffers go back
/// to the system. recompute_instead_of_store: the streamed kernel instead of stored scores. split_batch: the batch is
/// worked off in pieces, one after the other. lower_precision: query, key and value are stored and sent as bfloat16;
/// partials stay float32.
enum class RecoveryAction { drop_cache, recompute_instead_of_store, split_batch, lower_precision };

inline constexpr std::array recovery_chain{RecoveryAction::drop_cache, RecoveryAction::recompute_instead_of_store,
                                           RecoveryAction::split_batch, RecoveryAction::lower_precision};

std::string_view name(RecoveryAction action);

/// What the chain changes.
struct MemoryConfiguration {
  bool keeps_cache = false;
  bool stores_scores = false;
  std::int64_t batch_pieces = 1; ///< 1 .. batch
  problem::DType storage = problem::DType::float32;

  bool operator==(const MemoryConfiguration &) const = default;
};

/// One step of the chain that was taken, for a row.
struct RecoveryStep {
  RecoveryAction action = RecoveryAction::drop_cache;
  std::int64_t bytes_before = 0;
  std::int64_t bytes_after = 0;
  /// What the step adds to the bound on the absolute error of an output element; 0 for all but lower_precision, whose
  /// results are otherwise the same up to the order of float32 sums.
  double error_cost = 0.0;
  MemoryConfiguration after;
};

struct RecoveryPlan {
  MemoryConfiguration configuration;
  std::int64_t bytes = 0;
  std::vector<RecoveryStep> steps; ///< empty when the start fitted
  double error_cost = 0.0;         ///< of all steps together
};

/// What the planner has to know. need_bytes is asked about configurations and must not grow when a step is taken;
/// storage_error_cost is what storing in a dtype adds to the error bound of a float32 output.
struct RecoveryNeed {
  std::function<std::int64_t(const MemoryConfiguration &)> need_bytes;
  std::function<double(problem::DType)> storage_error_cost;
  std::int64_t batch = 1;
  bool may_lower_precision = true; ///< whether the caller agrees to an error at all
};

/// Takes steps of the chain, in its order, until the need is within limits.memory_bytes (0: at once). A step that
/// frees nothing is not taken; split_batch takes the fewest pieces that are enough, or as many as there are sequences.
/// Pure. Throws OutOfBudget, with the steps that were tried in its advice, when the whole chain is not enough.
RecoveryPlan plan_recovery(const RecoveryNeed &need, const Limits &limits, const MemoryConfiguration &start);

/// The need of one rank of a ring by the closed forms (closed_form.hpp), and the storage error bound of
/// problem::attention_error_bound for data of `magnitude`: the largest piece of the batch, `cache_bytes` of idle
/// buffers on top where they are kept.
RecoveryNeed ring_recovery_need(const schedule::RingProblem &problem, const KernelFootprint &footprint,
                                std::int64_t cache_bytes, const problem::DataMagnitude &magnitude);

} // namespace ringscale::memory
