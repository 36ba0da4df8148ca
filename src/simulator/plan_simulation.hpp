// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "simulator/simulation.hpp"

namespace ringscale::simulator {

/// Whether the ring engines know this problem: forward rings of key/value blocks in one message, every block all the
/// way round, dense, chunks alike; devices of any types and speeds. Everything else is the plan engine's.
bool is_simple_ring(const SimulationOptions &options);

/// Simulates any schedule by its plan; throws InvalidInput for rings too large to compute every step of every device.
Simulation simulate_plan(const machine::Fleet &fleet, const SimulationOptions &options);

} // namespace ringscale::simulator
