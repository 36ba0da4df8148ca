// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace ringscale::simulator {

/// Processes that share the ranks of one simulated ring: process p has a run of them between those of p - 1 and p + 1,
/// and the last one goes on in the first.
class ProcessGroup {
public:
  virtual ~ProcessGroup() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Every process's `mine`, as long on each, one after the other by rank. Called by all processes in the same order
  /// and by the thread that called the simulator.
  virtual void all_gather(std::span<const std::int64_t> mine, std::span<std::int64_t> everyones) = 0;
};

} // namespace ringscale::simulator
