// SPDX-License-Identifier: Apache-2.0
// What intervals do to findings: each end belongs in the right place of a quotient, a bound and a capacity.
#include <cmath>

#include <gmock/gmock.h>

#include "claim_fixture.hpp"
#include "claims/hypotheses.hpp"

namespace ringscale::claims {
namespace {

using report::Json;
using testing::outcome_of;
using testing::ring_row;

Json from_rows(const Json &ring_size, const std::string &figure) {
  return {{"select", {{"kind", "measured"}, {"verb", "ring"}, {"ring_size", ring_size}}},
          {"figure", figure},
          {"delivered_by", "a sweep"}};
}

/// A row of one figure with an interval.
Json row_with(std::int64_t ring_size, const std::string &figure, double value, double low, double high,
              const std::string &point = "p") {
  Json row = ring_row(ring_size, 1.0, point);
  row[figure] = value;
  row[figure + "_interval"] = {{"low", low}, {"high", high}, {"confidence", 0.95}};
  return row;
}

TEST(Intervals, OfAQuotientAreItsFarthestEnds) {
  const auto finding = [](const Json &numerator, const Json &denominator, const Json &accept) {
    const Json check{{"kind", "ratio"},
                     {"asks", "?"},
                     {"numerator", from_rows(2, "time_s")},
                     {"denominator", from_rows(1, "time_s")},
                     {"accept", accept}};
    return outcome_of(check, Json::object(), {numerator, denominator}).finding;
  };
  // (1.8 .. 2.2) / (0.8 .. 1.25) is 1.44 .. 2.75
  const Json two = row_with(2, "time_s", 2.0, 1.8, 2.2);
  const Json one = row_with(1, "time_s", 1.0, 0.8, 1.25);
  EXPECT_EQ(finding(two, one, {{"low", 1.43}, {"high", 2.76}}), Finding::agrees);
  EXPECT_EQ(finding(two, one, {{"low", 1.45}}), Finding::undecided);
  EXPECT_EQ(finding(two, one, {{"high", 2.74}}), Finding::undecided);
  EXPECT_EQ(finding(two, one, {{"low", 2.76}}), Finding::contradicts);
  EXPECT_EQ(finding(two, one, {{"high", 1.43}}), Finding::contradicts);
}

TEST(Intervals, OfADifferenceMustLieWithinTheBoundAltogether) {
  const Json check{{"kind", "equality_within_bound"},
                   {"asks", "?"},
                   {"figure", from_rows(2, "max_error")},
                   {"expected", "0"},
                   {"bound", 1e-6}};
  const auto finding = [&](double low, double high) {
    return outcome_of(check, Json::object(), row_with(2, "max_error", 5e-7, low, high)).finding;
  };
  EXPECT_EQ(finding(1e-7, 9e-7), Finding::agrees);
  EXPECT_EQ(finding(1e-7, 2e-6), Finding::undecided);
}

TEST(Intervals, OfBytesMustFitAltogether) {
  const Json check{{"kind", "capacity"},
                   {"asks", "?"},
                   {"needed_bytes", from_rows(2, "memory_peak_bytes")},
                   {"available_bytes", 100}};
  const auto finding = [&](double low, double high) {
    return outcome_of(check, Json::object(), row_with(2, "memory_peak_bytes", (low + high) / 2.0, low, high)).finding;
  };
  EXPECT_EQ(finding(80, 100), Finding::agrees);
  EXPECT_EQ(finding(90, 110), Finding::undecided);
  EXPECT_EQ(finding(101, 110), Finding::contradicts);
}

TEST(Intervals, OfAnExponentAreThoseOfStudent) {
  const Json check{{"kind", "fitted_exponent"},
                   {"asks", "?"},
                   {"points", from_rows({{"min", 1}}, "time_s")},
                   {"x", "ring_size"},
                   {"accept", {{"low", -1}, {"high", 1}}}};
  Json rows = Json::array();
  constexpr double ripple = 0.01;
  for (int index = 0; index < 5; ++index) {
    rows.push_back(ring_row(std::llround(std::pow(4.0, index)), index % 2 == 0 ? 1.0 + ripple : 1.0 - ripple));
  }
  const Outcome outcome = outcome_of(check, Json::object(), rows);
  // Residuals 2/5 d three times and 3/5 d twice, d = log((1 + r) / (1 - r)); 3 degrees of freedom; x at -2 .. 2 log 4.
  const double d = std::log((1.0 + ripple) / (1.0 - ripple));
  const double error = std::sqrt(6.0 / 5.0 * d * d / 3.0 / (10.0 * std::log(4.0) * std::log(4.0)));
  EXPECT_NEAR(outcome.evidence.back().interval->high, 3.182 * error, 1e-9);
  EXPECT_NEAR(outcome.evidence.back().interval->low, -3.182 * error, 1e-9);
}

TEST(Intervals, OfAMedianAreTheMediansOfTheEnds) {
  Json quantity = from_rows(2, "time_s");
  quantity["reduce"] = "median";
  const Json check{{"kind", "ratio"}, {"asks", "?"}, {"numerator", quantity}, {"accept", {{"high", 2.45}}}};
  const Json rows{row_with(2, "time_s", 1.0, 0.9, 1.5, "a"), row_with(2, "time_s", 2.0, 1.9, 2.5, "b"),
                  row_with(2, "time_s", 3.0, 2.9, 3.5, "c")};
  EXPECT_EQ(outcome_of(check, Json::object(), rows).finding, Finding::undecided) << "1.9 .. 2.5";
  Json wider = check;
  wider["accept"]["high"] = 2.5;
  EXPECT_EQ(outcome_of(wider, Json::object(), rows).finding, Finding::agrees);
}

TEST(Pairs, TakeTheMedianPartner) {
  const Json check{{"kind", "ratio"},
                   {"asks", "?"},
                   {"numerator", from_rows(2, "time_s")},
                   {"denominator", from_rows(1, "time_s")},
                   {"pair_by", {"chunk_tokens"}},
                   {"accept", {{"low", 0.49}, {"high", 0.51}}}};
  const Json rows{ring_row(2, 1.0), ring_row(1, 4.0, "a"), ring_row(1, 1.0, "b"), ring_row(1, 2.0, "c")};
  EXPECT_EQ(outcome_of(check, Json::object(), rows).finding, Finding::agrees);
}

TEST(Hypotheses, PayForEachConstantByTheInformationCriterion) {
  // Exact fits of 5 points: n log(resolution^2) + k log n.
  Json document = testing::ledger_json({{"rows",
                                         {{{"x", 1}, {"y", 3}},
                                          {{"x", 2}, {"y", 5}},
                                          {{"x", 4}, {"y", 9}},
                                          {{"x", 8}, {"y", 17}},
                                          {{"x", 16}, {"y", 33}}}}},
                                       {{{"kind", "best_hypothesis"}, {"asks", "?"}, {"accept", {"given"}}}});
  document["claims"][0]["hypotheses"] = {{"series", {{"each", "rows"}, {"formula", "y"}, {"figure", "y"}}},
                                         {"relative_resolution", 1e-4},
                                         {"models", Json::parse(R"([
      {"name": "given", "explains": "1 + 2 x", "fixed": "1 + 2 * x"},
      {"name": "line", "explains": "a + b x", "fitted": {"a": "1", "b": "x"}}])")}};
  const Ledger ledger = read_ledger(document, "ledger.json", ".");
  const Verdict verdict = judge(ledger.claims[0], ledger, testing::rows_of(Json::array()));
  EXPECT_NEAR(verdict.hypotheses.fits.at(0).bayes_information_criterion, 5.0 * std::log(1e-8), 1e-9);
  EXPECT_NEAR(verdict.hypotheses.fits.at(1).bayes_information_criterion, 5.0 * std::log(1e-8) + 2.0 * std::log(5.0),
              1e-9);
}

} // namespace
} // namespace ringscale::claims
