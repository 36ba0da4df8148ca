// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>

#include "problem/invalid_input.hpp"
#include "report/json.hpp"
#include "tests/report/expect_invalid.hpp"
#include "tests/report/temporary_folder.hpp"

namespace ringscale::report {
namespace {

void expect_refused(const std::string &text, const std::vector<std::string> &parts) {
  expect_invalid([&] { parse_json(text, "some.json"); }, parts);
}

TEST(ParseJson, KeepsValuesAndOrder) {
  const Json document = parse_json(R"({"z":1,"a":[true,null,-2,2.5,"é"],"m":{"k":{}}})", "some.json");
  EXPECT_EQ(document.begin().key(), "z");
  EXPECT_EQ(document["a"][2].get<int>(), -2);
  EXPECT_EQ(document["a"][3].get<double>(), 2.5);
  EXPECT_EQ(document["a"][4].get<std::string>(), "é");
  EXPECT_TRUE(document["m"]["k"].is_object());
  EXPECT_EQ(parse_json(" 18446744073709551615 ", "s").get<std::uint64_t>(), std::numeric_limits<std::uint64_t>::max());
}

TEST(ParseJson, NamesFileLineAndColumnOfASyntaxError) {
  expect_refused("{\"a\": 1,\n \"b\": }", {"some.json is not JSON", "line 2", "column 7"});
  expect_refused("", {"some.json", "unexpected end"});
  expect_refused("{} {}", {"some.json"});
  expect_refused("[1,]", {"some.json"});
  expect_refused("{'a': 1}", {"some.json"});
  expect_refused("[1] // note", {"some.json"});
}

TEST(ParseJson, RefusesWordsThatAreNoNumbers) {
  for (const char *word : {"NaN", "nan", "Infinity", "-Infinity", "inf", "-NaN", "+1", "01", "1.", ".5", "0x10"}) {
    expect_refused(std::string("[") + word + "]", {"some.json is not JSON"});
  }
}

TEST(ParseJson, RefusesNumbersThatDoNotFit) {
  expect_refused(R"({"a":[0, 1e400]})", {"some.json", "1e400"});
  expect_refused(R"({"a":[0, -1e400]})", {"some.json"});
  expect_refused(R"({"a":[0, 18446744073709551616]})", {"some.json: at $.a[1]", "18446744073709551616", "64 bits"});
  expect_refused(R"([-9223372036854775809])", {"$[0]", "64 bits"});
  EXPECT_EQ(parse_json("[1e-400]", "s")[0].get<double>(), 0.0); // underflow is a rounding, not a loss of meaning
}

TEST(ParseJson, RefusesKeysThatStandTwice) {
  expect_refused(R"({"a":1,"a":2})", {"some.json: at $", "'a' stands twice"});
  expect_refused(R"({"points":[{},{"ring_size":1,"b":2,"ring_size":1}]})", {"$.points[1]", "'ring_size'"});
  EXPECT_NO_THROW(parse_json(R"([{"a":1},{"a":2}])", "s"));
}

TEST(ParseJson, LimitsTheDepth) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW(parse_json(nested(most_json_depth), "s"));
  expect_refused(nested(most_json_depth + 1), {"nested deeper than 32"});
  expect_refused(std::string(100000, '['), {"nested deeper than 32"});
  std::string objects;
  for (int level = 0; level < 100000; ++level) {
    objects += "{\"a\":";
  }
  expect_refused(objects, {"nested deeper than 32"});
}

TEST(ParseJson, RefusesTextThatIsNotPlainUtf8) {
  expect_refused("\xEF\xBB\xBF{}", {"byte order mark"});
  expect_refused("[\"\xff\xfe\"]", {"some.json"});
  expect_refused("[\"a\nb\"]", {"some.json"});
  expect_refused(std::string("[1\0]", 4), {"some.json"});
}

TEST(ParseJson, RefusesEveryTruncation) {
  const std::string text = R"({"schema":"ringscale.results","rows":[{"a":1.5e-3,"b":[true,false,null]}],"é":"\u00e9"})";
  ASSERT_NO_THROW(parse_json(text, "s"));
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_THROW(parse_json(text.substr(0, length), "s"), problem::InvalidInput) << length;
  }
}

TEST(ParseJson, AnswersDamageOnlyByInvalidInput) {
  // Seeded bit flips, deletions and repetitions of a good document: each is read or refused, never anything else.
  const std::string good = R"({"a":[1,2.5,-3e2,"text",{"b":{"c":[[],{}]}}],"k":true,"n":null,"u":"\ud83d\ude00"})";
  std::mt19937_64 generator(5);
  int refused = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    std::string text = good;
    for (int change = 0; change < 1 + trial % 4; ++change) {
      const std::size_t at = generator() % text.size();
      switch (generator() % 3) {
      case 0:
        text[at] = static_cast<char>(text[at] ^ (1 << (generator() % 8)));
        break;
      case 1:
        text.erase(at, 1 + generator() % 3);
        break;
      default:
        text.insert(at, text.substr(at / 2, generator() % 6));
      }
      if (text.empty()) {
        text.push_back('[');
      }
    }
    try {
      const Json document = parse_json(text, "s");
      EXPECT_EQ(parse_json(write_json(document, -1), "s"), document);
    } catch (const problem::InvalidInput &) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 10000);
}

TEST(ReadJsonFile, NamesTheFile) {
  const TemporaryFolder folder;
  expect_invalid([&] { read_json_file(folder / "absent.json"); }, {"absent.json does not exist"});
  expect_invalid([&] { read_json_file(folder.path()); }, {"not a regular file"});
  write_text(folder / "half.json", "{\"a\": ");
  expect_invalid([&] { read_json_file(folder / "half.json"); }, {"half.json is not JSON"});
  write_text(folder / "good.json", "{\"a\": 1}");
  EXPECT_EQ(read_json_file(folder / "good.json")["a"].get<int>(), 1);
}

} // namespace
} // namespace ringscale::report
