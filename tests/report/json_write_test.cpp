// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <bit>
#include <clocale>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <locale>
#include <random>
#include <stdexcept>
#include <string>

#include "report/json.hpp"

namespace ringscale::report {
namespace {

TEST(WriteJson, RefusesWhatIsNotANumber) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double value : {std::nan(""), infinity, -infinity}) {
    Json document = Json::object();
    document["rows"] = Json::array({Json::object({{"time_s", value}})});
    EXPECT_THROW(write_json(document, 2), std::logic_error);
  }
}

TEST(WriteJson, RefusesDepthInsteadOfOverflowingTheStack) {
  Json document = Json::array();
  for (int level = 0; level < 1000; ++level) {
    Json outer = Json::array();
    outer.push_back(std::move(document));
    document = std::move(outer);
  }
  EXPECT_THROW(write_json(document, -1), std::logic_error);
}

TEST(WriteJson, WritesWhatTheReaderAcceptsAtFullDepth) {
  const std::string text = std::string(most_json_depth, '[') + "1" + std::string(most_json_depth, ']');
  EXPECT_EQ(write_json(parse_json(text, "s"), -1), text);
}

TEST(WriteJson, DoublesReadBackTheSameAndAreShort) {
  EXPECT_EQ(write_json(Json(0.1), -1), "0.1");
  EXPECT_EQ(write_json(Json(1.0), -1), "1.0");
  EXPECT_EQ(write_json(Json(-0.0), -1), "-0.0");
  EXPECT_EQ(write_json(Json(1e22), -1), "1e+22");
  EXPECT_EQ(write_json(Json(5e-324), -1), "5e-324");
  EXPECT_EQ(write_json(Json(0.3), -1), "0.3");
  EXPECT_EQ(write_json(Json(262144), -1), "262144");
  std::mt19937_64 generator(3);
  for (int trial = 0; trial < 100000; ++trial) {
    const auto value = std::bit_cast<double>(generator());
    if (!std::isfinite(value)) {
      continue;
    }
    const Json back = parse_json(write_json(Json(value), -1), "s");
    ASSERT_TRUE(back.is_number_float());
    ASSERT_EQ(std::bit_cast<std::uint64_t>(back.get<double>()), std::bit_cast<std::uint64_t>(value));
  }
}

TEST(WriteJson, KeepsIntegersOf64Bits) {
  const Json document =
      Json::array({std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::uint64_t>::max()});
  EXPECT_EQ(parse_json(write_json(document, -1), "s"), document);
}

TEST(WriteJson, ReplacesBytesThatAreNotUtf8) {
  Json document = Json::object();
  document["host\xff"] = "name\xfe\n\"";
  EXPECT_EQ(write_json(document, -1), "{\"host\xEF\xBF\xBD\":\"name\xEF\xBF\xBD\\n\\\"\"}");
}

TEST(WriteJson, KeepsArraysOfPlainValuesOnOneLine) {
  const Json document = parse_json(R"({"a":[1,2],"b":[{"c":1},[]],"d":{},"e":[]})", "s");
  EXPECT_EQ(write_json(document, 2), "{\n  \"a\": [1, 2],\n  \"b\": [\n    {\n      \"c\": 1\n    },\n    []\n  ],\n"
                                     "  \"d\": {},\n  \"e\": []\n}");
  EXPECT_EQ(parse_json(write_json(document, 2), "s"), document);
}

/// Streams under this facet write 1.234,5 for 1234.5.
struct CommaPunctuation : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

TEST(WriteJson, IgnoresTheLocaleOfStreams) {
  const std::locale before = std::locale::global(std::locale(std::locale::classic(), new CommaPunctuation));
  const double read = parse_json("[1234.5]", "s")[0].get<double>();
  const std::string written = write_json(Json::array({1234.5, 1234567}), -1);
  std::locale::global(before);
  EXPECT_EQ(read, 1234.5);
  EXPECT_EQ(written, "[1234.5,1234567]");
}

TEST(WriteJson, IgnoresTheLocaleOfTheCLibrary) {
  const std::string before = std::setlocale(LC_ALL, nullptr);
  const char *found = nullptr;
  for (const char *name : {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "nl_NL.UTF-8", "ru_RU.UTF-8"}) {
    found = found == nullptr ? std::setlocale(LC_ALL, name) : found;
  }
  if (found == nullptr) {
    GTEST_SKIP() << "no locale with a decimal comma is installed";
  }
  const double read = parse_json("[1234.5]", "s")[0].get<double>();
  const std::string written = write_json(Json(1234.5), -1);
  std::setlocale(LC_ALL, before.c_str());
  EXPECT_EQ(read, 1234.5);
  EXPECT_EQ(written, "1234.5");
}

} // namespace
} // namespace ringscale::report
