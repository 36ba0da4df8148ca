// SPDX-License-Identifier: Apache-2.0
#include "simulator/chunk_balance.hpp"

#include <algorithm>
#include <cstddef>

#include "simulator/meeting_work.hpp"

namespace ringscale::simulator {

std::vector<double> chunk_weights_by_speed(const machine::Fleet &fleet, const SimulationOptions &options) {
  schedule::RingProblem whole = options.problem;
  whole.attention.mask = problem::Mask::none;
  whole.attention.tokens = std::max<std::int64_t>(1, options.problem.attention.tokens / options.problem.ring_size);
  problem::TokenSet chunk;
  chunk.first.count = whole.attention.tokens;
  std::vector<double> weights;
  for (std::size_t type = 0; type < fleet.types(); ++type) {
    MeetingWork work(fleet.machine(type), whole, options.dtype, options.tile_speedup);
    const double block_s = work.dense(chunk, chunk, false).total();
    weights.insert(weights.end(), static_cast<std::size_t>(fleet.devices_of(type)), 1.0 / block_s);
  }
  for (std::size_t rank = 0; rank < options.device_speeds.size() && rank < weights.size(); ++rank) {
    weights[rank] *= options.device_speeds[rank];
  }
  // Relative to the largest, so that weights stay numbers of a handy size.
  const double largest = *std::max_element(weights.begin(), weights.end());
  for (double &weight : weights) {
    weight /= largest;
  }
  return weights;
}

} // namespace ringscale::simulator
