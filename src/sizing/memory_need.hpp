// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "sizing/configuration.hpp"

namespace ringscale::sizing {

/// Bytes of the device with the most in the pass with the most, by the closed forms of memory (kind analytic).
struct MemoryNeed {
  memory::MemoryByPurpose by_purpose;
  std::int64_t total_bytes = 0;
  schedule::Pass pass = schedule::Pass::forward;

  memory::Purpose largest_purpose() const;
};

/// Nothing when a device would need more than most_device_bytes: such a configuration fits nowhere. Equals what the
/// simulator states (`memory_peak_bytes`) to the byte. Throws InvalidInput for a configuration that does not go
/// together, such as more ranks than tokens.
std::optional<MemoryNeed> memory_need(const machine::Machine &machine, const Workload &workload,
                                      const Configuration &configuration, std::int64_t tokens);

/// Whether that is within `budget`.
bool fits(const machine::Machine &machine, const Workload &workload, const Configuration &configuration,
          std::int64_t tokens, std::int64_t budget);

/// A lower bound, in bytes, of what any ring of low to high ranks (2 <= low <= high) needs: what shrinks with the ring
/// is counted for `high`, the number of buffers, which grows with it, for `low`. For low = high it is what memory_need
/// says.
double least_bytes_between(const machine::Machine &machine, const Workload &workload,
                           const Configuration &configuration, std::int64_t low, std::int64_t high,
                           std::int64_t tokens);

} // namespace ringscale::sizing
