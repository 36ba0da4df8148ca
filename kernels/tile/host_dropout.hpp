// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/dropout.hpp"
#include "kernels/tile/host_simd.hpp"

namespace ringscale::kernels::tile {

using BitsVector = std::uint32_t __attribute__((vector_size(lanes * sizeof(float))));

/// Dropout::keeps for `lanes` key positions from `key_position` on, `stride` apart; all bits of a kept lane are set.
inline __attribute__((always_inline)) IntegerVector kept_lanes(const Dropout &dropout, std::uint64_t row,
                                                               std::uint32_t key_position, std::uint32_t stride) {
  const BitsVector positions = (BitsVector)lane_indices() * stride + key_position;
  const BitsVector bits =
      Dropout::pair_bits(static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(row >> 32), positions);
  return (IntegerVector)(bits >= dropout.threshold() - BitsVector{});
}

} // namespace ringscale::kernels::tile
