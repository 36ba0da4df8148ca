// SPDX-License-Identifier: Apache-2.0
// capacity, physical_limit, and the ranking of execution models.
#include <cmath>

#include <gmock/gmock.h>

#include "claim_fixture.hpp"

namespace ringscale::claims {
namespace {

using report::Json;
using ::testing::HasSubstr;
using testing::judge_one;
using testing::ledger_json;
using testing::outcome_of;
using testing::refusal;
using testing::rows_of;

const Json gpu{{"gpu", {{"source", "a data sheet"}, {"peak_flop_per_s", 1e12}, {"bandwidth", 1e11}, {"memory", 8e9}}}};

TEST(Capacity, ComparesBytes) {
  const Json check{{"kind", "capacity"},
                   {"asks", "Does it fit?"},
                   {"needed_bytes", {{"each", "rows"}, {"formula", "tokens * 1000"}, {"figure", "memory_bytes"}}},
                   {"available_bytes", "gpu.memory"}};
  const auto outcome = [&](const Json &tokens) {
    return outcome_of(check, {{"rows", {{{"tokens", 1e6}}, {{"tokens", tokens}}}}}, Json::array(), gpu);
  };
  EXPECT_EQ(outcome(8e6).finding, Finding::agrees);
  EXPECT_EQ(outcome(8e7).finding, Finding::contradicts);
  EXPECT_NEAR(outcome(8e7).margin, -1.0, 1e-12);
  EXPECT_EQ(outcome(nullptr).finding, Finding::undecided);
}

TEST(PhysicalLimit, TakesTheBindingOne) {
  const Json check{{"kind", "physical_limit"},
                   {"asks", "Is it possible?"},
                   {"claimed_time_s", "time_s"},
                   {"work_flop", "work_flop"},
                   {"peak_flop_per_s", "gpu.peak_flop_per_s"},
                   {"traffic_bytes", "traffic_bytes"},
                   {"bandwidth_bytes_per_s", "gpu.bandwidth"},
                   {"devices", "devices"}};
  const auto outcome = [&](double time_s, double work_flop, double traffic_bytes, double devices) {
    return outcome_of(
        check, {{"time_s", time_s}, {"work_flop", work_flop}, {"traffic_bytes", traffic_bytes}, {"devices", devices}},
        Json::array(), gpu);
  };
  EXPECT_EQ(outcome(2.0, 1e12, 1e10, 1).finding, Finding::agrees);
  EXPECT_NEAR(outcome(2.0, 1e12, 1e10, 1).margin, std::log10(2.0), 1e-12);
  EXPECT_EQ(outcome(0.1, 1e12, 1e10, 1).finding, Finding::contradicts);
  EXPECT_THAT(outcome(0.1, 1e12, 1e10, 1).reason, HasSubstr("arithmetic at peak rate"));
  EXPECT_THAT(outcome(0.1, 1e9, 1e12, 1).reason, HasSubstr("memory traffic"));
  EXPECT_EQ(outcome(0.1, 1e12, 1e10, 100).finding, Finding::agrees) << "more devices take less time";
  EXPECT_EQ(outcome(0.1, 1e12, 1e10, 0).finding, Finding::undecided);
  EXPECT_EQ(outcome(std::nan(""), 1e12, 1e10, 1).finding, Finding::undecided);
  EXPECT_EQ(outcome(1.0, std::nan(""), 1e10, 1).finding, Finding::undecided);
  Json nothing = check;
  nothing.erase("work_flop");
  nothing.erase("traffic_bytes");
  EXPECT_THAT(refusal([&] {
                outcome_of(nothing, {{"time_s", 1}, {"devices", 1}}, Json::array(), gpu);
              }),
              HasSubstr("work_flop, traffic_bytes or both"));
}

Json series(double (*law)(double)) {
  Json rows = Json::array();
  for (const double ring_size : {1.0, 2.0, 4.0, 8.0, 16.0}) {
    rows.push_back({{"ring_size", ring_size}, {"memory_mib", law(ring_size)}});
  }
  return {{"rows", rows}};
}

Json judged(const Json &values, const Json &accept, Verdict *verdict = nullptr) {
  Json document = ledger_json(values, {{{"kind", "best_hypothesis"}, {"asks", "Which?"}, {"accept", accept}}});
  const Json models = Json::parse(R"([
    {"name": "divided", "explains": "a/r", "fitted": {"a": "1 / ring_size"}},
    {"name": "affine", "explains": "48 + 2048/r", "fixed": "48 + 2048 / ring_size"},
    {"name": "free", "explains": "a + b/r", "fitted": {"a": "1", "b": "1 / ring_size"}},
    {"name": "twin", "explains": "the same as affine", "fixed": "(48 * ring_size + 2048) / ring_size"},
    {"name": "falling", "explains": "a r", "fitted": {"a": "ring_size"}},
    {"name": "dependent", "explains": "terms alike", "fitted": {"a": "ring_size", "b": "2 * ring_size"}}])");
  document["claims"][0]["hypotheses"] = {
      {"series", {{"each", "rows"}, {"formula", "memory_mib"}, {"figure", "memory_mib"}}},
      {"relative_resolution", 1e-4},
      {"models", models}};
  const Ledger ledger = read_ledger(document, "ledger.json", ".");
  const Verdict result = judge(ledger.claims[0], ledger, rows_of(Json::array()));
  if (verdict != nullptr) {
    *verdict = result;
  }
  return verdict_json(result, ledger.claims[0]);
}

TEST(Hypotheses, RankByResidualAndCountTheConstants) {
  Verdict verdict;
  const Json json = judged(series([](double r) { return 48.0 + 2048.0 / r; }), {"affine", "twin"}, &verdict);
  const Json &ranked = json["hypotheses"];
  ASSERT_EQ(ranked.size(), 6U);
  EXPECT_EQ(ranked[0]["model"], "affine");
  EXPECT_EQ(ranked[0]["number_of_fitted_constants"], 0);
  EXPECT_EQ(ranked[0]["rank"], 1);
  EXPECT_EQ(ranked[1]["rank"], 1) << "a twin cannot be told apart";
  EXPECT_EQ(ranked[2]["model"], "free") << "as exact, but pays for its two constants";
  EXPECT_NEAR(ranked[2]["fitted_constants"]["a"].get<double>(), 48.0, 1e-9);
  EXPECT_NEAR(ranked[2]["fitted_constants"]["b"].get<double>(), 2048.0, 1e-8);
  EXPECT_EQ(ranked[5]["determined"], false) << "dependent terms come last";
  EXPECT_EQ(verdict.judgement, Judgement::supported);
  EXPECT_GT(*verdict.margin, 0.0);
}

TEST(Hypotheses, RefuteACclaimOfAnotherModel) {
  Verdict verdict;
  judged(series([](double r) { return 48.0 + 2048.0 / r; }), {"divided"}, &verdict);
  EXPECT_EQ(verdict.judgement, Judgement::refuted);
  EXPECT_LT(*verdict.margin, -1.0);
  judged(series([](double r) { return 2096.0 / r; }), {"divided"}, &verdict);
  EXPECT_EQ(verdict.judgement, Judgement::supported) << "the same claim with numbers of its own model";
}

TEST(Hypotheses, CannotDecideBetweenTwinsOrOnNaN) {
  Verdict verdict;
  judged(series([](double r) { return 48.0 + 2048.0 / r; }), {"affine"}, &verdict);
  EXPECT_EQ(verdict.judgement, Judgement::not_testable_here);
  EXPECT_THAT(verdict.checks[0].outcome.reason, HasSubstr("cannot tell them apart"));
  judged(series([](double r) { return r == 4.0 ? std::nan("") : 2096.0 / r; }), {"divided"}, &verdict);
  EXPECT_EQ(verdict.judgement, Judgement::not_testable_here);
  judged(series([](double r) { return r == 4.0 ? -1.0 : 2096.0 / r; }), {"divided"}, &verdict);
  EXPECT_EQ(verdict.judgement, Judgement::not_testable_here);
}

TEST(Hypotheses, ANegativeCostIsNotPhysical) {
  const Json json = judged(series([](double r) { return 3000.0 - 500.0 / r; }), {"free"});
  for (const Json &fit : json["hypotheses"]) {
    if (fit["model"] == "free") {
      EXPECT_EQ(fit["physical"], false);
      EXPECT_GT(fit["rank"].get<int>(), 1);
    }
  }
  EXPECT_NE(json["verdict"], "supported");
}

TEST(Hypotheses, RefuseUnknownModels) {
  EXPECT_THAT(refusal([] { judged(series([](double r) { return r; }), {"nobody"}); }), HasSubstr("'nobody'"));
}

} // namespace
} // namespace ringscale::claims
