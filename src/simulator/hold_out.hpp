// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "machine/machine.hpp"
#include "simulator/simulation.hpp"
#include "statistics/summary.hpp"

namespace ringscale::simulator {

/// A real ring, timed; options.ranks_on_node says how many ranks shared the node.
struct MeasuredRing {
  SimulationOptions options;
  std::vector<double> samples_s;
  statistics::Typical typical = statistics::Typical::median; ///< what stands for the samples

  double measured_s() const { return statistics::typical(samples_s, typical); }
};

/// Fits the terms that no single measurement shows (step_fixed_s, hidden fraction, core sharing, the factor of backward
/// tiles) on whole rings, from the machine's own values on: a pattern search on the sum of |log(predicted / measured)|
/// (rounded off near 0), first over forward rings whose ranks have cores of their own, then over those that share, then
/// over backward rings. Rings of a kind that are not there leave their terms as they are.
void fit_free_terms(machine::Machine &machine, const std::vector<MeasuredRing> &rings);

/// Fits on all rings, then sets the machine's hold_out: every ring predicted by a fit in which it took no part. Rings
/// of the same setting are left out together.
void cross_validate(machine::Machine &machine, const std::vector<MeasuredRing> &rings);

} // namespace ringscale::simulator
