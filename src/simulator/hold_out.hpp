// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "machine/machine.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::simulator {

/// A real ring, timed; options.ranks_on_node says how many ranks shared the node.
struct MeasuredRing {
  SimulationOptions options;
  std::vector<double> samples_s;
};

/// The terms that no single measurement shows and that are fitted on whole rings.
struct FreeTerms {
  double step_fixed_s = 0.0;
  double hidden_fraction = 1.0;
  double neighbour_factor = 1.0;
  double idle_share = 0.0;
  double crowding = 1.0;
  double extra_step_s = 0.0;
};

FreeTerms free_terms(const machine::Machine &machine);
/// `machine` with these terms; sources stay.
machine::Machine with_terms(machine::Machine machine, const FreeTerms &terms);

/// Minimises the sum of |log(predicted / measured)| (rounded off near 0) by a pattern search that starts at the
/// machine's own terms: first the terms of rings whose ranks have cores of their own, then those of rings that share.
/// Rings of either kind that are not there leave their terms as they are.
FreeTerms fit_free_terms(const machine::Machine &machine, const std::vector<MeasuredRing> &rings);

/// Sets the machine's free terms by a fit on all rings, and its hold_out by fits that leave one ring out each and
/// predict it. Rings of the same (ring_size, tokens, mask, placement, shape) are left out together.
void cross_validate(machine::Machine &machine, const std::vector<MeasuredRing> &rings);

} // namespace ringscale::simulator
