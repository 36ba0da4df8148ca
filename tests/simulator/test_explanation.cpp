// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "simulator/explanation.hpp"
#include "tests/simulator/draw.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::simulator {
namespace {

using problem::Mask;
using simulator_tests::Draw;
using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

/// The digits of a decimal as an integer; all texts of one table have the same number of decimals.
std::int64_t digits_of(const std::string &text) {
  std::string digits;
  for (const char letter : text) {
    if (letter != '.') {
      digits += letter;
    }
  }
  return std::stoll(digits);
}

std::int64_t sum_of(const std::vector<std::string> &texts) {
  std::int64_t sum = 0;
  for (std::size_t part = 0; part + 1 < texts.size(); ++part) {
    sum += digits_of(texts[part]);
  }
  return sum;
}

TEST(Explanation, ShownDigitsAddUp) {
  Draw draw(11, 29);
  for (int round = 0; round < 2000; ++round) {
    std::vector<double> parts;
    double total = 0.0;
    const double scale = std::pow(10.0, static_cast<double>(draw.below(16)) - 6.0);
    for (std::int64_t part = 0; part < 9; ++part) {
      parts.push_back(
          draw.coin() ? 0.0 : scale * draw.between(0.1, 1.0) * std::pow(10.0, -static_cast<double>(draw.below(9))));
      total += parts.back();
    }
    const std::vector<std::string> texts = decimals_that_add_up(parts, total, 7);
    ASSERT_EQ(texts.size(), 10U);
    EXPECT_EQ(sum_of(texts), digits_of(texts.back()));
    for (std::size_t part = 0; part < parts.size(); ++part) {
      const double unit = std::pow(10.0, -static_cast<double>(texts[part].find('.') == std::string::npos
                                                                  ? 0
                                                                  : texts[part].size() - texts[part].find('.') - 1));
      EXPECT_LE(std::abs(std::stod(texts[part]) - parts[part]), 1.01 * unit + 1e-12 * total);
    }
  }
}

TEST(Explanation, RoundingEachPartAloneWouldNotAddUp) {
  // Negative control: three thirds of 1 at two digits are 0.33 each.
  const std::vector<double> parts(3, 1.0 / 3.0);
  const std::vector<std::string> texts = decimals_that_add_up(parts, 1.0, 3);
  EXPECT_EQ(texts, (std::vector<std::string>{"0.34", "0.33", "0.33", "1.00"}));
}

TEST(Explanation, TotalsBeyond64BitsKeepTheirDigits) {
  // A run without checkpoints that is expected to take 10^24 s, nearly all of it lost work.
  EXPECT_EQ(decimals_that_add_up({1.2e24, 3.0e23, 178023.0}, 1.5e24, 4),
            (std::vector<std::string>{"1.200e+24", "0.300e+24", "0.000e+24", "1.500e+24"}));
  EXPECT_EQ(decimals_that_add_up({1e300, 1e300}, 2e300, 3),
            (std::vector<std::string>({"1.00e+300", "1.00e+300", "2.00e+300"})));
  // Up to there whole seconds are shown.
  EXPECT_EQ(decimals_that_add_up({4208171419427084.0, 17802.0}, 4208171419444886.0, 7).back(), "4208171419444886");
}

TEST(Explanation, PartsThatDoNotAddUpAreRefused) {
  EXPECT_THROW(decimals_that_add_up({1.0, 2.0}, 3.1, 7), std::logic_error);
  EXPECT_THROW(decimals_that_add_up({4.0, -1.0}, 3.0, 7), std::logic_error);
  EXPECT_THROW(decimals_that_add_up({1.0}, std::nan(""), 7), std::logic_error);
}

TEST(Explanation, ARunsPartsAddUpOnEverySchedule) {
  machine::Machine machine = simple_machine(1e-9, 2e-6, 3e8);
  machine.overlap.hidden_fraction = number(0.6);
  machine.merge.fused = false;
  machine.merge.per_element_s = number(1e-11);
  machine.step_fixed_s = number(4e-6);
  machine.failures = machine::Failures{number(1e4), number(0.1), number(0.2), number(1e8), std::nullopt};
  for (const schedule::Schedule schedule :
       {schedule::Schedule::ring, schedule::Schedule::bidirectional_ring, schedule::Schedule::double_ring,
        schedule::Schedule::all_gather, schedule::Schedule::local_only}) {
    for (const schedule::Pass pass : {schedule::Pass::forward, schedule::Pass::backward}) {
      SimulationOptions options = ring_options(24, 256, Mask::causal);
      options.problem.schedule = schedule;
      options.problem.inner_ring_size = schedule == schedule::Schedule::double_ring ? 4 : 1;
      options.problem.pass = pass;
      options.jitter = 0.05;
      options.speed_spread = 0.1;
      options.failures.passes = 1000;
      options.failures.rule = CheckpointRule::young;
      const Simulation result = simulate(machine, options);
      const Explanation explanation = explain(result);
      std::vector<double> seconds;
      for (const ExplainedPart &part : explanation.parts) {
        seconds.push_back(part.seconds);
      }
      EXPECT_EQ(explanation.total_s, result.failures->expected.total_s);
      EXPECT_GT(explanation.total_s, 1000.0 * result.time_s);
      const std::vector<std::string> texts = decimals_that_add_up(seconds, explanation.total_s, 7);
      EXPECT_EQ(sum_of(texts), digits_of(texts.back())) << schedule::name(schedule);
    }
  }
}

} // namespace
} // namespace ringscale::simulator
