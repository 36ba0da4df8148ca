// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "validation/calibration_choice.hpp"
#include "validation/constant_search.hpp"

namespace ringscale::validation {
namespace {

TEST(ConstantSearch, FindsConstantsThatMakeUpForOneAnother) {
  // y = a + b x at two x: a and b lie on a valley of the objective.
  const auto objective = [](const std::vector<double> &values) {
    double sum = 0.0;
    for (const auto &[x, y] : {std::pair(1.0, 5.0), std::pair(10.0, 23.0)}) {
      sum += soft_distance((values[0] + values[1] * x) / y);
    }
    return sum;
  };
  const auto found = search_constants({{1.0, 1e-3, 1e3, 1e-9}, {1.0, 1e-3, 1e3, 1e-9}}, objective);
  EXPECT_NEAR(found[0], 3.0, 0.02);
  EXPECT_NEAR(found[1], 2.0, 0.02);
}

TEST(ConstantSearch, StaysWhereNothingSpeaksAndWithinItsBounds) {
  const auto indifferent = search_constants({{0.7, 0.1, 1.0, 0.02}}, [](const std::vector<double> &) { return 0.0; });
  EXPECT_DOUBLE_EQ(indifferent[0], 0.7);
  const auto pulled =
      search_constants({{0.7, 0.1, 1.0, 1e-6}}, [](const std::vector<double> &at) { return -std::log(at[0]); });
  EXPECT_DOUBLE_EQ(pulled[0], 1.0);
}

TEST(ConstantSearch, OneFigureThatIsFarOffDoesNotDrawTheRest) {
  const auto found = search_constants({{1.0, 1e-3, 1e3, 1e-9}}, [](const std::vector<double> &at) {
    double sum = 0.0;
    for (const double y : {2.0, 2.0, 2.0, 40.0}) {
      sum += soft_distance(at[0] / y);
    }
    return sum;
  });
  EXPECT_NEAR(found[0], 2.0, 0.02);
}

TEST(CalibrationChoice, TakesFiguresThatDiffer) {
  const std::vector<std::vector<std::string>> features{{"ring", "8"},  {"ring", "8"},   {"ring", "8"},
                                                       {"ring", "16"}, {"zigzag", "8"}, {"zigzag", "16"}};
  const auto chosen = choose_calibration(features, 3);
  ASSERT_EQ(chosen.size(), 3U);
  std::set<std::vector<std::string>> different;
  for (const std::size_t place : chosen) {
    different.insert(features[place]);
  }
  EXPECT_EQ(different.size(), 3U);
  EXPECT_TRUE(choose_calibration({}, 3).empty());
  EXPECT_EQ(choose_calibration(features, 99).size(), features.size());
  EXPECT_TRUE(choose_calibration(features, 0).empty());
}

} // namespace
} // namespace ringscale::validation
