// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sizing/evaluation.hpp"

namespace ringscale::sizing {

/// Everything that given devices can do with a given context.
struct Ranking {
  std::int64_t budget_bytes = 0;
  std::vector<Evaluation> ranked; ///< fastest first, then those that fit unsimulated, then the others by memory
  /// Dynamic ring sizing: for every ring size the best of its schedules (as in `ranked`), ring size rising.
  std::vector<Evaluation> by_ring_size;
  /// Of those no more than near_best slower than the fastest, the one with the fewest bytes; nothing without a time.
  std::optional<Evaluation> leanest;
  std::int64_t near_the_best = 0; ///< how many those are
  std::int64_t simulated = 0;
  std::int64_t fitting = 0;
};

/// Differences in time that nobody should choose by.
inline constexpr double near_best = 0.01;

/// Weighs all configurations allowed on at most `devices` devices. Throws InvalidInput for numbers out of range or when
/// what is allowed leaves nothing.
Ranking rank_configurations(const machine::Machine &machine, const Workload &workload, const Allowed &allowed,
                            std::int64_t tokens, std::int64_t devices);

} // namespace ringscale::sizing
