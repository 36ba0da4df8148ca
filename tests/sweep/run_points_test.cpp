// SPDX-License-Identifier: Apache-2.0
#include "sweep/run_points.hpp"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include "sweep/crew.hpp"
#include "sweep/rows.hpp"
#include "tests/report/expect_invalid.hpp"
#include "tests/report/temporary_folder.hpp"

namespace ringscale::sweep {
namespace {

using report::Journal;
using report::Json;
using Start = Journal::Start;

Plan sample_plan() {
  return expand(report::parse_json(R"({"schema":"ringscale.experiment","schema_version":1,"name":"test","grids":[
      {"name":"a","kind":"analytic","tokens":[64,128],"ring_size":[1,2,4]},
      {"name":"b","kind":"analytic","tokens":64,"ring_size":4,"model":["ideal_sharded","serial_chunk_loop"]}]})",
                                   "f.json"),
                "f.json");
}

Json run_analytic(const Point &point) { return memory_row(point.id, point.model, point.problem(), point.footprint); }

PointHooks hooks_that_stop_after(int points) {
  auto left = std::make_shared<int>(points);
  PointHooks hooks;
  hooks.run = run_analytic;
  hooks.stop = [left] { return (*left)-- <= 0; };
  return hooks;
}

Json uninterrupted_rows(const Plan &plan) {
  const TemporaryFolder folder;
  Journal journal(folder.path(), plan.identity, Start::fresh);
  EXPECT_TRUE(run_points(plan, journal, hooks_that_stop_after(1000)));
  return rows_in_order(plan, journal);
}

TEST(RunPoints, RunsEachPointOnceInOrder) {
  const Plan plan = sample_plan();
  const TemporaryFolder folder;
  Journal journal(folder.path(), plan.identity, Start::fresh);
  std::vector<std::string> run;
  PointHooks hooks = hooks_that_stop_after(1000);
  hooks.note = [&](std::size_t done, std::size_t total, const Point &point) {
    EXPECT_EQ(done, run.size());
    EXPECT_EQ(total, plan.points.size());
    run.push_back(point.id);
  };
  EXPECT_TRUE(run_points(plan, journal, hooks));
  ASSERT_EQ(run.size(), plan.points.size());
  EXPECT_EQ(run.back(), plan.points.back().id);
  run.clear();
  EXPECT_TRUE(run_points(plan, journal, hooks)) << "nothing is left, so nobody asks whether to stop";
  EXPECT_TRUE(run.empty());
}

TEST(RunPoints, ResumesAfterEveryPossibleStop) {
  const Plan plan = sample_plan();
  const Json expected = uninterrupted_rows(plan);
  for (int stop = 0; stop < static_cast<int>(plan.points.size()); ++stop) {
    const TemporaryFolder folder;
    {
      Journal journal(folder.path(), plan.identity, Start::fresh);
      EXPECT_FALSE(run_points(plan, journal, hooks_that_stop_after(stop)));
      EXPECT_EQ(journal.entries().size(), static_cast<std::size_t>(stop));
      expect_invalid([&] { rows_in_order(plan, journal); }, {"lacks the point"});
    }
    Journal journal(folder.path(), plan.identity, Start::resume);
    EXPECT_TRUE(run_points(plan, journal, hooks_that_stop_after(1000)));
    EXPECT_EQ(rows_in_order(plan, journal), expected);
  }
}

Plan plan_of_virtual_rings() {
  return expand(report::parse_json(R"({"schema":"ringscale.experiment","schema_version":1,"name":"test","grids":[
      {"name":"v","kind":"simulated","chunk_tokens":64,"ring_size":[1,2,4,8,16,32,64]},
      {"name":"large","kind":"simulated","chunk_tokens":64,"jitter":[0,0.1],"ring_size":65536},
      {"name":"a","kind":"analytic","tokens":64,"ring_size":2}]})",
                                   "f.json"),
                "f.json");
}

