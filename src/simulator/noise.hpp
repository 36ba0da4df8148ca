// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

#include "problem/counter_random.hpp"

namespace ringscale::simulator {

/// Jitter of (rank, step), cheap enough for 10^10 a second and a function of (seed, rank, step) alone. Every rank and
/// every group of four steps has a 32-bit key; the keys' exclusive or, mixed, gives four uniform bytes b0..b3, and the
/// four steps of the group take their sum and their three signed sums (rows of a Hadamard matrix, so the four are
/// uncorrelated). A sum of four bytes is near to normal: mean 0 after shifting, kurtosis 2.7, at most 3.45 standard
/// deviations. Mixing: two odd multipliers and two shifts found by C. Wellons's search for low bias.
inline std::uint32_t mix_keys(std::uint32_t rank_key, std::uint32_t group_key) {
  std::uint32_t bits = (rank_key ^ group_key) * 0x7FEB352DU;
  bits = (bits ^ (bits >> 15)) * 0x846CA68BU;
  return bits ^ (bits >> 16);
}

inline constexpr std::int64_t steps_per_noise_group = 4;
/// Signs of b0..b3, as bytes, for the four steps of a group.
inline constexpr std::uint32_t noise_signs[4] = {0x01010101U, 0xFF01FF01U, 0xFFFF0101U, 0x01FFFF01U};
/// Added so that the mean is 0: four bytes have mean 510, signed sums 0.
inline constexpr std::int32_t noise_shift[4] = {-510, 0, 0, 0};
inline constexpr std::int32_t largest_noise = 510;

/// The integer noise of one (rank, step), -510..510.
inline std::int32_t noise_of(std::uint32_t bits, int step_in_group) {
  const auto byte = [bits](int index) { return static_cast<std::int32_t>((bits >> (8 * index)) & 0xFFU); };
  switch (step_in_group) {
  case 0:
    return byte(0) + byte(1) + byte(2) + byte(3) - 510;
  case 1:
    return byte(0) - byte(1) + byte(2) - byte(3);
  case 2:
    return byte(0) + byte(1) - byte(2) - byte(3);
  default:
    return byte(0) - byte(1) - byte(2) + byte(3);
  }
}

/// Standard deviation of noise_of: four uniform bytes, each of variance (256^2 - 1) / 12.
inline const double noise_deviation = std::sqrt(4.0 * 65535.0 / 12.0);

inline std::uint32_t noise_rank_key(std::uint64_t seed, std::int64_t rank) {
  return static_cast<std::uint32_t>(problem::random_bits(seed, 0x72616E6BU, static_cast<std::uint64_t>(rank)) >> 32);
}
inline std::uint32_t noise_group_key(std::uint64_t seed, std::int64_t step) {
  return static_cast<std::uint32_t>(
      problem::random_bits(seed, 0x73746570U, static_cast<std::uint64_t>(step / steps_per_noise_group)) >> 32);
}

/// A device's time factor: exp(spread z), z standard normal: median 1, never negative.
inline double device_time_factor(std::uint64_t seed, std::int64_t rank, double spread) {
  return spread > 0.0 ? std::exp(spread * problem::random_normal(seed, 0x73706565U, static_cast<std::uint64_t>(rank)))
                      : 1.0;
}

} // namespace ringscale::simulator
