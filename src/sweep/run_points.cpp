// SPDX-License-Identifier: Apache-2.0
#include "sweep/run_points.hpp"

#include <array>
#include <exception>

#include "problem/invalid_input.hpp"

namespace ringscale::sweep {

using report::Json;

namespace {

/// Points that cost little come first: what is wrong with them shows before hours of measuring, not after.
constexpr std::array order_of_kinds{PointKind::analytic, PointKind::simulated, PointKind::merge_error,
                                    PointKind::measured};

constexpr int code_of_bad_input = 2;
constexpr int code_of_failure = 1;

/// A journal that cannot be written any more must not hide why the point failed.
void note_failure(report::Journal &journal, const Point &attempt, const char *reason, int exit_code) {
  try {
    journal.append_failed({attempt.id, attempt.problem().ring_size, reason, exit_code});
  } catch (const std::exception &) {
    return;
  }
}

/// The row of a point that may fail, or take the job down with it.
Json run_noted(report::Journal &journal, const PointHooks &hooks, const Point &attempt) {
  journal.append_started({attempt.id, attempt.problem().ring_size});
  try {
    return hooks.run(attempt);
  } catch (const problem::InvalidInput &error) {
    note_failure(journal, attempt, error.what(), code_of_bad_input);
    throw;
  } catch (const std::exception &error) {
    note_failure(journal, attempt, error.what(), code_of_failure);
    throw;
  }
}

/// All simulated points that are not finished, by as many a call as the hook likes; false when stopped.
bool simulate_points(const Plan &plan, report::Journal &journal, const PointHooks &hooks) {
  std::vector<const Point *> points;
  for (const Point &point : plan.points) {
    if (point.kind == PointKind::simulated && !journal.finished(point.id)) {
      points.push_back(&point);
    }
  }
  for (std::span<const Point *const> left = points; !left.empty();) {
    if (hooks.stop()) {
      return false;
    }
    if (hooks.note) {
      hooks.note(journal.entries().size(), plan.points.size(), *left.front());
    }
    const std::vector<Json> rows = hooks.simulate(left);
    for (std::size_t place = 0; place < rows.size(); ++place) {
      journal.append_point(left[place]->id, rows[place]);
    }
    left = left.subspan(rows.size());
  }
  return true;
}

} // namespace

bool run_points(const Plan &plan, report::Journal &journal, const PointHooks &hooks) {
  bool complete = true;
  for (const PointKind kind : order_of_kinds) {
    if (kind == PointKind::simulated && hooks.simulate) {
      if (!simulate_points(plan, journal, hooks)) {
        return false;
      }
      continue;
    }
    for (const Point &point : plan.points) {
      if (point.kind != kind || journal.finished(point.id)) {
        continue;
      }
      if (hooks.stop()) {
        return false;
      }
      const std::optional<Point> attempt = hooks.attempt ? hooks.attempt(point) : point;
      if (!attempt) {
        complete = false;
        continue;
      }
      if (hooks.note) {
        hooks.note(journal.entries().size(), plan.points.size(), *attempt);
      }
      Json row = kind == PointKind::measured ? run_noted(journal, hooks, *attempt) : hooks.run(*attempt);
      if (attempt->problem().ring_size < point.problem().ring_size) {
        row["shrunk_from_ring_size"] = point.problem().ring_size;
      }
      journal.append_point(point.id, row);
    }
  }
  return complete;
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
