// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "simulator/noise.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::simulator {

/// What a device's work is multiplied by: its drawn speed and, for stragglers, the straggler factor; over its listed
/// speed. Which devices are stragglers depends on seed and rank alone, so more of them are a superset of fewer.
inline double device_time_factor(const SimulationOptions &options, std::int64_t rank) {
  const double drawn = device_time_factor(options.seed, rank, options.speed_spread);
  const bool straggler =
      options.straggler_share > 0.0 &&
      problem::random_uniform(options.seed, 0x73747261U, static_cast<std::uint64_t>(rank)) < options.straggler_share;
  const double factor = straggler ? drawn * options.straggler_factor : drawn;
  return options.device_speeds.empty() ? factor : factor / options.device_speeds[static_cast<std::size_t>(rank)];
}

/// Whether devices of one type differ: by anything drawn or listed.
inline bool devices_differ(const SimulationOptions &options) {
  return options.speed_spread > 0.0 || options.straggler_share > 0.0 || !options.device_speeds.empty();
}

} // namespace ringscale::simulator
