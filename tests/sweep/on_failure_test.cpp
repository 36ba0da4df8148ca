// SPDX-License-Identifier: Apache-2.0
#include "sweep/on_failure.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "sweep/plan.hpp"
#include "sweep/run_points.hpp"
#include "tests/report/expect_invalid.hpp"
#include "tests/report/temporary_folder.hpp"

namespace ringscale::sweep {
namespace {

using report::Journal;
using report::Json;
using Start = Journal::Start;

Plan plan_of(const std::string &grids) {
  return expand(report::parse_json(R"({"schema":"ringscale.experiment","schema_version":1,"name":"test","grids":[)" +
                                       grids + "]}",
                                   "f.json"),
                "f.json");
}

Plan ring_plan() {
  return plan_of(R"({"name":"r","kind":"measured","chunk_tokens":32,"ring_size":[2,4]},
                    {"name":"a","kind":"analytic","tokens":64,"ring_size":4})");
}

std::int64_t ranks_of(const Decision &decision) { return decision.attempt ? decision.attempt->problem().ring_size : 0; }

/// A journal in a folder of its own, with failures of the point on these rings.
struct Failed {
  Failed(const Point &point, const std::vector<std::int64_t> &ring_sizes) : journal(folder.path(), "id", Start::fresh) {
    for (const std::int64_t ring_size : ring_sizes) {
      journal.append_failed({point.id, ring_size, "rank 1 died", 124});
    }
  }
  TemporaryFolder folder;
  Journal journal;
};

TEST(OnFailure, EachPolicyHasItsWord) {
  for (const OnFailure policy : {OnFailure::retry, OnFailure::stop, OnFailure::shrink}) {
    EXPECT_EQ(parse_on_failure(name(policy)), policy);
  }
  expect_invalid([] { parse_on_failure("ignore"); }, {"--on-failure 'ignore'", "retry, stop, shrink"});
}

TEST(OnFailure, DecidesByTheFailuresOfThePoint) {
  const Plan plan = ring_plan();
  const Point &four = plan.points[1];
  const Failed none(four, {});
  const Failed once(four, {4});
  const Failed often(four, {4, 3});
  const Failed everywhere(four, {4, 3, 2, 1});
  for (const OnFailure policy : {OnFailure::retry, OnFailure::stop, OnFailure::shrink}) {
    EXPECT_EQ(ranks_of(decide(four, none.journal, policy, 4)), 4);
    EXPECT_EQ(decide(four, none.journal, policy, 4).why, "");
    EXPECT_EQ(ranks_of(decide(plan.points[0], once.journal, policy, 4)), 2) << "another point failed";
    EXPECT_TRUE(decide(plan.points[2], once.journal, policy, 4).attempt) << "analytic points need no ranks";
  }
  EXPECT_EQ(ranks_of(decide(four, once.journal, OnFailure::retry, 4)), 4);
  EXPECT_EQ(ranks_of(decide(four, once.journal, OnFailure::stop, 4)), 0);
  EXPECT_NE(decide(four, once.journal, OnFailure::stop, 4).why.find("failed on 4 ranks (rank 1 died)"),
            std::string::npos);
  EXPECT_EQ(ranks_of(decide(four, once.journal, OnFailure::shrink, 4)), 3);
  EXPECT_EQ(ranks_of(decide(four, once.journal, OnFailure::shrink, 2)), 2) << "no more ranks are there";
  EXPECT_EQ(ranks_of(decide(four, often.journal, OnFailure::shrink, 4)), 2);
  EXPECT_EQ(ranks_of(decide(four, everywhere.journal, OnFailure::shrink, 4)), 0);
  EXPECT_NE(decide(four, everywhere.journal, OnFailure::shrink, 4).why.find("no smaller ring"), std::string::npos);
}

TEST(OnFailure, RanksThatAreGoneShrinkOtherPointsOnlyAfterAFailure) {
  const Plan plan = ring_plan();
  const Point &four = plan.points[1];
  const Failed two(plan.points[0], {2});
  EXPECT_EQ(ranks_of(decide(four, two.journal, OnFailure::shrink, 3)), 3);
  EXPECT_NE(decide(four, two.journal, OnFailure::shrink, 3).why.find("only 3 ranks are left"), std::string::npos);
  const Failed none(four, {});
  EXPECT_EQ(ranks_of(decide(four, none.journal, OnFailure::shrink, 3)), 4) << "which the crew then refuses";
}

TEST(Shrunk, KeepsTheProblemAndTheId) {
  const Plan plan = ring_plan();
  const Point &four = plan.points[1];
  const std::optional<Point> three = shrunk(four, 3);
  ASSERT_TRUE(three);
  EXPECT_EQ(three->id, four.id);
  EXPECT_EQ(three->problem().ring_size, 3);
  EXPECT_EQ(three->problem().attention.tokens, 128) << "all tokens, not chunks of the same size";
  EXPECT_EQ(three->ring.seed, four.ring.seed);
  // What the other ranks are sent leads them to the same ring.
  EXPECT_EQ(read_point(three->kind, three->grid, three->settings, "order", "$").problem().ring_size, 3);
  EXPECT_FALSE(shrunk(four, 0));
}

PointHooks hooks_with(const std::function<Json(const Point &)> &run, Journal &journal, OnFailure policy) {
  PointHooks hooks;
  hooks.run = run;
  hooks.stop = [] { return false; };
  hooks.attempt = [&journal, policy](const Point &point) { return decide(point, journal, policy, 4).attempt; };
  return hooks;
}

Json plain_row(const Point &point) {
  return Json::object({{"point", point.id}, {"ring_size", point.problem().ring_size}});
}

TEST(RunPointsOnFailure, NotesAFailureAndShrinksAtTheNextStart) {
  const Plan plan = ring_plan();
  const TemporaryFolder folder;
  const auto fails_on_four = [](const Point &point) {
    if (point.kind == PointKind::measured && point.problem().ring_size == 4) {
      throw std::runtime_error("MPI_Test failed at rank 0, step 2, receiving from rank 3");
    }
    return plain_row(point);
  };
  {
    Journal journal(folder.path(), plan.identity, Start::fresh);
    EXPECT_THROW(run_points(plan, journal, hooks_with(fails_on_four, journal, OnFailure::shrink)), std::runtime_error);
    ASSERT_EQ(journal.failures().size(), 1U);
    EXPECT_NE(journal.failures()[0].reason.find("step 2, receiving from rank 3"), std::string::npos);
    EXPECT_EQ(journal.failures()[0].exit_code, 1);
    EXPECT_FALSE(journal.interrupted());
  }
  Journal journal(folder.path(), plan.identity, Start::resume);
  EXPECT_TRUE(run_points(plan, journal, hooks_with(fails_on_four, journal, OnFailure::shrink)));
  const Json rows = rows_in_order(plan, journal);
  EXPECT_FALSE(rows[0].contains("shrunk_from_ring_size")) << "it ran as it was asked for";
  EXPECT_EQ(rows[1]["shrunk_from_ring_size"], 4);
  EXPECT_EQ(rows[1]["ring_size"], 3);
  EXPECT_EQ(rows[1]["point"], plan.points[1].id);
}

TEST(RunPointsOnFailure, StopLeavesThePointOutAndTheSweepIncomplete) {
  const Plan plan = ring_plan();
  const TemporaryFolder folder;
  Journal journal(folder.path(), plan.identity, Start::fresh);
  journal.append_failed({plan.points[0].id, 2, "rank 1 died", {}});
  EXPECT_FALSE(run_points(plan, journal, hooks_with(plain_row, journal, OnFailure::stop)));
  EXPECT_FALSE(journal.finished(plan.points[0].id));
  EXPECT_TRUE(journal.finished(plan.points[1].id));
  EXPECT_TRUE(run_points(plan, journal, hooks_with(plain_row, journal, OnFailure::retry))) << "another policy runs it";
}

TEST(NoteInterrupted, TurnsAStartWithoutAnEndIntoAFailure) {
  const TemporaryFolder folder;
  Journal journal(folder.path(), "id", Start::fresh);
  EXPECT_FALSE(note_interrupted(journal, {124, "watchdog"})) << "nothing was interrupted";
  EXPECT_TRUE(journal.failures().empty());
  journal.append_started({"p", 3});
  EXPECT_TRUE(note_interrupted(journal, {124, "ringscale watchdog: rank 1, step 2"}));
  ASSERT_EQ(journal.failures().size(), 1U);
  EXPECT_EQ(journal.failures()[0].reason, "ringscale watchdog: rank 1, step 2");
  EXPECT_EQ(journal.failures()[0].exit_code, 124);
  EXPECT_EQ(journal.failures()[0].ring_size, 3);
  journal.append_started({"p", 2});
  EXPECT_TRUE(note_interrupted(journal, {}));
  EXPECT_EQ(journal.failures()[1].reason, "the job ended while this point ran");
  EXPECT_FALSE(note_interrupted(journal, {})) << "once is enough";
}

TEST(RequireWithin, NamesThePointThatIsTooLarge) {
  const Plan plan = ring_plan(); // 4 ranks x 32 tokens x 8 heads x 64 x 4 bytes: 64 KiB a tensor and rank
  memory::Limits limits;
  EXPECT_NO_THROW(require_within(limits, plan));
  limits.communication_bytes = 100'000;
  expect_invalid([&] { require_within(limits, plan); },
                 {"a hop of the point " + plan.points[0].id, "131136 bytes", "--communication-limit"});
  limits = {};
  limits.memory_bytes = 300'000;
  expect_invalid([&] { require_within(limits, plan); }, {"a rank of the point " + plan.points[0].id, "--memory-limit"});
  EXPECT_NO_THROW(require_within(limits, plan_of(R"({"name":"a","kind":"analytic","tokens":9999999,"ring_size":1})")))
      << "analytic points take no memory";
}

} // namespace
} // namespace ringscale::sweep
