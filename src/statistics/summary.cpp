// SPDX-License-Identifier: Apache-2.0
#include "statistics/summary.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <stdexcept>
#include <vector>

namespace ringscale::statistics {

namespace {

constexpr double wanted_confidence = 0.95;

std::vector<double> sorted(std::span<const double> samples) {
  if (samples.empty()) {
    throw std::invalid_argument("statistics of no samples");
  }
  std::vector<double> ordered(samples.begin(), samples.end());
  // A NaN has no place in an order; sorting it would silently give any answer.
  if (std::any_of(ordered.begin(), ordered.end(), [](double value) { return std::isnan(value); })) {
    throw std::invalid_argument("statistics of a sample that is not a number");
  }
  std::sort(ordered.begin(), ordered.end());
  return ordered;
}

double quantile_of_sorted(const std::vector<double> &ordered, double q) {
  const double place = q * static_cast<double>(ordered.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(place));
  const std::size_t above = std::min(below + 1, ordered.size() - 1);
  const double part = place - static_cast<double>(below);
  if (part == 0.0 || ordered[below] == ordered[above]) {
    return ordered[below]; // also keeps infinities out of inf - inf
  }
  return ordered[below] + part * (ordered[above] - ordered[below]);
}

} // namespace

double median(std::span<const double> samples) { return quantile_of_sorted(sorted(samples), 0.5); }

double typical(std::span<const double> samples, Typical kind) {
  return kind == Typical::fastest ? quantile(samples, 0.0) : median(samples);
}

double quantile(std::span<const double> samples, double q) {
  if (!(q >= 0.0 && q <= 1.0)) {
    throw std::invalid_argument("a quantile lies between 0 and 1");
  }
  return quantile_of_sorted(sorted(samples), q);
}

Interval median_interval(std::span<const double> samples) {
  const std::vector<double> ordered = sorted(samples);
  const std::size_t count = ordered.size();
  const auto size = static_cast<double>(count);
  // Trimming j samples at each end leaves coverage 1 - 2 P(Binomial(n, 1/2) <= j); logarithms because 2^-n
  // underflows for large samples.
  double log_term = -size * std::numbers::ln2;
  double tail = std::exp(log_term);
  Interval interval{ordered.front(), ordered.back(), std::max(0.0, 1.0 - 2.0 * tail)};
  for (std::size_t trimmed = 1; 2 * trimmed < count; ++trimmed) {
    const auto taken = static_cast<double>(trimmed);
    log_term += std::log((size - taken + 1.0) / taken);
    tail += std::exp(log_term);
    const double confidence = 1.0 - 2.0 * tail;
    if (!(confidence >= wanted_confidence)) {
      break;
    }
    interval = {ordered[trimmed], ordered[count - 1 - trimmed], confidence};
  }
  return interval;
}

} // namespace ringscale::statistics
