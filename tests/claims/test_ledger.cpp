// SPDX-License-Identifier: Apache-2.0
// The format of ledgers, and that it carries every claim found in the documents.
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include <gmock/gmock.h>

#include "claim_fixture.hpp"

namespace ringscale::claims {
namespace {

using report::Json;
using ::testing::HasSubstr;
using testing::ledger_json;
using testing::refusal;

const std::filesystem::path claims_folder = RINGSCALE_CLAIMS_DIR;

TEST(Ledger, CarriesAll230Claims) {
  const Ledger ledger = read_ledger(claims_folder / "all.json");
  EXPECT_EQ(ledger.claims.size(), 230U);
  std::map<std::string, int> documents;
  std::map<std::string_view, int> testable;
  std::set<std::string> ids;
  for (const Claim &claim : ledger.claims) {
    ids.insert(claim.id);
    ++documents[claim.document];
    ++testable[name(claim.testable_by)];
  }
  EXPECT_EQ(ids.size(), 230U);
  EXPECT_EQ(documents.size(), 5U);
  EXPECT_EQ(testable["measure"], 115);
  EXPECT_EQ(testable["arithmetic"], 39);
  EXPECT_EQ(testable["model"], 35);
  EXPECT_EQ(testable["simulate"], 31);
  EXPECT_EQ(testable["out-of-scope"], 10);
}

TEST(Ledger, RoundTripsAllFactsExactly) {
  const Json document = report::read_json_file(claims_folder / "all.json");
  const Ledger ledger = read_ledger(claims_folder / "all.json");
  for (std::size_t index = 0; index < ledger.claims.size(); ++index) {
    Json facts = document["claims"][index];
    facts.erase("checks");
    facts.erase("checks_from");
    facts.erase("hypotheses");
    const std::string text = report::write_json(claim_facts(ledger.claims[index]), -1);
    EXPECT_EQ(report::parse_json(text, "written"), facts) << ledger.claims[index].id;
  }
}

TEST(Ledger, JudgesEveryClaimWithoutAnyRow) {
  const Ledger ledger = read_ledger(claims_folder / "all.json");
  const auto verdicts = judge(ledger, ResultRows{});
  ASSERT_EQ(verdicts.size(), 230U);
  for (std::size_t index = 0; index < verdicts.size(); ++index) {
    EXPECT_FALSE(verdicts[index].reasons.empty()) << verdicts[index].id;
    const bool outside = ledger.claims[index].testable_by == Testability::out_of_scope;
    EXPECT_EQ(verdicts[index].judgement == Judgement::out_of_scope, outside) << verdicts[index].id;
  }
}

TEST(Ledger, RefusesOtherDocuments) {
  const auto message = [](const Json &document) { return refusal([&] { read_ledger(document, "l.json", "."); }); };
  EXPECT_THAT(message({{"schema", "ringscale.results"}}), HasSubstr("it must be ringscale.claims"));
  Json later = ledger_json(Json::object(), Json::array());
  later["schema_version"] = 2;
  EXPECT_THAT(message(later), HasSubstr("this program reads version 1"));
  Json extra = ledger_json(Json::object(), Json::array());
  extra["claimz"] = 1;
  EXPECT_THAT(message(extra), HasSubstr("claimz"));
}

TEST(Ledger, RefusesBadClaims) {
  const auto message = [](const std::function<void(Json &)> &spoil) {
    Json document = ledger_json({{"n", 1}}, Json::array());
    spoil(document);
    return refusal([&] { read_ledger(document, "l.json", "."); });
  };
  EXPECT_THAT(message([](Json &d) { d["claims"][0].erase("statement"); }), HasSubstr("$.claims[0].statement"));
  EXPECT_THAT(message([](Json &d) { d["claims"][0]["colour"] = "red"; }), HasSubstr("$.claims[0]"));
  EXPECT_THAT(message([](Json &d) { d["claims"][0]["testable_by"] = "magic"; }), HasSubstr("'magic' is unknown"));
  EXPECT_THAT(message([](Json &d) { d["claims"][0]["values"] = 3; }), HasSubstr("must be an object"));
  EXPECT_THAT(message([](Json &d) { d["claims"].push_back(d["claims"][0]); }), HasSubstr("there twice"));
  EXPECT_THAT(message([](Json &d) { d["claims"][0]["id"] = ""; }), HasSubstr("is empty"));
}

TEST(Ledger, RefusesBadChecks) {
  const auto message = [](const Json &check) {
    return refusal([&] { testing::ledger_of({{"n", 1}}, Json::array({check})); });
  };
  const Json good{{"kind", "ratio"}, {"asks", "?"}, {"numerator", "n"}, {"accept", {{"low", 1}}}};
  EXPECT_EQ(message(good), "nothing was refused");
  const auto changed = [&](const std::string &key, const Json &value) {
    Json check = good;
    check[key] = value;
    return message(check);
  };
  EXPECT_THAT(changed("kind", "feeling"),
              HasSubstr("$.claims[0].checks[0].kind 'feeling' is unknown; one of: equality"));
  EXPECT_THAT(changed("numerator", "m"), HasSubstr("name 'm' stands for no number"));
  EXPECT_THAT(changed("numerator", "n +"), HasSubstr("ends where"));
  EXPECT_THAT(changed("accept", Json::object()), HasSubstr("must give low, high or both"));
  EXPECT_THAT(changed("role", "decisive"), HasSubstr("one of: required, informative"));
  EXPECT_THAT(changed("acept", 1), HasSubstr("acept"));
  EXPECT_THAT(changed("constants", {{"c", 1}}), HasSubstr("source"));
  Json upside_down = good;
  upside_down["accept"] = {{"low", 2}, {"high", 1}};
  EXPECT_THAT(refusal([&] { testing::judge_one({{"n", 1}}, {upside_down}); }), HasSubstr("low must not be above high"));
}

TEST(Ledger, BorrowsChecksFromAnotherFile) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "claims_ledgers";
  std::filesystem::create_directories(folder);
  const Json check{{"kind", "ratio"}, {"asks", "?"}, {"numerator", "n * twice"}, {"accept", {{"high", 2}}}};
  const Json constants{{"twice", {{"value", 2}, {"source", "arithmetic"}}}};
  std::ofstream(folder / "other.json") << ledger_json({{"n", 1}}, {check}, constants).dump();
  Json document = ledger_json({{"n", 1}}, Json::array());
  document["claims"][0].erase("checks");
  document["claims"][0]["checks_from"] = "other.json";
  const Ledger ledger = read_ledger(document, "l.json", folder);
  EXPECT_EQ(judge(ledger, ResultRows{}).at(0).judgement, Judgement::supported);
  const auto message = [&] { return refusal([&] { read_ledger(document, "l.json", folder); }); };
  document["claims"][0]["values"]["n"] = 3;
  EXPECT_THAT(message(), HasSubstr("has other facts in other.json"));
  document["claims"][0]["id"] = "nobody";
  EXPECT_THAT(message(), HasSubstr("has no claim 'nobody'"));
  document["claims"][0]["checks_from"] = "missing.json";
  EXPECT_THAT(message(), HasSubstr("missing.json"));
  std::ofstream(folder / "list.json") << "[]";
  document["claims"][0]["checks_from"] = "list.json";
  EXPECT_THAT(message(), HasSubstr("must be an object"));
  document["claims"][0]["checks_from"] = "../other.json";
  EXPECT_THAT(message(), HasSubstr("same folder"));
}

} // namespace
} // namespace ringscale::claims
