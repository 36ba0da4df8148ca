// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "memory/limits.hpp"
#include "report/json.hpp"
#include "sweep/point.hpp"

namespace ringscale::sweep {

/// An experiment file, expanded. The format is in docs/formats.md and experiments/schema/experiment.schema.json.
struct Plan {
  std::string name;
  std::string description;
  report::Json experiment;
  std::string identity; ///< hash of the experiment's content: what a journal belongs to
  std::vector<Point> points;

  bool has(PointKind kind) const;
  /// Machine files that simulated points name, each once and without counts; the empty name stands for the command
  /// line's file.
  std::set<std::string> machines() const;
  /// Ranks the measured points need, 0 without any.
  std::int64_t largest_measured_ring() const;
};

/// Expands an experiment document read from `source`. Throws problem::InvalidInput naming file and path for a bad
/// document, a point that stands twice, or more than most_points points.
Plan expand(const report::Json &experiment, const std::string &source);
Plan read_plan(const std::filesystem::path &file);

/// What running a plan will take, before anything runs.
struct WorkEstimate {
  std::size_t measured_points = 0;
  std::size_t simulated_points = 0;
  std::size_t analytic_points = 0;
  double measured_flop = 0.0;                 ///< timed and warm-up repetitions, without verification
  double simulated_device_steps = 0.0;        ///< devices x steps if every device is advanced by itself
  double largest_measured_memory_bytes = 0.0; ///< over all ranks together, by the closed form without workspace
};
WorkEstimate estimate(const Plan &plan);

/// Refuses a plan whose measured points are beyond the limits, by their closed forms without the kernels' scratch: the
/// message of a hop, and the memory of the rank with the most. Throws problem::InvalidInput naming the point.
void require_within(const memory::Limits &limits, const Plan &plan);

} // namespace ringscale::sweep
