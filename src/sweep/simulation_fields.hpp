// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "report/json.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::sweep {

/// What failures make of a run of passes: expected values in closed form (analytic), percentiles of runs played event
/// by event (simulated). Infinite times become null.
void add_failure_fields(report::Json &row, const simulator::FailureEstimate &failures);

/// "published" when the machine file of any type of device is, since the row then rests on it; else "measured".
std::string kind_of(const machine::Fleet &fleet);

/// Types of devices where there are several, stragglers, measured jitter and faster tiles, each only where asked for.
void add_what_if_fields(report::Json &row, const simulator::SimulationOptions &options,
                        const simulator::Simulation &simulation);

/// `field_kinds`: the kind of those fields of a simulated row whose kind is not the row's. Call it last.
void add_field_kinds(report::Json &row);

} // namespace ringscale::sweep
