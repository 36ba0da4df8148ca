// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "claim_fixture.hpp"
#include "claims/quantity.hpp"
#include "claims/row_selector.hpp"

namespace ringscale::claims {
namespace {

using report::Json;
using ::testing::HasSubstr;
using testing::refusal;
using testing::ring_row;
using testing::rows_of;
using ::testing::StartsWith;

Figures figures_of(const Json &form, const ResultRows &rows, const Json &values = Json::object()) {
  const Json document{{"quantity", form}};
  const Json none = Json::object();
  const Context context{values, none, none, "a-document: A section", rows};
  return Quantity(report::ObjectReader(document, "test"), "quantity", context.scope()).figures(context);
}

Json selecting(const Json &select, const std::string &figure) {
  return {{"select", select}, {"figure", figure}, {"delivered_by", "a sweep"}};
}

TEST(RowSelector, MatchesEveryForm) {
  const ResultRows rows = rows_of({ring_row(1, 1.0), ring_row(2, 2.0), ring_row(4, 4.0), ring_row(8, 8.0)});
  const Json values{{"devices", 4}};
  NameScope scope;
  scope.add_values(values);
  const auto count = [&](const Json &condition) {
    const Json select{{"kind", "measured"}, {"verb", "ring"}, {"ring_size", condition}};
    return RowSelector(select, "s", scope).select(rows, scope).rows.size();
  };
  EXPECT_EQ(count(4), 1U);
  EXPECT_EQ(count(4.0), 1U);
  EXPECT_EQ(count({1, 8}), 2U);
  EXPECT_EQ(count({{"min", 2}}), 3U);
  EXPECT_EQ(count({{"min", 2}, {"max", "devices"}}), 2U);
  EXPECT_EQ(count({{"equals", "2 * devices"}}), 1U);
  EXPECT_EQ(count({{"not", 4}}), 3U);
  EXPECT_EQ(count("4"), 0U);
  const Json other{{"kind", "simulated"}, {"verb", "ring"}};
  EXPECT_TRUE(RowSelector(other, "s", scope).select(rows, scope).rows.empty());
  const Json absent{{"kind", "measured"}, {"verb", "ring"}, {"placement", {{"not", "zigzag"}}}};
  EXPECT_TRUE(RowSelector(absent, "s", scope).select(rows, scope).rows.empty())
      << "a row without the field matches nothing";
}

TEST(RowSelector, RefusesBadConditions) {
  NameScope scope;
  const Json values = Json::object();
  scope.add_values(values);
  const auto message = [&](Json select) { return refusal([&] { RowSelector(select, "$.select", scope); }); };
  EXPECT_THAT(message({{"verb", "ring"}}), HasSubstr("at least kind and verb"));
  EXPECT_THAT(message({{"kind", "guessed"}, {"verb", "ring"}}), HasSubstr("'guessed' is unknown"));
  const auto with = [&](const Json &condition) {
    return message({{"kind", "measured"}, {"verb", "ring"}, {"ring_size", condition}});
  };
  EXPECT_THAT(with({{"above", 2}}), HasSubstr("$.select.ring_size.above is unknown"));
  EXPECT_THAT(with(Json::object()), HasSubstr("must give equals, min, max or not"));
  EXPECT_THAT(with(Json::array()), HasSubstr("empty list"));
  EXPECT_THAT(with(Json::array({nullptr})), HasSubstr("must hold"));
  EXPECT_THAT(with({{"min", "nowhere"}}), HasSubstr("'nowhere' stands for no number"));
  EXPECT_THAT(with({{"min", true}}), HasSubstr("must be a number or an expression"));
}

TEST(Quantity, ReadsRowsWithTheirIntervals) {
  Json row = ring_row(2, 2.0);
  row["time_s_interval"] = {{"low", 1.0}, {"high", 4.0}, {"confidence", 0.95}};
  Json form = selecting({{"kind", "measured"}, {"verb", "ring"}}, "tokens_per_s");
  form["formula"] = "tokens / time_s";
  const Figures found = figures_of(form, rows_of({row}));
  ASSERT_EQ(found.figures.size(), 1U);
  const Figure &figure = found.figures[0];
  EXPECT_DOUBLE_EQ(figure.value, 1024.0);
  EXPECT_DOUBLE_EQ(figure.low, 512.0);
  EXPECT_DOUBLE_EQ(figure.high, 2048.0);
  EXPECT_EQ(figure.evidence.kind, EvidenceKind::measured);
  EXPECT_EQ(figure.evidence.source, "rows.json#p2; tokens_per_s = tokens / time_s");
  EXPECT_EQ(figure.evidence.figure, "tokens_per_s");
  ASSERT_TRUE(figure.evidence.interval);
  EXPECT_DOUBLE_EQ(figure.evidence.interval->confidence, 0.95);
}

TEST(Quantity, ReducesAndSaysSo) {
  const ResultRows rows = rows_of({ring_row(1, 3.0), ring_row(2, 1.0), ring_row(4, 2.0)});
  const auto reduced = [&](const std::string &word) {
    Json form = selecting({{"kind", "measured"}, {"verb", "ring"}}, "time_s");
    form["reduce"] = word;
    return figures_of(form, rows).figures;
  };
  EXPECT_DOUBLE_EQ(reduced("median").at(0).value, 2.0);
  EXPECT_DOUBLE_EQ(reduced("min").at(0).value, 1.0);
  EXPECT_DOUBLE_EQ(reduced("max").at(0).value, 3.0);
  EXPECT_EQ(reduced("all").size(), 3U);
  EXPECT_THAT(reduced("max").at(0).evidence.source, HasSubstr("(max of 3 rows)"));
  EXPECT_THAT(refusal([&] { reduced("mean"); }), HasSubstr("'mean' is unknown; one of: all, median, min, max"));
}

TEST(Quantity, LetsNothingHideANaN) {
  Json broken = ring_row(2, 1.0);
  broken["time_s"] = nullptr;
  const ResultRows rows = rows_of({ring_row(1, 3.0), broken});
  for (const char *word : {"median", "min", "max"}) {
    Json form = selecting({{"kind", "measured"}, {"verb", "ring"}}, "time_s");
    form["reduce"] = word;
    const Figures found = figures_of(form, rows);
    ASSERT_EQ(found.figures.size(), 1U);
    EXPECT_TRUE(std::isnan(found.figures[0].value)) << word;
  }
}

TEST(Quantity, NamesWhatIsMissing) {
  const Json select{{"kind", "simulated"}, {"verb", "simulate"}, {"ring_size", {{"min", 2}}}};
  const Figures found = figures_of(selecting(select, "time_s"), rows_of({ring_row(1, 1.0)}));
  EXPECT_TRUE(found.figures.empty());
  EXPECT_EQ(found.missing, "no row with kind=simulated verb=simulate ring_size>=2 and time_s; delivered by a sweep");
  const Json measured{{"kind", "measured"}, {"verb", "ring"}};
  EXPECT_THAT(figures_of(selecting(measured, "joules"), rows_of({ring_row(1, 1.0)})).missing,
              HasSubstr("(rows.json#p1 lacks it)"));
}

TEST(Quantity, UsesNoRowOfAnInvalidRun) {
  Json invalid = ring_row(2, 1.0);
  invalid["verdict"] = "invalid";
  const Json select{{"kind", "measured"}, {"verb", "ring"}};
  const Figures found = figures_of(selecting(select, "time_s"), rows_of({ring_row(1, 1.0), invalid}));
  EXPECT_EQ(found.figures.size(), 1U);
  EXPECT_EQ(found.invalid_rows, std::vector<std::string>{"rows.json#p2"});
}

TEST(Quantity, KnowsPublishedFromAnalytic) {
  const Json values{{"tokens", 100}, {"tokens_per_s", 50}};
  const ResultRows none;
  const Json formula{{"formula", "tokens / tokens_per_s"}, {"figure", "time_s"}};
  const Figures published = figures_of(formula, none, values);
  EXPECT_EQ(published.figures.at(0).evidence.kind, EvidenceKind::published);
  EXPECT_EQ(published.figures.at(0).evidence.source, "a-document: A section; time_s = tokens / tokens_per_s");
  EXPECT_DOUBLE_EQ(published.figures.at(0).value, 2.0);
  const Json document{{"q", "width * tokens"}};
  const Json constants{{"width", {{"value", 512}, {"source", "inferred"}}}};
  const Json empty = Json::object();
  const Context context{values, empty, constants, "d: s", none};
  const auto analytic = Quantity(report::ObjectReader(document, "t"), "q", context.scope()).figures(context);
  EXPECT_EQ(analytic.figures.at(0).evidence.kind, EvidenceKind::analytic);
  EXPECT_THAT(analytic.figures.at(0).evidence.source, HasSubstr("width = 512 (inferred)"));
}

TEST(Results, RefusesBadDocuments) {
  const auto message = [](const Json &document) {
    ResultRows rows;
    return refusal([&] { add_results_document(rows, document, "f.json"); });
  };
  EXPECT_THAT(message(Json::array()), HasSubstr("f.json: $.schema is missing"));
  EXPECT_THAT(message({{"schema", "other"}}), HasSubstr("must be ringscale.results"));
  EXPECT_THAT(message({{"schema", "ringscale.results"}, {"schema_version", 2}, {"rows", Json::array()}}),
              HasSubstr("$.schema_version must be 1"));
  EXPECT_THAT(message({{"schema", "ringscale.results"}, {"schema_version", 1}}), HasSubstr("$.rows is missing"));
  const Json bad_row = Json::array({{{"kind", "guess"}, {"verb", "ring"}}});
  EXPECT_THAT(message({{"schema", "ringscale.results"}, {"schema_version", 1}, {"rows", bad_row}}),
              StartsWith("f.json: $.rows[0].kind 'guess' is unknown"));
  const Json no_verb = Json::array({{{"kind", "measured"}}});
  EXPECT_THAT(message({{"schema", "ringscale.results"}, {"schema_version", 1}, {"rows", no_verb}}),
              HasSubstr("$.rows[0].verb is missing"));
}

TEST(Results, TakesMessageSamplesOfACalibratedMachine) {
  const Json sample{{"messages", 2}, {"message_bytes", 1024}, {"time_s", 2e-6}, {"samples_s", {2e-6, 1e-6, 4e-6}}};
  Json machine{
      {"schema", "ringscale.machine"}, {"kind", "measured"}, {"messages", {{"samples", Json::array({sample})}}}};
  ResultRows rows;
  EXPECT_FALSE(add_results_document(rows, machine, "m.json"));
  ASSERT_EQ(rows.rows.size(), 1U);
  EXPECT_EQ(rows.rows[0].row["verb"], "calibrate");
  EXPECT_EQ(rows.rows[0].source, "m.json#messages.samples[0]");
  EXPECT_EQ(rows.rows[0].row["time_s_interval"]["low"], 1e-6);
  EXPECT_EQ(rows.rows[0].row["time_s_interval"]["high"], 4e-6);
  machine["kind"] = "published";
  ResultRows none;
  add_results_document(none, machine, "m.json");
  EXPECT_TRUE(none.rows.empty()) << "a published machine measured nothing here";
  machine["kind"] = 3;
  EXPECT_THAT(refusal([&] { add_results_document(none, machine, "m.json"); }), HasSubstr("m.json: $.kind"));
}

TEST(Results, ReadsAFolderAndRefusesAnEmptyOne) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "claims_results";
  std::filesystem::remove_all(folder);
  EXPECT_THAT(refusal([&] { read_results(folder); }), HasSubstr("no such folder"));
  std::filesystem::create_directories(folder);
  EXPECT_THAT(refusal([&] { read_results(folder); }), HasSubstr("no document of schema ringscale.results"));
  const Json document{
      {"schema", "ringscale.results"}, {"schema_version", 1}, {"rows", Json::array({ring_row(1, 1.0)})}};
  std::ofstream(folder / "b.json") << document.dump();
  std::ofstream(folder / "a.json") << R"({"schema": "ringscale.verdicts"})";
  std::ofstream(folder / "journal.jsonl") << "not one document";
  const ResultRows rows = read_results(folder);
  EXPECT_EQ(rows.rows.size(), 1U);
  EXPECT_EQ(rows.files, std::vector<std::string>{"b.json"});
  std::filesystem::create_directories(folder / "sweep");
  std::ofstream(folder / "sweep" / "results.json") << document.dump();
  EXPECT_EQ(read_results(folder).files, (std::vector<std::string>{"b.json", "sweep/results.json"}));
  std::ofstream(folder / "c.json") << "{";
  EXPECT_THAT(refusal([&] { read_results(folder); }), HasSubstr("c.json"));
}

} // namespace
} // namespace ringscale::claims
