// SPDX-License-Identifier: Apache-2.0
#include "validation/constant_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ringscale::validation {

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
  double best = cost(values);
  constexpr double first_step = 0.7;
  constexpr double last_step = 0.004;
  for (double step = first_step; step > last_step;) {
    bool better = false;
    for (std::size_t index = 0; index < values.size(); ++index) {
      for (const double direction : {step, -step}) {
        std::vector<double> tried = values;
        tried[index] = std::clamp(tried[index] * std::exp(direction), unknowns[index].low, unknowns[index].high);
        const double found = cost(tried);
        if (found < best) {
          best = found;
          values = tried;
          better = true;
        }
      }
    }
    step *= better ? 1.0 : 0.5;
  }
  return values;
}

} // namespace ringscale::validation
