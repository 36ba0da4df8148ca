// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "report/journal.hpp"
#include "report/json.hpp"
#include "sweep/plan.hpp"

namespace ringscale::sweep {

/// What a sweep is given by its surroundings, so that it can be tested without ranks.
struct PointHooks {
  std::function<report::Json(const Point &)> run;
  std::function<bool()> stop;                                                   ///< asked before each point
  std::function<void(std::size_t done, std::size_t total, const Point &)> note; ///< before each point; may be empty
};

/// Runs the points of `plan` that the journal has not finished, analytic ones first, then simulated, then measured,
/// and notes each as it ends. True when all are finished, false when hooks.stop ended it earlier.
bool run_points(const Plan &plan, report::Journal &journal, const PointHooks &hooks);

/// All rows in the plan's order, whatever order and run they were measured in; each says which grid it belongs to.
/// Throws problem::InvalidInput when a point is missing from the journal or the journal has one that the plan lacks.
report::Json rows_in_order(const Plan &plan, const report::Journal &journal);

/// Why the rows make a document invalid: one line for each measured row whose verdict is not "valid".
std::vector<std::string> invalid_points(const report::Json &rows);

} // namespace ringscale::sweep
