// SPDX-License-Identifier: Apache-2.0
#include "memory/memory_recovery.hpp"

#include <stdexcept>
#include <string>
#include <utility>

#include "problem/words.hpp"

namespace ringscale::memory {

namespace {

constexpr std::array<std::pair<std::string_view, RecoveryAction>, recovery_chain.size()> action_words{
    {{"drop_cache", RecoveryAction::drop_cache},
     {"recompute_instead_of_store", RecoveryAction::recompute_instead_of_store},
     {"split_batch", RecoveryAction::split_batch},
     {"lower_precision", RecoveryAction::lower_precision}}};

/// The fewest pieces that fit, by bisection: the need does not grow with their number. All sequences apart if none do.
std::int64_t fewest_pieces(const RecoveryNeed &need, std::int64_t limit_bytes, MemoryConfiguration configuration) {
  std::int64_t too_few = configuration.batch_pieces;
  std::int64_t enough = need.batch;
  while (enough - too_few > 1) {
    configuration.batch_pieces = too_few + (enough - too_few) / 2;
    (need.need_bytes(configuration) <= limit_bytes ? enough : too_few) = configuration.batch_pieces;
  }
  return enough;
}

MemoryConfiguration after_action(RecoveryAction action, const RecoveryNeed &need, std::int64_t limit_bytes,
                                 MemoryConfiguration configuration) {
  switch (action) {
  case RecoveryAction::drop_cache:
    configuration.keeps_cache = false;
    break;
  case RecoveryAction::recompute_instead_of_store:
    configuration.stores_scores = false;
    break;
  case RecoveryAction::split_batch:
    if (need.batch > configuration.batch_pieces) {
      configuration.batch_pieces = fewest_pieces(need, limit_bytes, configuration);
    }
    break;
  case RecoveryAction::lower_precision:
    if (need.may_lower_precision && configuration.storage == problem::DType::float32) {
      configuration.storage = problem::DType::bfloat16;
    }
    break;
  }
  return configuration;
}

std::string advice_after(const RecoveryPlan &plan, bool may_lower_precision) {
  std::string text = "use more ranks or fewer tokens, or raise --memory-limit";
  if (plan.steps.empty()) {
    text += "; no step of the recovery chain frees anything here";
  } else {
    text += "; not enough were ";
    for (const RecoveryStep &step : plan.steps) {
      text.append(&step == &plan.steps.front() ? "" : ", ").append(name(step.action));
    }
  }
  return may_lower_precision ? text : text + "; lower_precision was not allowed";
}

} // namespace

std::string_view name(RecoveryAction action) { return problem::word_of(action_words, action); }

RecoveryPlan plan_recovery(const RecoveryNeed &need, const Limits &limits, const MemoryConfiguration &start) {
  if (need.batch < 1 || start.batch_pieces < 1 || start.batch_pieces > need.batch) {
    throw std::logic_error("memory recovery: batch_pieces must be between 1 and the batch");
  }
  RecoveryPlan plan;
  plan.configuration = start;
  plan.bytes = need.need_bytes(start);
  const std::int64_t limit_bytes = limits.memory_bytes;
  for (const RecoveryAction action : recovery_chain) {
    if (limit_bytes == 0 || plan.bytes <= limit_bytes) {
      return plan;
    }
    const MemoryConfiguration next = after_action(action, need, limit_bytes, plan.configuration);
    const std::int64_t bytes = next == plan.configuration ? plan.bytes : need.need_bytes(next);
    if (bytes >= plan.bytes) {
      continue;
    }
    RecoveryStep step{action, plan.bytes, bytes, 0.0, next};
    if (action == RecoveryAction::lower_precision) {
      step.error_cost = need.storage_error_cost(next.storage);
    }
    plan.error_cost += step.error_cost;
    plan.configuration = next;
    plan.bytes = bytes;
    plan.steps.push_back(step);
  }
  if (plan.bytes <= limit_bytes) {
    return plan;
  }
  throw OutOfBudget(Purpose::workspace, plan.bytes, 0, limit_bytes, advice_after(plan, need.may_lower_precision));
}

RecoveryNeed ring_recovery_need(const schedule::RingProblem &problem, const KernelFootprint &footprint,
                                std::int64_t cache_bytes, const problem::DataMagnitude &magnitude) {
  RecoveryNeed need;
  need.batch = problem.attention.batch;
  need.need_bytes = [problem, footprint, cache_bytes](const MemoryConfiguration &configuration) {
    schedule::RingProblem piece = problem;
    piece.attention.batch = (problem.attention.batch + configuration.batch_pieces - 1) / configuration.batch_pieces;
    piece.attention.dtype = configuration.storage;
    const KernelKind kernel = configuration.stores_scores ? KernelKind::materialised : KernelKind::streamed;
    const std::int64_t bytes = closed_form(piece, rank_with_most_memory(piece), footprint, kernel).total();
    return bytes + (configuration.keeps_cache ? cache_bytes : 0);
  };
  need.storage_error_cost = [problem, magnitude](problem::DType storage) {
    const problem::AttentionProblem &attention = problem.attention;
    // Partials stay in single precision in the closed forms, too.
    const auto bound = [&](problem::DType inputs) {
      return problem::attention_error_bound(inputs, attention.tokens, attention.head_dim, problem.ring_size, magnitude)
          .output;
    };
    return bound(storage) - bound(problem::DType::float32);
  };
  return need;
}

} // namespace ringscale::memory