TEST(RunPoints, TakesSimulatedPointsByAsManyAsTheHookGives) {
  const Plan plan = plan_of_virtual_rings();
  const TemporaryFolder folder;
  Journal journal(folder.path(), plan.identity, Start::fresh);
  std::vector<std::size_t> offered;
  int stops = 0;
  PointHooks hooks;
  hooks.run = run_analytic;
  hooks.stop = [&] { return ++stops == 4; };
  hooks.simulate = [&](std::span<const Point *const> points) {
    offered.push_back(points.size());
    std::vector<Json> rows;
    for (const Point *point : points.first(std::min<std::size_t>(2, points.size()))) {
      rows.push_back(Json::object({{"point", point->id}}));
    }
    return rows;
  };
  EXPECT_FALSE(run_points(plan, journal, hooks)) << "stopped between two calls";
  EXPECT_EQ(offered, (std::vector<std::size_t>{9, 7}));
  EXPECT_TRUE(run_points(plan, journal, hooks));
  EXPECT_EQ(offered, (std::vector<std::size_t>{9, 7, 5, 3, 1}));
  const Json rows = rows_in_order(plan, journal);
  for (std::size_t place = 0; place < plan.points.size(); ++place) {
    EXPECT_EQ(rows[place]["point"], plan.points[place].id);
  }
}

TEST(SharedOut, EveryPointHasARankAndNobodyMuchMoreToDoThanOthers) {
  const std::vector<Point> points = plan_of_virtual_rings().points;
  const std::vector<Point> rings(points.begin(), points.begin() + 9);
  for (const int ranks : {2, 3, 5}) {
    const std::vector<int> rank_of = shared_out(rings, ranks);
    ASSERT_EQ(rank_of.size(), rings.size());
    std::vector<double> load(static_cast<std::size_t>(ranks), 0.0);
    for (std::size_t place = 0; place < 8; ++place) {
      ASSERT_TRUE(rank_of[place] >= 0 && rank_of[place] < ranks) << place;
      const auto ring_size = static_cast<double>(rings[place].problem().ring_size);
      load[static_cast<std::size_t>(rank_of[place])] += ring_size * ring_size;
    }
    // 65536 equal devices fold, and are somebody's; with jitter they are everybody's.
    EXPECT_EQ(rank_of[8], -1);
    std::sort(load.begin(), load.end());
    EXPECT_EQ(load.back(), 65536.0 * 65536.0);
    EXPECT_LE(load[load.size() - 2], 64.0 * 64.0 + 1366.0);
  }
  EXPECT_FALSE(is_divided(rings[8], 63)) << "less than a blocked ring for each";
}

TEST(RunPoints, ResumesAfterAKillInTheMiddleOfALine) {
  const Plan plan = sample_plan();
  const Json expected = uninterrupted_rows(plan);
  for (std::size_t kill_at = 0; kill_at < plan.points.size(); ++kill_at) {
    const TemporaryFolder folder;
    const pid_t child = ::fork();
    if (child == 0) {
      Journal journal(folder.path(), plan.identity, Start::fresh);
      PointHooks hooks = hooks_that_stop_after(1000);
      hooks.run = [&](const Point &point) {
        if (point.id == plan.points[kill_at].id) {
          // Half a line, as a kill within write() would leave it.
          std::FILE *file = std::fopen(Journal::file_in(folder.path()).c_str(), "a");
          std::fputs(R"({"point":"a/half","row":{"kind")", file);
          std::fflush(file);
          ::kill(::getpid(), SIGKILL);
        }
        return run_analytic(point);
      };
      run_points(plan, journal, hooks);
      ::_exit(3);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    Journal journal(folder.path(), plan.identity, Start::resume);
    EXPECT_EQ(journal.entries().size(), kill_at);
    EXPECT_TRUE(run_points(plan, journal, hooks_that_stop_after(1000)));
    EXPECT_EQ(rows_in_order(plan, journal), expected);
  }
}

TEST(InvalidPoints, NamesEachWithItsReasons) {
  Json rows = Json::array();
  for (const char *verdict : {"valid", "invalid", "unknown"}) {
    Json row = Json::object();
    row["point"] = std::string("point-") + verdict;
    row["verdict"] = verdict;
    row["reasons"] = Json::array({"too far off", "block missed"});
    rows.push_back(row);
  }
  rows.push_back(Json::object({{"point", "analytic"}}));
  EXPECT_EQ(invalid_points(rows), (std::vector<std::string>{"point-invalid: too far off; block missed",
                                                            "point-unknown: too far off; block missed"}));
}

} // namespace
} // namespace ringscale::sweep
