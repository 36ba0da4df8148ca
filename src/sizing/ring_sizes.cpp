// SPDX-License-Identifier: Apache-2.0
#include "sizing/ring_sizes.hpp"

#include <algorithm>
#include <string>

#include "problem/invalid_input.hpp"

namespace ringscale::sizing {

Ranking rank_configurations(const machine::Machine &machine, const Workload &workload, const Allowed &allowed,
                            std::int64_t tokens, std::int64_t devices) {
  require_tokens(tokens);
  require_devices(devices);
  require_templates(machine, allowed);
  Ranking result;
  result.budget_bytes = budget_bytes(machine, workload);
  for (const Configuration &configuration : configurations(machine, allowed, devices, workload.attention.batch)) {
    if (configuration.ring_size <= tokens) {
      result.ranked.push_back(evaluate(machine, workload, configuration, tokens, devices));
    }
  }
  if (result.ranked.empty()) {
    throw problem::InvalidInput("tokens (" + std::to_string(tokens) +
                                ") are fewer than the ranks of every ring that is " + "allowed on " +
                                std::to_string(devices) + " devices; give more tokens, or allow another schedule");
  }
  rank(result.ranked);
  for (const Evaluation &evaluation : result.ranked) {
    result.simulated += evaluation.simulated ? 1 : 0;
    result.fitting += evaluation.fits ? 1 : 0;
    if (evaluation.simulated && evaluation.time_s <= (1.0 + near_best) * result.ranked.front().time_s) {
      ++result.near_the_best;
      if (!result.leanest || evaluation.memory->total_bytes < result.leanest->memory->total_bytes) {
        result.leanest = evaluation;
      }
    }
    const auto known =
        std::find_if(result.by_ring_size.begin(), result.by_ring_size.end(), [&](const Evaluation &best) {
          return best.configuration.ring_size == evaluation.configuration.ring_size;
        });
    if (known == result.by_ring_size.end()) {
      result.by_ring_size.push_back(evaluation);
    }
  }
  std::sort(result.by_ring_size.begin(), result.by_ring_size.end(),
            [](const Evaluation &left, const Evaluation &right) {
              return left.configuration.ring_size < right.configuration.ring_size;
            });
  return result;
}

} // namespace ringscale::sizing
