// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "simulator/tick_costs.hpp"

namespace ringscale::simulator {

/// Where the time of `rank`, which finished after `time_s`, went. Its own work and hops follow from the costs (random
/// numbers are functions of rank and step); what is left is waiting for neighbours.
Breakdown breakdown_of(const RingCosts &costs, const SimulationOptions &options, std::int64_t rank, double time_s,
                       const TickScale &scale);

/// Work of all ranks in all steps at nominal speed, without fixed terms.
double total_work_s(const RingCosts &costs);

} // namespace ringscale::simulator
