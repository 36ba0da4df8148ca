// SPDX-License-Identifier: Apache-2.0
#include "sweep/plan.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "memory/closed_form.hpp"
#include "problem/invalid_input.hpp"
#include "report/results_document.hpp"
#include "sweep/axis.hpp"
#include "sweep/fingerprint.hpp"
#include "sweep/simulated_points.hpp"

namespace ringscale::sweep {

namespace {

using problem::InvalidInput;
using report::Json;
using report::ObjectReader;

constexpr std::array all_kinds{PointKind::measured, PointKind::simulated, PointKind::analytic, PointKind::merge_error};

struct Axis {
  std::string key;
  std::vector<Json> values;
};

/// A default that does not concern a grid's kind is left aside; one that concerns no kind is a mistake.
void require_known_defaults(const ObjectReader &defaults) {
  for (const PointKind kind : all_kinds) {
    for (const std::string &key : axes_of(kind)) {
      defaults.allow(key);
    }
    for (const std::string &key : scalars_of(kind)) {
      defaults.allow(key);
    }
  }
  defaults.finish();
}

/// tokens and chunk_tokens say the same thing; the grid's own choice replaces the defaults'.
bool replaced_in_grid(const std::string &key, const ObjectReader &grid) {
  return (key == "tokens" && grid.has("chunk_tokens")) || (key == "chunk_tokens" && grid.has("tokens"));
}

std::vector<Axis> axes_of_grid(PointKind kind, const ObjectReader &defaults, const ObjectReader &grid) {
  std::vector<Axis> axes;
  for (const std::string &key : axes_of(kind)) {
    if (grid.has(key)) {
      axes.push_back({key, axis_values(grid.any(key), grid.where(key))});
    } else if (defaults.has(key) && !replaced_in_grid(key, grid)) {
      axes.push_back({key, axis_values(defaults.any(key), defaults.where(key))});
    }
  }
  for (const std::string &key : scalars_of(kind)) {
    if (grid.has(key)) {
      axes.push_back({key, {grid.any(key)}});
    } else if (defaults.has(key)) {
      axes.push_back({key, {defaults.any(key)}});
    }
  }
  return axes;
}

void append_points(PointKind kind, const std::string &name, const std::vector<Axis> &axes, const std::string &source,
                   const std::string &path, std::vector<Point> &points) {
  double count = 1.0;
  for (const Axis &axis : axes) {
    count *= static_cast<double>(axis.values.size());
  }
  if (!(count + static_cast<double>(points.size()) <= static_cast<double>(most_points))) {
    throw InvalidInput(source + ": " + path + " takes the experiment beyond " + std::to_string(most_points) +
                       " points; split it into several files");
  }
  std::vector<std::size_t> place(axes.size(), 0);
  for (;;) {
    Json settings = Json::object();
    for (std::size_t axis = 0; axis < axes.size(); ++axis) {
      settings[axes[axis].key] = axes[axis].values[place[axis]];
    }
    points.push_back(read_point(kind, name, settings, source, path));
    std::size_t axis = axes.size();
    while (axis > 0 && ++place[axis - 1] == axes[axis - 1].values.size()) {
      place[--axis] = 0;
    }
    if (axis == 0) {
      return;
    }
  }
}

void require_name(const ObjectReader &reader, const std::string &name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '_' || letter == '-';
  });
  if (name.empty() || !plain) {
    reader.refuse("name", "is '" + name + "'; it must be made of a-z, 0-9, _ and -");
  }
}

} // namespace

bool Plan::has(PointKind kind) const {
  return std::any_of(points.begin(), points.end(), [&](const Point &point) { return point.kind == kind; });
}

std::set<std::string> Plan::machines() const {
  std::set<std::string> files;
  for (const Point &point : points) {
    if (point.kind == PointKind::simulated) {
      for (const DeviceGroupFile &group : groups_of(point)) {
        files.insert(group.file);
      }
    }
  }
  return files;
}

std::int64_t Plan::largest_measured_ring() const {
  std::int64_t largest = 0;
  for (const Point &point : points) {
    const bool runs = point.kind == PointKind::measured || point.kind == PointKind::merge_error;
    largest = runs ? std::max(largest, point.problem().ring_size) : largest;
  }
  return largest;
}

