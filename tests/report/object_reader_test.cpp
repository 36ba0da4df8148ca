// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "report/json.hpp"
#include "report/nearest_name.hpp"
#include "tests/report/expect_invalid.hpp"

namespace ringscale::report {
namespace {

TEST(ObjectReader, ReadsEveryKindOfValue) {
  const Json document = parse_json(
      R"({"i":-3,"n":2.5,"whole":4,"t":"word","b":true,"o":{"x":1},"os":[{"x":2},{"x":3}],"ns":[1,2.5],"is":[1,2],"ts":["a"]})",
      "f");
  const ObjectReader reader(document, "f");
  EXPECT_EQ(reader.integer("i", -10, 10), -3);
  EXPECT_EQ(reader.number("n", 0.0, 3.0), 2.5);
  EXPECT_EQ(reader.number("whole"), 4.0);
  EXPECT_EQ(reader.text("t"), "word");
  EXPECT_TRUE(reader.boolean("b"));
  EXPECT_EQ(reader.object("o").integer("x"), 1);
  EXPECT_EQ(reader.objects("os")[1].integer("x"), 3);
  EXPECT_EQ(reader.numbers("ns"), (std::vector<double>{1.0, 2.5}));
  EXPECT_EQ(reader.integers("is"), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(reader.texts("ts"), std::vector<std::string>{"a"});
  EXPECT_EQ(reader.integer_or("absent", 7), 7);
  EXPECT_EQ(reader.number_or("absent", 0.5), 0.5);
  EXPECT_EQ(reader.text_or("absent", "x"), "x");
  EXPECT_FALSE(reader.boolean_or("absent", false));
  EXPECT_FALSE(reader.has("absent"));
  EXPECT_NO_THROW(reader.finish());
}

TEST(ObjectReader, RefusesIntegersThatAreNone) {
  for (const char *value : {"3.9", "3.0", "1e30", "true", "\"3\"", "null", "[3]", "18446744073709551615"}) {
    const Json document = parse_json(std::string("{\"points\":[{\"ring_size\":") + value + "}]}", "f.json");
    const ObjectReader reader(document, "f.json");
    expect_invalid([&] { static_cast<void>(reader.objects("points")[0].integer("ring_size", 1, 100)); },
                   {"f.json: $.points[0].ring_size is "});
  }
}

TEST(ObjectReader, RefusesIntegersOutOfRange) {
  const Json document = parse_json(R"({"ring_size":-1})", "f.json");
  const ObjectReader reader(document, "f.json");
  expect_invalid([&] { static_cast<void>(reader.integer("ring_size", 1, 8)); },
                 {"f.json: $.ring_size is -1; it must be between 1 and 8"});
  expect_invalid([&] { static_cast<void>(reader.integer_or("ring_size", 2, 1, 8)); }, {"between 1 and 8"});
}

TEST(ObjectReader, RefusesNumbersThatAreNotFiniteOrOutOfRange) {
  Json document = Json::object();
  document["not_a_number"] = std::nan("");
  document["jitter"] = 1.5;
  const ObjectReader reader(document, "f.json");
  expect_invalid([&] { static_cast<void>(reader.number("not_a_number")); }, {"$.not_a_number"});
  expect_invalid([&] { static_cast<void>(reader.number("jitter", 0.0, 1.0)); }, {"$.jitter is 1.5", "between 0 and 1"});
}

TEST(ObjectReader, RefusesOtherTypes) {
  const Json document = parse_json(R"({"t":1,"b":1,"o":[1],"a":{},"mixed":[1,"x"]})", "f.json");
  const ObjectReader reader(document, "f.json");
  expect_invalid([&] { static_cast<void>(reader.text("t")); }, {"$.t is 1; it must be a text"});
  expect_invalid([&] { static_cast<void>(reader.boolean("b")); }, {"$.b is 1; it must be true or false"});
  expect_invalid([&] { static_cast<void>(reader.object("o")); }, {"$.o is an array; it must be an object"});
  expect_invalid([&] { static_cast<void>(reader.objects("a")); }, {"$.a is an object; it must be an array"});
  expect_invalid([&] { static_cast<void>(reader.numbers("mixed")); }, {"$.mixed[1] is a text"});
  const Json array = Json::array();
  expect_invalid([&] { const ObjectReader wrong(array, "f.json"); }, {"f.json: $ is an array"});
}

TEST(ObjectReader, RefusesUnknownKeysWithTheNearestName) {
  const Json document = parse_json(R"({"ring_size":1,"repititions":3})", "f.json");
  const ObjectReader reader(document, "f.json");
  static_cast<void>(reader.integer("ring_size"));
  static_cast<void>(reader.integer_or("repetitions", 5));
  expect_invalid([&] { reader.finish(); }, {"f.json: $.repititions is unknown", "'repetitions'"});
}

TEST(ObjectReader, SaysWhatIsMissingAndWhatMayBeMeant) {
  const Json document = parse_json(R"({"ringsize":1})", "f.json");
  const ObjectReader reader(document, "f.json");
  expect_invalid([&] { static_cast<void>(reader.integer("ring_size")); }, {"$.ring_size is missing", "'ringsize'"});
}

TEST(NearestName, CountsEdits) {
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("tokens", "tokens"), 0U);
  EXPECT_EQ(nearest_name("tokns", {"ring_size", "tokens", "batch"}), "tokens");
  EXPECT_EQ(nearest_name("x", {}), "");
  EXPECT_EQ(nearest_name(std::string(5'000'000, 'x'), {"tokens"}), "tokens");
}

} // namespace
} // namespace ringscale::report
