// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "report/journal.hpp"
#include "report/json.hpp"
#include "sweep/plan.hpp"

namespace ringscale::sweep {

/// What a sweep is given by its surroundings, so that it can be tested without ranks.
struct PointHooks {
  std::function<report::Json(const Point &)> run;
  /// Rows of the first of these simulated points, in their order: as many as it likes, at least one. Without this hook
  /// they are run one by one.
  std::function<std::vector<report::Json>(std::span<const Point *const>)> simulate;
  std::function<bool()> stop; ///< asked before each point, or each call of `simulate`
  /// The point to run in place of this one (itself, or a smaller ring with the same id), nothing to leave it out.
  /// Without this hook every point runs as it is.
  std::function<std::optional<Point>(const Point &)> attempt;
  std::function<void(std::size_t done, std::size_t total, const Point &)> note; ///< before each point; may be empty
};

/// Runs the points of `plan` that the journal has not finished, analytic ones first, then simulated, then measured,
/// and notes each as it ends. A measured point is noted as begun before it runs, and as failed when it throws; a row of
/// a smaller ring than its point asks for says `shrunk_from_ring_size`. True when all are finished, false when
/// hooks.stop ended it earlier or a point was left out.
bool run_points(const Plan &plan, report::Journal &journal, const PointHooks &hooks);

/// All rows in the plan's order, whatever order and run they were measured in; each says which grid it belongs to.
/// Throws problem::InvalidInput when a point is missing from the journal or the journal has one that the plan lacks.
report::Json rows_in_order(const Plan &plan, const report::Journal &journal);

/// Why the rows make a document invalid: one line for each measured row whose verdict is not "valid".
std::vector<std::string> invalid_points(const report::Json &rows);

} // namespace ringscale::sweep
