// SPDX-License-Identifier: Apache-2.0
#include "simulator/explanation.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <stdexcept>

namespace ringscale::simulator {

namespace {

/// `units` of 10^-decimals as text.
std::string decimal(std::int64_t units, int decimals) {
  std::int64_t one = 1;
  for (int place = 0; place < decimals; ++place) {
    one *= 10;
  }
  std::string text = std::to_string(units / one);
  if (decimals > 0) {
    const std::string rest = std::to_string(units % one);
    text += ".";
    text.append(static_cast<std::size_t>(decimals) - rest.size(), '0');
    text += rest;
  }
  return text;
}

} // namespace

Explanation explain(const Simulation &result) {
  const Breakdown &slowest = result.slowest;
  Explanation explanation;
  explanation.rank = slowest.rank;
  explanation.passes = result.failures ? result.failures->passes : 1;
  const auto passes = static_cast<double>(explanation.passes);
  const auto add = [&](const char *name, double seconds) {
    explanation.parts.push_back({name, seconds * passes, "simulated"});
  };
  add("compute", slowest.compute_s);
  add("merge", slowest.merge_s);
  add("fixed per step", slowest.fixed_s);
  add("exposed communication", slowest.exposed_communication_s);
  add("waiting for neighbours", slowest.waiting_s);
  explanation.total_s = slowest.total_s * passes;
  if (result.failures) {
    const RecoveryParts &expected = result.failures->expected;
    explanation.parts.push_back({"recovery: checkpoints", expected.checkpoint_s, "analytic"});
    explanation.parts.push_back({"recovery: lost work", expected.lost_work_s, "analytic"});
    explanation.parts.push_back({"recovery: detection", expected.detection_s, "analytic"});
    explanation.parts.push_back({"recovery: restart", expected.restart_s, "analytic"});
    explanation.total_s = expected.total_s;
  }
  return explanation;
}

std::vector<std::string> decimals_that_add_up(const std::vector<double> &parts, double total, int digits) {
  const double sum = std::accumulate(parts.begin(), parts.end(), 0.0);
  if (!(std::isfinite(total) && std::abs(sum - total) <= 1e-9 * std::abs(total))) {
    throw std::logic_error("parts that add up to " + std::to_string(sum) + " are shown beside a total of " +
                           std::to_string(total));
  }
  constexpr int most_decimals = 15;
  constexpr int most_places = 15; // before the point: whole numbers up to here are exact
  const int leading = total > 0.0 ? static_cast<int>(std::floor(std::log10(total))) : 0;
  const int exponent = leading > most_places ? leading : 0;
  const int decimals = std::clamp(digits - 1 - leading + exponent, 0, most_decimals);
  const double unit = std::pow(10.0, exponent - decimals);
  const std::int64_t total_units = std::llround(total / unit);
  std::vector<std::int64_t> units;
  std::vector<double> remainders;
  for (const double part : parts) {
    if (!(part >= -1e-6 * total)) {
      throw std::logic_error("a part of " + std::to_string(part) + " s is below 0 by more than rounding");
    }
    const double exact = std::max(0.0, part / unit);
    units.push_back(static_cast<std::int64_t>(std::floor(exact)));
    remainders.push_back(exact - std::floor(exact));
  }
  std::int64_t left = total_units - std::accumulate(units.begin(), units.end(), std::int64_t{0});
  std::vector<std::size_t> order(parts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t one, std::size_t other) { return remainders[one] > remainders[other]; });
  for (std::size_t place = 0; left > 0 && place < order.size(); ++place, --left) {
    ++units[order[place]];
  }
  // Negative only when parts below 0 were shown as 0: the largest part gives.
  const auto largest = std::max_element(units.begin(), units.end());
  if (largest != units.end()) {
    *largest += left;
  }
  std::vector<std::string> texts;
  const std::string power = exponent > 0 ? "e+" + std::to_string(exponent) : "";
  for (const std::int64_t part : units) {
    texts.push_back(decimal(part, decimals) + power);
  }
  texts.push_back(decimal(total_units, decimals) + power);
  return texts;
}

} // namespace ringscale::simulator
