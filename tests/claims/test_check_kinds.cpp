// SPDX-License-Identifier: Apache-2.0
// ratio, consistency, equality_within_bound, arithmetic and fitted_exponent: each agrees, contradicts, and stays
// undecided on missing rows, NaN and intervals that straddle a limit.
#include <cmath>

#include <gmock/gmock.h>

#include "claim_fixture.hpp"

namespace ringscale::claims {
namespace {

using report::Json;
using ::testing::HasSubstr;
using testing::judge_one;
using testing::outcome_of;
using testing::ring_row;

Json from_rows(const Json &ring_size, const std::string &figure = "time_s") {
  return {{"select", {{"kind", "measured"}, {"verb", "ring"}, {"ring_size", ring_size}}},
          {"figure", figure},
          {"delivered_by", "a sweep"}};
}

const Json ratio_check{{"kind", "ratio"},
                       {"asks", "Is two as fast as one?"},
                       {"numerator", from_rows(2)},
                       {"denominator", from_rows(1)},
                       {"pair_by", {"chunk_tokens"}},
                       {"accept", {{"low", 0.8}, {"high", "largest"}}}};
const Json ratio_values{{"largest", 1.25}};

TEST(Ratio, AgreesAndContradicts) {
  const Outcome same = outcome_of(ratio_check, ratio_values, {ring_row(1, 1.0), ring_row(2, 1.0)});
  EXPECT_EQ(same.finding, Finding::agrees);
  EXPECT_NEAR(same.margin, std::log10(1.25), 1e-12);
  EXPECT_EQ(same.evidence.size(), 2U);
  const Outcome twice = outcome_of(ratio_check, ratio_values, {ring_row(1, 1.0), ring_row(2, 2.0)});
  EXPECT_EQ(twice.finding, Finding::contradicts);
  EXPECT_NEAR(twice.margin, std::log10(1.25 / 2.0), 1e-12);
  const Outcome half = outcome_of(ratio_check, ratio_values, {ring_row(1, 1.0), ring_row(2, 0.4)});
  EXPECT_EQ(half.finding, Finding::contradicts);
  EXPECT_NEAR(half.margin, std::log10(0.4 / 0.8), 1e-12);
}

TEST(Ratio, IsUndecidedWithoutRowsOrNumbers) {
  EXPECT_THAT(outcome_of(ratio_check, ratio_values, {ring_row(1, 1.0)}).reason, HasSubstr("delivered by a sweep"));
  Json broken = ring_row(2, 1.0);
  broken["time_s"] = nullptr;
  EXPECT_EQ(outcome_of(ratio_check, ratio_values, {ring_row(1, 1.0), broken}).finding, Finding::undecided);
  EXPECT_EQ(outcome_of(ratio_check, ratio_values, {ring_row(1, 0.0), ring_row(2, 0.0)}).finding, Finding::undecided);
  Json other_chunk = ring_row(2, 1.0);
  other_chunk["chunk_tokens"] = 77;
  EXPECT_THAT(outcome_of(ratio_check, ratio_values, {ring_row(1, 1.0), other_chunk}).reason,
              HasSubstr("no two rows agree in chunk_tokens"));
}

TEST(Ratio, IsUndecidedWhenItsIntervalStraddles) {
  Json wide = ring_row(2, 1.2);
  wide["time_s_interval"] = {{"low", 1.1}, {"high", 1.4}, {"confidence", 0.95}};
  const Outcome outcome = outcome_of(ratio_check, ratio_values, {ring_row(1, 1.0), wide});
  EXPECT_EQ(outcome.finding, Finding::undecided);
  EXPECT_THAT(outcome.reason, HasSubstr("straddles"));
  wide["time_s_interval"]["high"] = 1.24;
  EXPECT_EQ(outcome_of(ratio_check, ratio_values, {ring_row(1, 1.0), wide}).finding, Finding::agrees);
}

TEST(Ratio, JoinsManyFiguresByAllOrAny) {
  Json check = ratio_check;
  check["numerator"] = from_rows({2, 4});
  check.erase("pair_by");
  const Json rows{ring_row(1, 1.0), ring_row(2, 1.0), ring_row(4, 3.0)};
  const Outcome all = outcome_of(check, ratio_values, rows);
  EXPECT_EQ(all.finding, Finding::contradicts);
  EXPECT_THAT(all.reason, HasSubstr("1 of 2 figures agree, 1 contradict"));
  check["must_hold"] = "any";
  EXPECT_EQ(outcome_of(check, ratio_values, rows).finding, Finding::agrees);
  check["must_hold"] = "some";
  EXPECT_THAT(testing::refusal([&] { outcome_of(check, ratio_values, rows); }), HasSubstr("one of: all, any"));
}

TEST(Consistency, ContradictionMeansInconsistent) {
  const Json check{{"kind", "consistency"},
                   {"asks", "Do both agree?"},
                   {"first", "a"},
                   {"second", "b"},
                   {"accept", {{"low", 0.5}, {"high", 2}}}};
  EXPECT_EQ(judge_one({{"a", 10}, {"b", 9}}, {check}).judgement, Judgement::supported);
  EXPECT_EQ(judge_one({{"a", 10}, {"b", 1}}, {check}).judgement, Judgement::inconsistent);
  EXPECT_EQ(judge_one({{"a", nullptr}, {"b", 1}}, {check}).judgement, Judgement::not_testable_here);
}

TEST(Equality, RespectsItsBound) {
  const Json check{{"kind", "equality_within_bound"},
                   {"asks", "Is the error small?"},
                   {"figure", from_rows({{"min", 2}}, "max_error")},
                   {"expected", "0"},
                   {"bound", "tolerance"}};
  const auto with_error = [&](const Json &error) {
    Json row = ring_row(2, 1.0);
    row["max_error"] = error;
    return outcome_of(check, {{"tolerance", 1e-6}}, {row});
  };
  EXPECT_EQ(with_error(1e-7).finding, Finding::agrees);
  EXPECT_NEAR(with_error(1e-7).margin, 1.0, 1e-9);
  EXPECT_EQ(with_error(1e-6).finding, Finding::agrees);
  EXPECT_EQ(with_error(1e-5).finding, Finding::contradicts);
  EXPECT_NEAR(with_error(1e-5).margin, -1.0, 1e-9);
  EXPECT_EQ(with_error(nullptr).finding, Finding::undecided);
  EXPECT_EQ(with_error(0.0).margin, 20.0);
  Json exact = check;
  exact["bound"] = 0;
  Json row = ring_row(2, 1.0);
  row["max_error"] = 1e-9;
  EXPECT_EQ(outcome_of(exact, {{"tolerance", 1}}, {row}).finding, Finding::contradicts);
  EXPECT_EQ(outcome_of(exact, {{"tolerance", 1}}, {row}).margin, -20.0);
  Json both = check;
  both["relative_bound"] = 0.1;
  EXPECT_THAT(testing::refusal([&] { outcome_of(both, {{"tolerance", 1}}); }), HasSubstr("one of them"));
}

TEST(Equality, ComparesTablesRowByRow) {
  const Json check{{"kind", "equality_within_bound"},
                   {"asks", "Is it the series?"},
                   {"figure", {{"each", "rows"}, {"formula", "memory_bytes"}, {"figure", "memory_bytes"}}},
                   {"expected", from_rows({{"min", 1}}, "memory_peak_bytes")},
                   {"pair_by", {"ring_size"}},
                   {"relative_bound", 0.01}};
  const Json values{{"rows", {{{"ring_size", 1}, {"memory_bytes", 100}}, {{"ring_size", 2}, {"memory_bytes", 50}}}}};
  Json one = ring_row(1, 1.0), two = ring_row(2, 1.0);
  one["memory_peak_bytes"] = 100.5;
  two["memory_peak_bytes"] = 50;
  EXPECT_EQ(outcome_of(check, values, {one, two}).finding, Finding::agrees);
  two["memory_peak_bytes"] = 60;
  const Outcome outcome = outcome_of(check, values, {one, two});
  EXPECT_EQ(outcome.finding, Finding::contradicts);
  EXPECT_THAT(outcome.reason, HasSubstr("ring_size=2"));
}

TEST(Arithmetic, ComparesExpressions) {
  const auto verdict = [](double minutes) {
    return judge_one({{"tokens", 1e9}, {"tokens_per_s", 2225089}, {"minutes", minutes}},
                     {{{"kind", "arithmetic"},
                       {"asks", "Is it so?"},
                       {"left", "tokens / tokens_per_s / 60"},
                       {"right", "minutes"},
                       {"relative_tolerance", 0.01}}});
  };
  EXPECT_EQ(verdict(7.5).judgement, Judgement::supported);
  EXPECT_EQ(verdict(8.0).judgement, Judgement::refuted);
  EXPECT_EQ(verdict(std::nan("")).judgement, Judgement::not_testable_here);
}

const Json exponent_check{{"kind", "fitted_exponent"},         {"asks", "Is time constant?"},
                          {"points", from_rows({{"min", 1}})}, {"x", "ring_size"},
                          {"group_by", {"chunk_tokens"}},      {"accept", {{"low", -0.1}, {"high", 0.1}}}};

Json power_rows(double exponent, double ripple = 0.0) {
  Json rows = Json::array();
  for (int index = 0; index < 5; ++index) {
    const double x = std::pow(4.0, index);
    rows.push_back(ring_row(std::llround(x), std::pow(x, exponent) * (1.0 + (index % 2 == 0 ? ripple : -ripple))));
  }
  return rows;
}

TEST(FittedExponent, FindsTheLaw) {
  const Outcome flat = outcome_of(exponent_check, Json::object(), power_rows(0.0));
  EXPECT_EQ(flat.finding, Finding::agrees);
  EXPECT_NEAR(flat.margin, 0.1 * std::log10(256.0), 1e-9);
  const Outcome linear = outcome_of(exponent_check, Json::object(), power_rows(1.0));
  EXPECT_EQ(linear.finding, Finding::contradicts);
  EXPECT_NEAR(linear.margin, -0.9 * std::log10(256.0), 1e-9);
  EXPECT_EQ(linear.evidence.back().figure, "fitted_exponent");
  EXPECT_NEAR(linear.evidence.back().value, 1.0, 1e-12);
}

TEST(FittedExponent, IsUndecidedByNoiseNaNAndTooFewPoints) {
  EXPECT_EQ(outcome_of(exponent_check, Json::object(), power_rows(0.0, 0.5)).finding, Finding::undecided);
  Json rows = power_rows(0.0);
  rows[2]["time_s"] = nullptr;
  EXPECT_EQ(outcome_of(exponent_check, Json::object(), rows).finding, Finding::undecided);
  const Json two{ring_row(1, 1.0), ring_row(2, 1.0), ring_row(2, 1.0)};
  const Outcome few = outcome_of(exponent_check, Json::object(), two);
  EXPECT_EQ(few.finding, Finding::undecided);
  EXPECT_THAT(few.reason, HasSubstr("at most 2 different ring_size"));
}

TEST(FittedExponent, KeepsGroupsApart) {
  Json rows = power_rows(0.0);
  for (const Json &row : power_rows(1.0)) {
    rows.push_back(row);
    rows.back()["chunk_tokens"] = 4096;
  }
  const Outcome outcome = outcome_of(exponent_check, Json::object(), rows);
  EXPECT_EQ(outcome.finding, Finding::contradicts);
  EXPECT_THAT(outcome.reason, HasSubstr("chunk_tokens=4096"));
  EXPECT_THAT(outcome.reason, HasSubstr("1 of 2 figures agree"));
}

} // namespace
} // namespace ringscale::claims
