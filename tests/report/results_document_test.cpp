// SPDX-License-Identifier: Apache-2.0
#include "report/results_document.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "report/provenance.hpp"
#include "tests/report/expect_invalid.hpp"

namespace ringscale::report {
namespace {

TEST(ResultsDocument, HoldsTheFieldsThatReadersRelyOn) {
  const Json provenance_part = provenance(begin_run(), {"ringscale", "ring"}, {});
  const Json document = results_document("ring", Json::object(), Json::array({Json::object()}), "invalid",
                                         {"too far off"}, provenance_part);
  EXPECT_EQ(document["schema"], "ringscale.results");
  EXPECT_EQ(document["schema_version"], 1);
  EXPECT_EQ(document["run_id"], provenance_part["run_id"]);
  EXPECT_EQ(document["verdict"], "invalid");
  EXPECT_EQ(document["reasons"][0], "too far off");
  EXPECT_EQ(document["rows"].size(), 1U);
  EXPECT_THROW(results_document("ring", {}, {}, "fine", {}, provenance_part), std::logic_error);
}

TEST(RequireSchema, RefusesOtherDocuments) {
  const auto check = [](const char *text) {
    require_schema(parse_json(text, "f.json"), "f.json", "ringscale.machine", 2);
  };
  EXPECT_NO_THROW(check(R"({"schema":"ringscale.machine","schema_version":2})"));
  expect_invalid([&] { check(R"({"schema":"ringscale.machine","schema_version":3})"); },
                 {"f.json", "schema_version is 3"});
  expect_invalid([&] { check(R"({"schema":"ringscale.machine","schema_version":0})"); }, {"schema_version is 0"});
  expect_invalid([&] { check(R"({"schema":"ringscale.machine"})"); }, {"$.schema_version is missing"});
  expect_invalid([&] { check(R"({"schema":"other","schema_version":1})"); }, {"'other'", "'ringscale.machine'"});
  expect_invalid([&] { check(R"({})"); }, {"$.schema is missing"});
  expect_invalid([&] { check(R"([])"); }, {"$ is an array"});
}

} // namespace
} // namespace ringscale::report
