// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "drivers/session.hpp"
#include "machine/fleet.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::drivers {

/// "%.6g unit".
std::string shown(double value, const char *unit);

/// What people read of a simulation, one line a quantity.
void print_table(Session &session, const machine::Fleet &fleet, const simulator::SimulationOptions &options,
                 const simulator::Simulation &result);

/// Where the time of the slowest device went; parts and shares add up to the total to the last digit shown.
void print_explanation(Session &session, const simulator::Simulation &result);

} // namespace ringscale::drivers
