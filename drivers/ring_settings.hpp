// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schedule/ring_schedule.hpp"

namespace ringscale::drivers {

/// A ring that is run and timed: to fit the terms that only whole rings show, or held out and predicted.
struct RingSetting {
  schedule::RingProblem problem;
  bool held_out = false;
};

/// Heads of every calibrated tile and ring.
inline constexpr std::int64_t calibrated_heads = 8;

/// Rings of 1 .. min(ranks, 8) that `calibrate` fits on: forward, schedule ring, unmasked and causal, contiguous and
/// zigzag, of every chunk in `chunks`.
std::vector<RingSetting> calibration_rings(int ranks, std::int64_t head_dim, const std::vector<std::int64_t> &chunks);

/// The fixed split of `validate --measured` over rings of 1 .. min(ranks, 8). Fitted on: forward rings of 1 rank and of
/// even sizes, of the shortest, the second and the longest chunk, unmasked and causal contiguous. Held out: the other
/// chunks, rings of 3, 5 and 7 ranks, zigzag and striped placements, bidirectional and double rings, all-gathers,
/// needed hops, moving queries and every backward pass. `chunks` rises and has four entries or more.
std::vector<RingSetting> validation_rings(int ranks, std::int64_t head_dim, const std::vector<std::int64_t> &chunks);

/// "P=4 x 512 tokens, causal zigzag bidirectional_ring backward".
std::string describe(const schedule::RingProblem &problem);

} // namespace ringscale::drivers
