// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "simulator/noise.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::simulator {

/// What a device's work is multiplied by: its drawn speed and, for stragglers, the straggler factor. Which devices are
/// stragglers depends on seed and rank alone, so more of them are a superset of fewer.
inline double device_time_factor(const SimulationOptions &options, std::int64_t rank) {
  const double drawn = device_time_factor(options.seed, rank, options.speed_spread);
  const bool straggler =
      options.straggler_share > 0.0 &&
      problem::random_uniform(options.seed, 0x73747261U, static_cast<std::uint64_t>(rank)) < options.straggler_share;
  return straggler ? drawn * options.straggler_factor : drawn;
}

/// Whether devices differ by anything drawn.
inline bool devices_differ(const SimulationOptions &options) {
  return options.speed_spread > 0.0 || options.straggler_share > 0.0;
}

} // namespace ringscale::simulator