Plan expand(const Json &experiment, const std::string &source) {
  report::require_schema(experiment, source, "ringscale.experiment", 1);
  const ObjectReader reader(experiment, source);
  reader.allow("schema");
  reader.allow("schema_version");
  Plan plan;
  plan.experiment = experiment;
  plan.name = reader.text("name");
  require_name(reader, plan.name);
  plan.description = reader.text_or("description", "");
  static const Json no_defaults = Json::object();
  const ObjectReader defaults =
      reader.has("defaults") ? reader.object("defaults") : ObjectReader(no_defaults, source, "$.defaults");
  require_known_defaults(defaults);
  const std::vector<ObjectReader> grids = reader.objects("grids");
  reader.finish();
  std::set<std::string> names;
  std::size_t index = 0;
  for (const ObjectReader &grid : grids) {
    const std::string path = "$.grids[" + std::to_string(index++) + "]";
    const std::string name = grid.text("name");
    require_name(grid, name);
    if (!names.insert(name).second) {
      grid.refuse("name", "is '" + name + "', which another grid has already");
    }
    static_cast<void>(grid.text_or("description", ""));
    PointKind kind{};
    try {
      kind = parse_point_kind(grid.text("kind"));
    } catch (const InvalidInput &error) {
      grid.refuse("kind", std::string("is wrong: ") + error.what());
    }
    const std::vector<Axis> axes = axes_of_grid(kind, defaults, grid);
    grid.finish();
    append_points(kind, name, axes, source, path, plan.points);
  }
  if (plan.points.empty()) {
    throw InvalidInput(source + ": $.grids is empty; there is nothing to run");
  }
  std::set<std::string> ids;
  for (const Point &point : plan.points) {
    if (!ids.insert(point.id).second) {
      throw InvalidInput(source + ": the point " + point.id + " stands twice");
    }
  }
  plan.identity = fingerprint(report::write_json(experiment, -1));
  return plan;
}

namespace {

/// Work of one repetition: the pairs that mask and pattern admit, 2.5 times backward (docs/definitions.md). Which pairs
/// an adaptive pattern keeps only data decides; for it all that the mask admits are counted, the most there can be.
double flop_of_repetition(const schedule::RingProblem &problem) {
  const problem::AttentionProblem &attention = problem.attention;
  const problem::Pattern &pattern = problem.pattern;
  const bool adaptive = pattern.kind == problem::PatternKind::block_sparse &&
                        pattern.block_sparse.kind == problem::BlockSparseKind::adaptive;
  const bool dense = pattern.kind == problem::PatternKind::dense || adaptive;
  const double forward =
      dense ? problem::forward_flop(attention)
            : problem::forward_flop(attention,
                                    problem::admitted_pairs_of_all_heads(pattern, attention.mask, attention.tokens,
                                                                         attention.tokens, attention.query_heads) /
                                        static_cast<double>(attention.query_heads));
  constexpr double backward_over_forward = 2.5;
  return problem.pass == schedule::Pass::backward ? backward_over_forward * forward : forward;
}

} // namespace

Plan read_plan(const std::filesystem::path &file) {
  const Json experiment = report::read_json_file(file);
  return expand(experiment, file.string());
}

WorkEstimate estimate(const Plan &plan) {
  WorkEstimate work;
  for (const Point &point : plan.points) {
    const schedule::RingProblem &problem = point.problem();
    switch (point.kind) {
    case PointKind::measured: {
      ++work.measured_points;
      work.measured_flop +=
          flop_of_repetition(problem) * static_cast<double>(point.ring.warmup + point.ring.repetitions);
      const std::int64_t rank = memory::rank_with_most_memory(problem);
      const double bytes = static_cast<double>(memory::closed_form(problem, rank, {}, point.ring.kernel).total());
      work.largest_measured_memory_bytes =
          std::max(work.largest_measured_memory_bytes, bytes * static_cast<double>(problem.ring_size));
      break;
    }
    case PointKind::simulated:
      ++work.simulated_points;
      work.simulated_device_steps +=
          static_cast<double>(problem.ring_size) * static_cast<double>(schedule::step_count(problem));
      break;
    case PointKind::analytic:
      ++work.analytic_points;
      break;
    case PointKind::merge_error: {
      ++work.measured_points;
      const double rows = static_cast<double>(point.merge_error.query_tokens);
      const double keys = static_cast<double>(problem.attention.tokens);
      work.measured_flop +=
          problem::forward_flop(problem.attention, rows * keys) * static_cast<double>(point.merge_error.samples);
      break;
    }
    }
  }
  return work;
}

void require_within(const memory::Limits &limits, const Plan &plan) {
  for (const Point &point : plan.points) {
    if (point.kind != PointKind::measured) {
      continue;
    }
    const schedule::RingProblem &problem = point.problem();
    const std::int64_t rank = memory::rank_with_most_memory(problem);
    const memory::MemoryByPurpose need = memory::closed_form(problem, rank, {}, point.ring.kernel);
    memory::require_communication_within(limits, need[memory::Purpose::communication],
                                         "a hop of the point " + point.id);
    memory::require_memory_within(limits, need.total(), "a rank of the point " + point.id);
  }
}

} // namespace ringscale::sweep
