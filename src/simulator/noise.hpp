// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

#include "problem/counter_random.hpp"

namespace ringscale::simulator {

/// Jitter of (rank, step), cheap enough for 10^10 a second and a function of (seed, rank, step) alone. Every rank and
/// every group of four steps has a 32-bit key; the keys' exclusive or, mixed, gives four uniform signed bytes b0..b3,
/// and the four steps of the group take their sum and their three signed sums (rows of a Hadamard matrix, so the four
/// are uncorrelated). A minus is the byte's complement, -b - 1, which is uniform over the same values. A sum of four
/// bytes is near to normal: kurtosis 2.7, at most 3.45 standard deviations. Mixing: two odd multipliers and two shifts
/// found by C. Wellons's search for low bias.
inline constexpr std::uint32_t noise_multipliers[2] = {0x7FEB352DU, 0x846CA68BU};
inline std::uint32_t mix_keys(std::uint32_t rank_key, std::uint32_t group_key) {
  std::uint32_t bits = (rank_key ^ group_key) * noise_multipliers[0];
  bits = (bits ^ (bits >> 15)) * noise_multipliers[1];
  return bits ^ (bits >> 16);
}

inline constexpr std::int64_t steps_per_noise_group = 4;
inline constexpr std::int64_t steps_per_noise_pair = 2;
/// Complements the bytes that the four steps of a group subtract.
inline constexpr std::uint32_t noise_flips[4] = {0x00000000U, 0xFF00FF00U, 0xFFFF0000U, 0x00FFFF00U};
/// Mean of noise_of: four bytes of mean -1/2.
inline constexpr std::int32_t noise_mean = -2;
inline constexpr std::int32_t largest_noise = 512;

/// The integer noise of one (rank, step), -512..508.
inline std::int32_t noise_of(std::uint32_t bits, int step_in_group) {
  const std::uint32_t flipped = bits ^ noise_flips[step_in_group];
  std::int32_t sum = 0;
  for (int byte = 0; byte < 4; ++byte) {
    sum += static_cast<std::int8_t>((flipped >> (8 * byte)) & 0xFFU);
  }
  return sum;
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

/// Jitter that is drawn from a table takes 16 bits a step: keys are then those of two steps, which take a half each.
inline std::uint32_t noise_pair_key(std::uint64_t seed, std::int64_t step) {
  return static_cast<std::uint32_t>(
      problem::random_bits(seed, 0x70616972U, static_cast<std::uint64_t>(step / steps_per_noise_pair)) >> 32);
}
inline std::uint32_t half_of(std::uint32_t bits, std::int64_t step) {
  return step % steps_per_noise_pair == 0 ? bits & 0xFFFFU : bits >> 16;
}

/// Keys of the steps of one group: that of the group, or those of its two pairs.
struct GroupKeys {
  std::uint32_t first = 0;
  std::uint32_t second = 0; ///< of the later pair
};
inline GroupKeys noise_keys(std::uint64_t seed, std::int64_t first_step, bool in_pairs) {
  return in_pairs ? GroupKeys{noise_pair_key(seed, first_step), noise_pair_key(seed, first_step + steps_per_noise_pair)}
                  : GroupKeys{noise_group_key(seed, first_step), 0};
}

/// A device's time factor: exp(spread z), z standard normal: median 1, never negative.
inline double device_time_factor(std::uint64_t seed, std::int64_t rank, double spread) {
  return spread > 0.0 ? std::exp(spread * problem::random_normal(seed, 0x73706565U, static_cast<std::uint64_t>(rank)))
                      : 1.0;
}

} // namespace ringscale::simulator
