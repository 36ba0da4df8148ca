// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sizing/memory_need.hpp"

namespace ringscale::sizing {

/// A setting changed alone, and what the device with the most then needs.
struct Saving {
  std::string setting; ///< of the program: placement, kernel, dtype, batch, ring_size, schedule, ...
  std::string from;
  std::string to;
  bool same_result = true; ///< false: numbers change (fewer bits)
  std::int64_t memory_bytes = 0;
  std::int64_t saved_bytes = 0; ///< above 0
  bool fits = false;
};

/// After applying the changes of `savings` one after the other, those with the same result before the others.
struct Remedy {
  std::string setting;
  std::string to;
  std::int64_t memory_bytes = 0;
  bool fits = false;
};

struct Diagnosis {
  Configuration configuration;
  std::int64_t tokens = 0;
  std::int64_t budget_bytes = 0;
  MemoryNeed need;
  bool fits = false;
  /// Fewest ranks with which the configuration fits as it is, up to most_devices; 0: no number of them.
  std::int64_t fitting_ring_size = 0;
  std::vector<Saving> savings; ///< most bytes first; changes that save nothing are left out
  std::vector<Remedy> remedy;  ///< until it fits, or all that there are; empty when it fits as it is
};

/// Which single setting saves most bytes, by closed forms alone: sharded instead of replicated queries, streamed
/// softmax (scores recomputed) instead of stored scores, narrower elements, a ring of twice the ranks (half the chunk),
/// a plain ring instead of schedules with more buffers, blocks stored packed, keys or queries moving, batch entries in
/// turn. Throws InvalidInput for a configuration that needs more than most_device_bytes.
Diagnosis diagnose(const machine::Machine &machine, const Workload &workload, const Configuration &configuration,
                   std::int64_t tokens);

} // namespace ringscale::sizing
