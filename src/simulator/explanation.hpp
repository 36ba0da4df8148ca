// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "simulator/simulation.hpp"

namespace ringscale::simulator {

/// One line of where the time of a run went.
struct ExplainedPart {
  std::string name;
  double seconds = 0.0;
  std::string kind; ///< simulated, or analytic for what failures are expected to cost
};

/// Where the time of the slowest device went, over all passes of the run, failures included; parts add up to total_s.
struct Explanation {
  std::int64_t rank = 0;
  std::int64_t passes = 1;
  std::vector<ExplainedPart> parts;
  double total_s = 0.0; ///< infinite where the run is not expected to end
};
Explanation explain(const Simulation &result);

/// Decimal texts of `parts` and, last, of `total`, all with the same number of decimals: the total rounded to `digits`
/// significant digits and the parts so that the texts add up to the total's exactly (the largest remainders are rounded
/// up). Totals of 10^16 and more are shown as 1.234567e+17, their parts with the same power of ten. Throws
/// std::logic_error when the parts themselves do not add up, and for what is not finite.
std::vector<std::string> decimals_that_add_up(const std::vector<double> &parts, double total, int digits);

} // namespace ringscale::simulator
