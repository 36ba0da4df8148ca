// SPDX-License-Identifier: Apache-2.0
#include "sweep/axis.hpp"

#include <gtest/gtest.h>

#include <string>

#include "report/json.hpp"
#include "tests/report/expect_invalid.hpp"

namespace ringscale::sweep {
namespace {

std::string expanded(const std::string &axis) {
  const report::Json parsed = report::parse_json(axis, "axis");
  report::Json values = report::Json::array();
  for (const report::Json &value : axis_values(parsed, "f.json: $.grids[0].tokens")) {
    values.push_back(value);
  }
  return report::write_json(values, -1);
}

void expect_refused(const std::string &axis, const std::vector<std::string> &parts) {
  std::vector<std::string> all{"f.json: $.grids[0].tokens"};
  all.insert(all.end(), parts.begin(), parts.end());
  expect_invalid([&] { expanded(axis); }, all);
}

TEST(AxisValues, OfScalarsAndLists) {
  EXPECT_EQ(expanded("7"), "[7]");
  EXPECT_EQ(expanded("\"causal\""), "[\"causal\"]");
  EXPECT_EQ(expanded("true"), "[true]");
  EXPECT_EQ(expanded("[1, 2.5, \"x\"]"), "[1,2.5,\"x\"]");
}

TEST(AxisValues, OfRanges) {
  EXPECT_EQ(expanded(R"({"range": [1, 7, 3]})"), "[1,4,7]");
  EXPECT_EQ(expanded(R"({"range": [1, 6, 3]})"), "[1,4]");
  EXPECT_EQ(expanded(R"({"range": [4, 4, 1]})"), "[4]");
  EXPECT_EQ(expanded(R"({"range": [3, 1, -1]})"), "[3,2,1]");
  // 0.1 + 0.1 + 0.1 is more than 0.3 in binary; the last value still counts.
  EXPECT_EQ(axis_values(report::parse_json(R"({"range": [0, 0.3, 0.1]})", "s"), "w").size(), 4U);
}

TEST(AxisValues, OfPowersOfTwo) {
  EXPECT_EQ(expanded(R"({"powers_of_two": [1, 8]})"), "[1,2,4,8]");
  EXPECT_EQ(expanded(R"({"powers_of_two": [2, 9]})"), "[2,4,8]");
  EXPECT_EQ(expanded(R"({"powers_of_two": [1, 262144], "every": 6})"), "[1,64,4096,262144]");
  EXPECT_EQ(expanded(R"({"powers_of_two": [1, 1125899906842624], "every": 50})"), "[1,1125899906842624]");
}

TEST(AxisValues, RefusesWhatIsNoAxis) {
  expect_refused(R"({"range": [1, 2]})", {"[first, last, step]"});
  expect_refused(R"({"range": [1, 2, 0]})", {"not 0"});
  expect_refused(R"({"range": [2, 1, 1]})", {"first to last"});
  expect_refused(R"({"range": [0, 1e12, 1]})", {"more than 100000"});
  expect_refused(R"({"range": [0, 1, 1e-320]})", {"range"});
  expect_refused(R"({"range": [1, 3, 1], "every": 2})", {"every"});
  expect_refused(R"({"powers_of_two": [3, 8]})", {"power of two"});
  expect_refused(R"({"powers_of_two": [0, 8]})", {"power of two"});
  expect_refused(R"({"powers_of_two": [8, 4]})", {"power of two"});
  expect_refused(R"({"powers_of_two": [1, 9007199254740992]})", {"2^50"});
  expect_refused(R"({"powers_of_two": [1, 8], "every": 0})", {"every"});
  expect_refused(R"({"list": [1]})", {"powers_of_two"});
  expect_refused("[]", {"between 1 and"});
  expect_refused("[1, 2, 1]", {"the value 1 twice"});
  expect_refused("[1, [2]]", {"numbers, words or true/false"});
  expect_refused("null", {"numbers, words or true/false"});
}

} // namespace
} // namespace ringscale::sweep
