// SPDX-License-Identifier: Apache-2.0
#include "simulator/strips.hpp"

#include <algorithm>

#include "simulator/noise.hpp"

namespace ringscale::simulator {

Strips::Strips(std::int64_t ring_size, std::int64_t wanted_width) : ring_size_(ring_size) {
  bundles_ = std::max<std::int64_t>(1, ring_size / (lane_count * std::max(narrowest_width, wanted_width)));
  width_ = (ring_size + count() - 1) / count();
  width_ += width_ % 2; // kernels take cells by pairs
  // Ghosts are computed twice: a sixteenth of the work, and as many steps between two exchanges.
  const std::int64_t sixteenth = width_ / (16 * steps_per_noise_group) * steps_per_noise_group;
  ghost_ = std::clamp<std::int64_t>(sixteenth, steps_per_noise_group, 64);
}

std::int64_t Strips::first_rank(std::int64_t strip) const {
  if (strip < 0) {
    return first_rank(strip + count()) - ring_size_;
  }
  return strip * ring_size_ / count();
}

} // namespace ringscale::simulator
