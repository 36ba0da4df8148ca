// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <gmock/gmock.h>

#include "claim_fixture.hpp"
#include "claims/expression.hpp"
#include "claims/names.hpp"

namespace ringscale::claims {
namespace {

using report::Json;
using ::testing::HasSubstr;
using testing::refusal;

double evaluate(const std::string &text) {
  const Json values{{"n", 8.0}, {"rows", {{{"ring_size", 4}}, {{"ring_size", 16}}}}, {"missing", nullptr}};
  NameScope scope;
  scope.add_values(values);
  return Expression(text, "here").evaluate(scope.lookup());
}

TEST(Expression, FollowsTheRulesOfArithmetic) {
  EXPECT_DOUBLE_EQ(evaluate("1 + 2 * 3"), 7.0);
  EXPECT_DOUBLE_EQ(evaluate("(1 + 2) * 3"), 9.0);
  EXPECT_DOUBLE_EQ(evaluate("8 / 4 / 2"), 1.0);
  EXPECT_DOUBLE_EQ(evaluate("8 - 4 - 2"), 2.0);
  EXPECT_DOUBLE_EQ(evaluate("2 ^ 3 ^ 2"), 512.0);
  EXPECT_DOUBLE_EQ(evaluate("-2 ^ 2"), -4.0);
  EXPECT_DOUBLE_EQ(evaluate("2 ^ -1"), 0.5);
  EXPECT_DOUBLE_EQ(evaluate("1.5e3 + .5"), 1500.5);
  EXPECT_DOUBLE_EQ(evaluate("+3"), 3.0);
}

TEST(Expression, KnowsNamesAndFunctions) {
  EXPECT_DOUBLE_EQ(evaluate("4 * n^2"), 256.0);
  EXPECT_DOUBLE_EQ(evaluate("rows.1.ring_size / rows.0.ring_size"), 4.0);
  EXPECT_DOUBLE_EQ(evaluate("min(3, n, 5) + max(1, 2)"), 5.0);
  EXPECT_DOUBLE_EQ(evaluate("log2(n) + sqrt(16) + abs(-1) + floor(2.7) + ceil(2.1) + log10(100)"), 15.0);
  EXPECT_EQ(Expression("n + n * m", "here").names(), (std::vector<std::string>{"n", "m"}));
}

TEST(Expression, KeepsNotANumber) {
  EXPECT_TRUE(std::isnan(evaluate("missing * 2")));
  EXPECT_TRUE(std::isnan(evaluate("min(1, missing)")));
  EXPECT_TRUE(std::isnan(evaluate("max(missing, 1)")));
  EXPECT_TRUE(std::isnan(evaluate("0 / 0")));
  EXPECT_TRUE(std::isinf(evaluate("1 / 0")));
}

TEST(Expression, RefusesWhatIsNoExpressionInOneLine) {
  const auto message = [](const std::string &text) { return refusal([&] { evaluate(text); }); };
  EXPECT_THAT(message(""), HasSubstr("ends where"));
  EXPECT_THAT(message("1 +"), HasSubstr("letter 4"));
  EXPECT_THAT(message("1 2"), HasSubstr("unexpected '2'"));
  EXPECT_THAT(message("(1"), HasSubstr("')' is missing"));
  EXPECT_THAT(message("2x"), HasSubstr("runs into 'x'"));
  EXPECT_THAT(message("1.2.3"), HasSubstr("runs into '.'"));
  EXPECT_THAT(message("sin(1)"), HasSubstr("function 'sin' is unknown"));
  EXPECT_THAT(message("log2(1, 2)"), HasSubstr("log2 takes 1 argument"));
  EXPECT_THAT(message("min(1)"), HasSubstr("min takes 2 to 16"));
  EXPECT_THAT(message("a..b"), HasSubstr("empty part"));
  EXPECT_THAT(message("unknown + 1"), HasSubstr("'unknown' stands for no number"));
  EXPECT_THAT(message("system(1)"), HasSubstr("unknown"));
  EXPECT_THAT(message("1; 2"), HasSubstr("unexpected ';'"));
  EXPECT_THAT(message("1e999"), HasSubstr("not a finite number"));
  EXPECT_THAT(message(std::string(5000, '1')), HasSubstr("5000 letters"));
  EXPECT_THAT(message(std::string(900, '(')), HasSubstr("nested deeper"));
  EXPECT_THAT(message(std::string(900, '-') + "1"), HasSubstr("nested deeper"));
}

TEST(Names, ConstantsCarryTheirSources) {
  const Json constants{{"width", {{"value", 512}, {"source", "inferred"}}},
                       {"gpu", {{"kind", "published"}, {"source", "a data sheet"}, {"memory_bytes", 8e9}}}};
  NameScope scope;
  const Json values{{"n", 2}};
  scope.add_values(values);
  scope.add_constants(constants);
  EXPECT_EQ(scope.find("width"), 512.0);
  EXPECT_EQ(scope.find("gpu.memory_bytes"), 8e9);
  EXPECT_EQ(scope.find("gpu"), std::nullopt);
  EXPECT_EQ(scope.constant_origin("gpu.memory_bytes")->source, "a data sheet");
  EXPECT_EQ(scope.constant_origin("gpu.memory_bytes")->kind, EvidenceKind::published);
  EXPECT_EQ(scope.constant_origin("width")->kind, EvidenceKind::analytic);
  EXPECT_FALSE(scope.constant_origin("n"));
  EXPECT_THAT(refusal([&] { scope.require_names(Expression("widht", "w"), "w"); }), HasSubstr("nearest is 'width"));
}

TEST(Names, ConstantsNeedASource) {
  const auto message = [](const Json &constants) { return refusal([&] { check_constants(constants, "c"); }); };
  EXPECT_THAT(message({{"width", 512}}), HasSubstr("c.width must be an object with a source"));
  EXPECT_THAT(message({{"width", {{"value", 512}}}}), HasSubstr("source"));
  EXPECT_THAT(message({{"width", {{"source", "x"}}}}), HasSubstr("at least one number"));
  EXPECT_THAT(message({{"width", {{"source", "x"}, {"value", "512"}}}}), HasSubstr("c.width.value must be a number"));
  EXPECT_THAT(message({{"width", {{"source", "x"}, {"kind", "guess"}, {"value", 1}}}}), HasSubstr("guess"));
}

} // namespace
} // namespace ringscale::claims
