// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <functional>

#include "tests/validation/validation_fixture.hpp"

namespace ringscale::validation {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using validation_tests::column_of;
using validation_tests::document_of;
using validation_tests::Json;
using validation_tests::table_of;

Json small() {
  return document_of(Json::array(
      {table_of("S1", Json::object(), Json::array({column_of("label", "-"), column_of("time_ms", "ms")}),
                Json::array({{{"label", "a"}, {"time_ms", 1.5}}, {{"label", "b"}, {"time_ms", nullptr}}}))}));
}

TEST(PublishedTables, AreReadWithUnitsAndMissingValues) {
  const auto tables = validation_tests::read(small());
  ASSERT_EQ(tables.size(), 1U);
  EXPECT_EQ(tables[0].text(0, 0), "a");
  EXPECT_EQ(tables[0].number(0, 1), 1.5);
  EXPECT_FALSE(tables[0].number(1, 1));
  EXPECT_DOUBLE_EQ(tables[0].columns[1].unit.scale, 1e-3);
}

TEST(PublishedTables, TheShippedOnesAreRead) {
  EXPECT_EQ(validation_tests::shipped_tables().size(), 17U);
  EXPECT_TRUE(validation_tests::shipped_table("T1F").columns[1].is_formula);
}

TEST(PublishedTables, EveryFaultIsOneLineThatNamesThePlace) {
  const std::vector<std::tuple<std::string, std::function<void(Json &)>, std::vector<std::string>>> faults{
      {"missing value",
       [](Json &table) { table["rows"][1].erase("time_ms"); },
       {"$.tables[0].rows[1].time_ms", "null"}},
      {"text for a number",
       [](Json &table) { table["rows"][0]["time_ms"] = "fast"; },
       {"$.tables[0].rows[0].time_ms", "number"}},
      {"two numbers",
       [](Json &table) { table["rows"][0]["time_ms"] = "1.5 2.5"; },
       {"$.tables[0].rows[0].time_ms", "number"}},
      {"formula beside numbers",
       [](Json &table) { table["rows"][1]["time_ms"] = "2*b"; },
       {"$.tables[0].rows[1].time_ms", "number"}},
      {"wrong type", [](Json &table) { table["rows"][0]["label"] = Json::array(); }, {"$.tables[0].rows[0].label"}},
      {"wrong type of rows", [](Json &table) { table["rows"] = 3; }, {"$.tables[0].rows"}},
      {"no rows", [](Json &table) { table["rows"] = Json::array(); }, {"$.tables[0].rows", "empty"}},
      {"no columns", [](Json &table) { table["columns"] = Json::array(); }, {"$.tables[0].columns", "empty"}},
      {"unknown column", [](Json &table) { table["rows"][0]["tme_ms"] = 1; }, {"tme_ms", "time_ms"}},
      {"unknown field", [](Json &table) { table["colums"] = 1; }, {"colums", "columns"}},
      {"unknown origin",
       [](Json &table) { table["columns"][0]["origin"] = "guessed"; },
       {"columns[0].origin", "guessed", "derived"}},
      {"column twice", [](Json &table) { table["columns"][0]["name"] = "time_ms"; }, {"columns[1].name", "twice"}},
      {"setup is no object", [](Json &table) { table["setup"] = "fast"; }, {"$.tables[0].setup"}},
      {"formula is no text",
       [](Json &table) {
         table["reference_formula"] = Json{{"time_ms", 3}};
       },
       {"reference_formula.time_ms"}},
  };
  for (const auto &[name, corrupt, fragments] : faults) {
    Json document = small();
    corrupt(document["tables"][0]);
    const std::string line = validation_tests::refusal([&] { validation_tests::read(document); });
    EXPECT_THAT(line, HasSubstr("tables.json")) << name;
    for (const std::string &fragment : fragments) {
      EXPECT_THAT(line, HasSubstr(fragment)) << name;
    }
    EXPECT_EQ(line.find('\n'), std::string::npos) << name;
  }
  Json twice = small();
  twice["tables"].push_back(twice["tables"][0]);
  EXPECT_THAT(validation_tests::refusal([&] { validation_tests::read(twice); }),
              AllOf(HasSubstr("$.tables[1].id"), HasSubstr("S1"), HasSubstr("twice")));
  Json other = small();
  other["schema"] = "ringscale.claims";
  EXPECT_THAT(validation_tests::refusal([&] { validation_tests::read(other); }),
              HasSubstr("ringscale.published-tables"));
  EXPECT_THAT(validation_tests::refusal([&] { validation_tests::read(document_of(Json::array())); }),
              HasSubstr("empty"));
}

TEST(PublishedTables, FurtherFieldsMayBeNamedInFieldOrder) {
  Json document = small();
  document["tables"][0]["seen_on"] = "a Tuesday";
  EXPECT_NE(validation_tests::refusal([&] { validation_tests::read(document); }), "");
  document["field_order"] = {"id", "seen_on"};
  EXPECT_EQ(validation_tests::refusal([&] { validation_tests::read(document); }), "");
}

TEST(ModelShapes, AreFoundBySize) {
  const ModelShape *shape = find_shape(validation_tests::shapes(), 13.0);
  ASSERT_NE(shape, nullptr);
  EXPECT_EQ(shape->hidden_size, 5120);
  EXPECT_EQ(find_shape(validation_tests::shapes(), 14.0), nullptr);
}

} // namespace
} // namespace ringscale::validation
