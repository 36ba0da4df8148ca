// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "report/json.hpp"
#include "simulator/held_out_rings.hpp"

namespace ringscale::drivers {

class Session;

/// Goals for rings whose ranks have cores of their own, of |predicted / measured - 1|.
inline constexpr double median_error_goal = 0.03;
inline constexpr double percentile_90_error_goal = 0.05;

/// One row a ring: what was measured and what was simulated side by side, each with its kind.
report::Json held_out_rows(const machine::Machine &machine, const std::vector<simulator::HeldOutRing> &rings);

/// Errors of both kinds of rings and by group, goals, and what sharing cores costs.
report::Json held_out_summary(const std::vector<simulator::HeldOutRing> &rings);

/// The same as a table for people.
void print_held_out(Session &session, const std::vector<simulator::HeldOutRing> &rings);

} // namespace ringscale::drivers
