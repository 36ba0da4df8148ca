// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace ringscale::simulator {

/// Processes that share the ranks of one simulated ring: process p has a run of them between those of p - 1 and p + 1,
/// and the last one goes on in the first. All functions are called by all processes in the same order and by one
/// thread.
class ProcessGroup {
public:
  virtual ~ProcessGroup() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Sends to the processes before and after this one and receives what they send the other way; all four of one
  /// length.
  virtual void exchange(std::span<const std::int64_t> to_before, std::span<const std::int64_t> to_after,
                        std::span<std::int64_t> from_before, std::span<std::int64_t> from_after) = 0;

  /// Completes `values` in all processes: of process p, elements [begins[p], begins[p + 1]) are its own.
  virtual void gather(std::span<std::int64_t> values, std::span<const std::int64_t> begins) = 0;

  /// Whether it is true in any process.
  virtual bool any(bool here) = 0;
};

} // namespace ringscale::simulator
