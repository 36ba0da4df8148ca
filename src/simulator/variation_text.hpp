// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "simulator/simulation.hpp"

namespace ringscale::simulator {

/// What makes devices and steps of a run other than the machine's, in words for people: spread, jitter, stragglers and
/// what-if tiles, those that are set; empty without any. Numbers as short as they read back.
std::string variation_text(const SimulationOptions &options);

} // namespace ringscale::simulator
