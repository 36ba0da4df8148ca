// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sizing/evaluation.hpp"

namespace ringscale::sizing {

/// Fewest ranks, at most `most_ranks`, with which a ring like `ring` holds `tokens` tokens in `budget` bytes a device,
/// a double ring of two inner rings or more; 0 when none do. Exact without assuming that memory falls with the ring,
/// which it does not (an all-gather's headers and buffers grow): halves of a range are left out when
/// least_bytes_between shows that none of it fits.
std::int64_t smallest_ring(const machine::Machine &machine, const Workload &workload, const Configuration &ring,
                           std::int64_t tokens, std::int64_t budget, std::int64_t most_ranks);

/// The answer for a given context, and how it is known to be the fewest.
struct FewestDevices {
  std::int64_t devices = 0;        ///< 0: no number does
  std::int64_t memory_devices = 0; ///< fewest whose memory holds it, whatever the time; 0: none
  std::int64_t budget_bytes = 0;
  double time_limit_s = 0.0; ///< 0: none
  bool limited_by_time = false;
  /// How many numbers right below `devices` were looked at one by one and do not do. all_smaller: no smaller number
  /// does, by memory or by having looked at each.
  std::int64_t smaller_checked = 0;
  bool all_smaller = true;
  bool left_out = false; ///< schedules too large to simulate, or beyond what the search may spend, were not looked at
  /// The fastest that was simulated in the search. Schedules whose work alone exceeds the limit were not, so this is
  /// not the fastest that there is.
  std::optional<Evaluation> fastest;
  std::vector<Evaluation> ranked; ///< everything on `devices` devices that fits (and meets the limit), fastest first
};

/// Fewest devices that hold `tokens` tokens and, with time_limit_s above 0, compute them within it by the simulator.
/// Memory: exact. Time is no monotone function of devices, so numbers are doubled until the limit is met, the range is
/// halved, and then the numbers below are looked at downwards: all of them, the nearest most_walked, or as far as
/// search_cost x workload.most_steps of simulation go. Throws InvalidInput for tokens or a limit out of range.
FewestDevices find_fewest_devices(const machine::Machine &machine, const Workload &workload, const Allowed &allowed,
                                  std::int64_t tokens, double time_limit_s, std::int64_t devices_limit);
inline constexpr std::int64_t most_walked = 64;
inline constexpr double search_cost = 20.0;

} // namespace ringscale::sizing
