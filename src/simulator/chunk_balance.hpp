// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "simulator/simulation.hpp"

namespace ringscale::simulator {

/// Weights that cut chunks in proportion to speed, one a device: 1 over the time of an unmasked block of even chunks on
/// the device's type, with its merge, times its listed speed (options.device_speeds). Drawn speeds and stragglers are
/// not known beforehand and have no part.
std::vector<double> chunk_weights_by_speed(const machine::Fleet &fleet, const SimulationOptions &options);

} // namespace ringscale::simulator
