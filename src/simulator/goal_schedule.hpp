// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "machine/fleet.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::simulator {

/// Most (rank, step) pairs of a GOAL schedule: its text then has some hundred megabytes.
inline constexpr std::int64_t most_goal_steps = 1'000'000;

/// What every rank does as a GOAL schedule (Hoefler, Siebert and Lumsdaine 2009; the text that LogGOPSim's txt2bin
/// reads), straight from the plans: calc in whole nanoseconds (what rounding leaves is carried on to the rank's next
/// one), send and recv of the messages' real bytes, and what each of them waits for. Under rendezvous (a message begins
/// when both of its sides are ready and both are done when it has arrived) and one link of latency L and G seconds a
/// byte, o = g = 0, its time is the simulator's. Throws InvalidInput for more than most_goal_steps.
std::string goal_schedule(const machine::Fleet &fleet, const SimulationOptions &options);

} // namespace ringscale::simulator
