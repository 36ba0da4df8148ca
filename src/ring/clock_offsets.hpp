// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "ring/communicator.hpp"

namespace ringscale::ring {

/// How far a rank's clock is ahead of rank 0's: it lies within offset_s +- uncertainty_s where the clock ran evenly.
struct ClockOffset {
  double offset_s = 0.0;
  double uncertainty_s = 0.0;
};

/// Every rank's clock against rank 0's by round trips of eight bytes (Cristian 1989): of the shortest of `exchanges`
/// round trips, the offset is the rank's time minus the middle of rank 0's two, and half the round trip is what it can
/// be off. `clock`: of this rank, in seconds. Collective, one rank after the other; rank 0 gets one entry a rank, the
/// others an empty list.
std::vector<ClockOffset> clock_offsets(const Communicator &communicator, const std::function<double()> &clock,
                                       int exchanges = 30);

/// Offsets in the middle between two measurements, with what they differ by in the uncertainty.
std::vector<ClockOffset> between(const std::vector<ClockOffset> &before, const std::vector<ClockOffset> &after);

} // namespace ringscale::ring
