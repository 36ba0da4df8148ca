// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "memory/memory_model.hpp"
#include "report/json.hpp"
#include "ring/merge_error.hpp"
#include "ring/ring_run.hpp"
#include "schedule/ring_schedule.hpp"
#include "sweep/simulate_settings.hpp"

namespace ringscale::sweep {

/// How a point's row comes about: on the ranks of this job, from a machine file, by a closed form of memory, or by
/// merging blocks on rank 0 alone to see what error that leaves.
enum class PointKind { measured, simulated, analytic, merge_error };

std::string_view name(PointKind kind);
PointKind parse_point_kind(std::string_view word);

/// One point of an experiment with everything resolved. `id` is readable and ends in a hash of the settings, so that
/// it stays the same when other points come or go.
struct Point {
  std::string id;
  std::string grid;
  PointKind kind = PointKind::measured;
  report::Json settings; ///< as read, one value a key: what other ranks are sent

  ring::RingOptions ring;              ///< measured; its problem and seed serve every kind
  std::string machine;                 ///< simulated: FILE, FILE:COUNT,FILE:COUNT, or empty; as the experiment says
  SimulateSettings simulate;           ///< simulated: devices that differ, failures, engine
  bool one_node = false;               ///< simulated: all devices share the cores of one node
  memory::MemoryModel model{};         ///< analytic
  memory::KernelFootprint footprint;   ///< analytic
  ring::MergeErrorOptions merge_error; ///< merge_error; its problem stands in `ring` too

  const schedule::RingProblem &problem() const { return ring.problem; }
};

/// Settings that may have many values in a grid of this kind, in the order in which a grid is walked (the last one
/// varies fastest), and those that have one value for the whole grid.
const std::vector<std::string> &axes_of(PointKind kind);
const std::vector<std::string> &scalars_of(PointKind kind);

/// A point from one value per setting. `source` and `path` open messages ("file", "$.grids[2]"). Throws
/// problem::InvalidInput for unknown keys, bad values, both or neither of tokens and chunk_tokens (tokens =
/// chunk_tokens x ring_size), and shapes that problem and schedule refuse.
Point read_point(PointKind kind, const std::string &grid, const report::Json &settings, const std::string &source,
                 const std::string &path);

} // namespace ringscale::sweep
