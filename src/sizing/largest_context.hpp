// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sizing/evaluation.hpp"

namespace ringscale::sizing {

/// Most tokens that one configuration holds in `budget` bytes a device; 0 when not even one token a rank fits. Exact:
/// the closed form never shrinks with tokens. `tokens_limit` is a ceiling beyond which nobody asks.
std::int64_t largest_context(const machine::Machine &machine, const Workload &workload,
                             const Configuration &configuration, std::int64_t budget, std::int64_t tokens_limit);

/// Most tokens that this program can state at all: 2^50, and fewer than 2^62 bytes of queries.
std::int64_t stateable_tokens(const Workload &workload);

struct ContextOfConfiguration {
  Configuration configuration;
  std::int64_t tokens = 0;
};

/// The answer for given devices, and how it is known to be the largest.
struct LargestContext {
  std::int64_t tokens = 0; ///< 0: nothing fits
  std::int64_t budget_bytes = 0;
  bool at_limit = false; ///< stateable_tokens, not memory, ended the search
  std::int64_t memory_bytes = 0;
  /// Of the configuration that needs least for one token more; 0 at the limit, or when it is beyond most_device_bytes.
  std::int64_t next_memory_bytes = 0;
  memory::Purpose largest_purpose = memory::Purpose::key_value; ///< what the memory is full of
  std::vector<ContextOfConfiguration> by_configuration;         ///< most tokens first
  std::vector<Evaluation> ranked;                               ///< those that hold `tokens`, fastest first
};

/// Largest context of any configuration allowed on `devices` devices.
LargestContext find_largest_context(const machine::Machine &machine, const Workload &workload, const Allowed &allowed,
                                    std::int64_t devices);

} // namespace ringscale::sizing
