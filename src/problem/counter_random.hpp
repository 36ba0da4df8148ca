// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace ringscale::problem {

/// Counter-based random bits: the output mix of SplitMix64 (Steele, Lea, Flood 2014) over a counter. The same
/// (seed, stream, counter) gives the same bits whatever the thread count or the order of the calls.
constexpr std::uint64_t mix64(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}

constexpr std::uint64_t random_bits(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
  return mix64(mix64(mix64(seed) ^ stream) + counter * 0xD1342543DE82EF95ULL);
}

/// Uniform in [0, 1), 53 bits.
constexpr double random_uniform(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
  return static_cast<double>(random_bits(seed, stream, counter) >> 11) * 0x1.0p-53;
}

/// Standard normal by Box and Muller 1958, from two uniforms of neighbouring counters.
inline double random_normal(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
  const double radius = 1.0 - random_uniform(seed, stream, 2 * counter);
  const double angle = random_uniform(seed, stream, 2 * counter + 1);
  return std::sqrt(-2.0 * std::log(radius)) * std::cos(2.0 * std::numbers::pi * angle);
}

} // namespace ringscale::problem
