// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "machine/fleet.hpp"
#include "schedule/timeline.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::simulator {

/// What the selected ranks and steps of a simulated pass do when, by the plan engine on the ticks of `result`, the
/// simulation of the same options. Slices of a rank lie end to end from 0 to its finish; within a step they are copy,
/// fixed, compute and merge of every meeting (the step's work, jitter shared out in proportion), wait, exposed, join.
/// Throws InvalidInput for more events than the selection allows (with their number), for more than 1e9 (rank, step)
/// pairs, and where the engine's finish is not `result.time_s` to the last bit.
schedule::Timeline ring_timeline(const machine::Fleet &fleet, const SimulationOptions &options,
                                 const Simulation &result, const schedule::TimelineSelection &selection);

} // namespace ringscale::simulator
