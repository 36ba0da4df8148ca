// SPDX-License-Identifier: Apache-2.0
#include "validation/constant_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ringscale::validation {

namespace {

/// Axes and diagonals of pairs of axes, both ways: constants that make up for one another lie on the latter.
std::vector<std::vector<double>> directions_of(std::size_t unknowns) {
  std::vector<std::vector<double>> directions;
  for (std::size_t first = 0; first < unknowns; ++first) {
    for (const double sign : {1.0, -1.0}) {
      std::vector<double> axis(unknowns, 0.0);
      axis[first] = sign;
      directions.push_back(axis);
      for (std::size_t second = first + 1; second < unknowns; ++second) {
        for (const double other : {1.0, -1.0}) {
          axis[second] = other;
          directions.push_back(axis);
          axis[second] = 0.0;
        }
      }
    }
  }
  return directions;
}

} // namespace

double soft_distance(double ratio) {
  constexpr double small = 0.01;
  const double distance = std::log(ratio);
  return std::sqrt(distance * distance + small * small) - small;
}

std::string bound_of(const Unknown &unknown, double value) {
  constexpr double near = 1e-6;
  const bool starts_there = unknown.start <= unknown.low || unknown.start >= unknown.high;
  const bool is_there = value <= unknown.low * (1.0 + near) || value >= unknown.high * (1.0 - near);
  return is_there && !starts_there ? ", at its bound" : "";
}

std::vector<double> search_constants(const std::vector<Unknown> &unknowns,
                                     const std::function<double(const std::vector<double> &)> &objective) {
  std::vector<double> values;
  for (const Unknown &unknown : unknowns) {
    values.push_back(unknown.start);
  }
  const auto cost = [&](const std::vector<double> &at) {
    double total = objective(at);
    for (std::size_t index = 0; index < at.size(); ++index) {
      const double distance = std::log(at[index] / unknowns[index].start);
      total += unknowns[index].hold * distance * distance;
    }
    return std::isfinite(total) ? total : std::numeric_limits<double>::max();
  };
  const std::vector<std::vector<double>> directions = directions_of(unknowns.size());
  double best = cost(values);
  constexpr double first_step = 0.7;
  constexpr double last_step = 0.002;
  for (double step = first_step; step > last_step;) {
    const double before = best;
    for (const std::vector<double> &direction : directions) {
      std::vector<double> tried = values;
      for (std::size_t index = 0; index < tried.size(); ++index) {
        tried[index] =
            std::clamp(tried[index] * std::exp(step * direction[index]), unknowns[index].low, unknowns[index].high);
      }
      const double found = cost(tried);
      if (found < best) {
        best = found;
        values = tried;
      }
    }
    // A gain too small to matter counts as none, so the steps get shorter and the search ends.
    constexpr double least_gain = 1e-7;
    step *= before - best > least_gain ? 1.0 : 0.5;
  }
  return values;
}

} // namespace ringscale::validation
