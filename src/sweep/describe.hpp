// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "report/json.hpp"
#include "sweep/plan.hpp"

namespace ringscale::sweep {

/// The resolved plan as people read it: counts by kind, estimated work, then one line a point.
std::vector<std::string> describe(const Plan &plan);

/// The same as JSON: {schema "ringscale.plan", schema_version, name, identity, counts and work, points: [{point, grid,
/// kind, settings}]}.
report::Json plan_document(const Plan &plan);

/// One line about a finished row: the point, then time or memory, then the verdict.
std::string summary_line(const report::Json &row);

} // namespace ringscale::sweep
