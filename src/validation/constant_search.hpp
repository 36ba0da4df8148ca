// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace ringscale::validation {

/// A positive constant to be found: where the search begins, how it may move, and how strongly it is held there.
struct Unknown {
  double start = 1.0;
  double low = 0.0;
  double high = 0.0;
  double hold = 0.05; ///< added to the objective for a factor e away from the start, squared
};

/// |log ratio|, rounded off below one percent: what fits sum over their figures. A figure that is far off counts once.
double soft_distance(double ratio);

/// What to add to the name of a constant that was found at an end of its range, where figures and model do not go
/// together: ", at its bound"; else nothing.
std::string bound_of(const Unknown &unknown, double value);

/// Minimises objective(values) + sum of hold x log(value / start)^2 by a pattern search in the logarithms (after Hooke
/// and Jeeves 1961): steps along every axis and every diagonal of two, halved when none helps. Deterministic. For a
/// handful of unknowns.
std::vector<double> search_constants(const std::vector<Unknown> &unknowns,
                                     const std::function<double(const std::vector<double> &)> &objective);

} // namespace ringscale::validation
