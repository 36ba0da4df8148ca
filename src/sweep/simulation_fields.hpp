// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "report/json.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::sweep {

/// What failures make of a run of passes: expected values in closed form (analytic), percentiles of runs played event
/// by event (simulated). Infinite times become null.
void add_failure_fields(report::Json &row, const simulator::FailureEstimate &failures);

/// `field_kinds`: the kind of those fields of a simulated row whose kind is not the row's. Call it last.
void add_field_kinds(report::Json &row);

} // namespace ringscale::sweep
