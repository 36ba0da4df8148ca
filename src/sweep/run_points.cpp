// SPDX-License-Identifier: Apache-2.0
#include "sweep/run_points.hpp"

#include <array>

#include "problem/invalid_input.hpp"

namespace ringscale::sweep {

using report::Json;

namespace {

/// Points that cost little come first: what is wrong with them shows before hours of measuring, not after.
constexpr std::array order_of_kinds{PointKind::analytic, PointKind::simulated, PointKind::merge_error,
                                    PointKind::measured};

} // namespace

bool run_points(const Plan &plan, report::Journal &journal, const PointHooks &hooks) {
  for (const PointKind kind : order_of_kinds) {
    for (const Point &point : plan.points) {
      if (point.kind != kind || journal.finished(point.id)) {
        continue;
      }
      if (hooks.stop()) {
        return false;
      }
      if (hooks.note) {
        hooks.note(journal.entries().size(), plan.points.size(), point);
      }
      journal.append_point(point.id, hooks.run(point));
    }
  }
  return true;
}

Json rows_in_order(const Plan &plan, const report::Journal &journal) {
  if (journal.entries().size() > plan.points.size()) {
    throw problem::InvalidInput("the journal has points that the experiment lacks; name another output");
  }
  Json rows = Json::array();
  for (const Point &point : plan.points) {
    if (!journal.finished(point.id)) {
      throw problem::InvalidInput("the journal lacks the point " + point.id);
    }
    Json row = journal.row(point.id);
    row["grid"] = point.grid;
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<std::string> invalid_points(const Json &rows) {
  std::vector<std::string> lines;
  for (const Json &row : rows) {
    if (!row.contains("verdict") || row["verdict"] == "valid") {
      continue;
    }
    std::string line = row["point"].get<std::string>();
    for (const Json &reason : row["reasons"]) {
      line.append(line.size() == row["point"].get_ref<const std::string &>().size() ? ": " : "; ");
      line.append(reason.get<std::string>());
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

} // namespace ringscale::sweep
