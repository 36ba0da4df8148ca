// SPDX-License-Identifier: Apache-2.0
#include "sizing/largest_context.hpp"

#include <algorithm>

namespace ringscale::sizing {

std::int64_t stateable_tokens(const Workload &workload) {
  const problem::AttentionProblem &attention = workload.attention;
  const double row_bytes = static_cast<double>(attention.batch) * static_cast<double>(attention.query_heads) *
                           static_cast<double>(attention.head_dim) *
                           static_cast<double>(problem::storage_bytes(attention.dtype));
  const double tokens = static_cast<double>(std::int64_t{1} << 61) / row_bytes;
  return tokens >= static_cast<double>(most_tokens) ? most_tokens : static_cast<std::int64_t>(tokens);
}

std::int64_t largest_context(const machine::Machine &machine, const Workload &workload,
                             const Configuration &configuration, std::int64_t budget, std::int64_t tokens_limit) {
  const auto holds = [&](std::int64_t tokens) { return fits(machine, workload, configuration, tokens, budget); };
  if (configuration.ring_size > tokens_limit || !holds(configuration.ring_size)) {
    return 0;
  }
  // `low` holds, `high` does not or lies beyond the limit.
  std::int64_t low = configuration.ring_size;
  std::int64_t high = low;
  while (high <= tokens_limit && (high == low || holds(high))) {
    low = high;
    high *= 2;
  }
  high = std::min(high, tokens_limit + 1);
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (holds(middle) ? low : high) = middle;
  }
  return low;
}

LargestContext find_largest_context(const machine::Machine &machine, const Workload &workload, const Allowed &allowed,
                                    std::int64_t devices) {
  require_devices(devices);
  require_templates(machine, allowed);
  LargestContext result;
  result.budget_bytes = budget_bytes(machine, workload);
  const std::int64_t limit = stateable_tokens(workload);
  for (const Configuration &configuration : configurations(machine, allowed, devices, workload.attention.batch)) {
    const std::int64_t tokens = largest_context(machine, workload, configuration, result.budget_bytes, limit);
    result.by_configuration.push_back({configuration, tokens});
    result.tokens = std::max(result.tokens, tokens);
  }
  std::stable_sort(result.by_configuration.begin(), result.by_configuration.end(),
                   [](const ContextOfConfiguration &left, const ContextOfConfiguration &right) {
                     return left.tokens > right.tokens;
                   });
  if (result.tokens == 0) {
    return result;
  }
  result.at_limit = result.tokens == limit;
  for (const ContextOfConfiguration &holder : result.by_configuration) {
    if (holder.tokens < result.tokens) {
      break;
    }
    result.ranked.push_back(evaluate(machine, workload, holder.configuration, result.tokens, devices));
    if (!result.at_limit) {
      const auto next = memory_need(machine, workload, holder.configuration, result.tokens + 1);
      if (next && (result.next_memory_bytes == 0 || next->total_bytes < result.next_memory_bytes)) {
        result.next_memory_bytes = next->total_bytes;
      }
    }
  }
  rank(result.ranked);
  const MemoryNeed &need = *result.ranked.front().memory;
  result.memory_bytes = need.total_bytes;
  result.largest_purpose = need.largest_purpose();
  return result;
}

} // namespace ringscale::sizing
