// SPDX-License-Identifier: Apache-2.0
// How checks become a verdict, and what the document says.
#include <gmock/gmock.h>

#include "claim_fixture.hpp"

namespace ringscale::claims {
namespace {

using report::Json;
using ::testing::HasSubstr;
using testing::judge_one;
using testing::ledger_of;
using testing::ring_row;
using testing::rows_of;

Json ratio(const std::string &numerator, const std::string &role = "required") {
  return {{"kind", "ratio"},
          {"asks", numerator + " near one?"},
          {"role", role},
          {"numerator", numerator},
          {"accept", {{"low", 0.5}, {"high", 2}}}};
}
Json consistency(const std::string &first) {
  return {{"kind", "consistency"},
          {"asks", "Same?"},
          {"first", first},
          {"second", "1"},
          {"accept", {{"low", 0.5}, {"high", 2}}}};
}
const Json needs_rows{
    {"kind", "ratio"},
    {"asks", "Rows?"},
    {"numerator",
     {{"select", {{"kind", "measured"}, {"verb", "ring"}}}, {"figure", "time_s"}, {"delivered_by", "the quick sweep"}}},
    {"accept", {{"high", 2}}}};
const Json values{{"one", 1.0}, {"ten", 10.0}, {"hundred", 100.0}};

TEST(VerdictRule, RequiredChecksDecide) {
  EXPECT_EQ(judge_one(values, {ratio("one")}).judgement, Judgement::supported);
  EXPECT_EQ(judge_one(values, {ratio("one"), ratio("ten")}).judgement, Judgement::refuted);
  EXPECT_EQ(judge_one(values, {ratio("one"), needs_rows}).judgement, Judgement::not_testable_here);
  EXPECT_EQ(judge_one(values, {ratio("ten"), needs_rows}).judgement, Judgement::refuted);
  EXPECT_EQ(judge_one(values, {ratio("one"), consistency("ten")}).judgement, Judgement::inconsistent);
  EXPECT_EQ(judge_one(values, {ratio("ten"), consistency("ten")}).judgement, Judgement::refuted);
}

TEST(VerdictRule, InformativeChecksDoNot) {
  EXPECT_EQ(judge_one(values, {ratio("one"), ratio("ten", "informative")}).judgement, Judgement::supported);
  EXPECT_EQ(judge_one(values, {ratio("one", "informative")}).judgement, Judgement::not_testable_here)
      << "nothing required, nothing decided";
  const Verdict verdict = judge_one(values, {ratio("one"), ratio("ten", "informative")});
  EXPECT_THAT(verdict.reasons.at(1), HasSubstr("for information, contradicts"));
}

TEST(VerdictRule, MarginIsThatOfTheDecidingCheck) {
  const Verdict refuted = judge_one(values, {ratio("one"), ratio("ten"), ratio("hundred")});
  EXPECT_NEAR(*refuted.margin, std::log10(2.0 / 100.0), 1e-12);
  EXPECT_THAT(refuted.reasons.front(), HasSubstr("hundred"));
  EXPECT_THAT(refuted.margin_meaning, HasSubstr("decades"));
  EXPECT_NEAR(*judge_one(values, {ratio("one")}).margin, std::log10(2.0), 1e-12);
  EXPECT_FALSE(judge_one(values, {needs_rows}).margin);
}

TEST(VerdictRule, MissingRowsNameTheExperiment) {
  const Verdict verdict = judge_one(values, {needs_rows});
  EXPECT_THAT(verdict.reasons.at(0), HasSubstr("the quick sweep"));
}

TEST(VerdictRule, ClaimsWithoutChecks) {
  Json document = testing::ledger_json(values, Json::array());
  const auto judged = [&] {
    const Ledger ledger = read_ledger(document, "l.json", ".");
    return judge(ledger.claims[0], ledger, rows_of(Json::array()));
  };
  EXPECT_EQ(judged().judgement, Judgement::not_testable_here);
  EXPECT_THAT(judged().reasons.at(0), HasSubstr("look"));
  document["claims"][0]["testable_by"] = "out-of-scope";
  EXPECT_EQ(judged().judgement, Judgement::out_of_scope);
}

TEST(VerdictRule, InvalidRowsAreToldAndNotUsed) {
  Json invalid = ring_row(2, 1.0);
  invalid["verdict"] = "invalid";
  const Ledger ledger = ledger_of(values, {needs_rows});
  const ResultRows rows = rows_of({invalid});
  const auto verdicts = judge(ledger, rows);
  EXPECT_TRUE(verdicts.at(0).invalid_evidence);
  EXPECT_EQ(verdicts.at(0).judgement, Judgement::not_testable_here);
  EXPECT_EQ(verdicts_document(verdicts, ledger, rows, nullptr)["verdict"], "invalid");
  invalid["verdict"] = "valid";
  const ResultRows good = rows_of({invalid});
  EXPECT_EQ(verdicts_document(judge(ledger, good), ledger, good, nullptr)["verdict"], "valid");
}

TEST(VerdictDocument, CarriesEvidenceWithKindAndSource) {
  const Ledger ledger = ledger_of(values, {ratio("one"), needs_rows});
  const ResultRows rows = rows_of({ring_row(2, 1.5)});
  const Json document = verdicts_document(judge(ledger, rows), ledger, rows, nullptr);
  EXPECT_EQ(document["schema"], "ringscale.verdicts");
  EXPECT_EQ(document["counts"]["supported"], 1);
  const Json &verdict = document["verdicts"][0];
  EXPECT_EQ(verdict["id"], "a-claim");
  EXPECT_EQ(verdict["verdict"], "supported");
  EXPECT_EQ(verdict["statement"], "It is so.");
  EXPECT_TRUE(verdict["margin"].is_number());
  ASSERT_EQ(verdict["evidence"].size(), 3U);
  for (const Json &evidence : verdict["evidence"]) {
    EXPECT_TRUE(evidence["kind"].is_string());
    EXPECT_FALSE(evidence["source"].get<std::string>().empty());
  }
  EXPECT_EQ(verdict["evidence"][2]["kind"], "measured");
  EXPECT_EQ(verdict["evidence"][2]["source"], "rows.json#p2");
  EXPECT_NO_THROW(report::write_json(document, 2));
}

TEST(VerdictDocument, WritesNoNaN) {
  Json row = ring_row(2, 1.0);
  row["time_s"] = nullptr;
  const Ledger ledger = ledger_of(values, {needs_rows});
  const ResultRows rows = rows_of({row});
  const Json document = verdicts_document(judge(ledger, rows), ledger, rows, nullptr);
  EXPECT_EQ(document["verdicts"][0]["verdict"], "not_testable_here");
  EXPECT_NO_THROW(report::write_json(document, 2));
}

} // namespace
} // namespace ringscale::claims
