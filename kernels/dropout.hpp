// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Macros.hpp>

#include <cstdint>

namespace ringscale::kernels {

/// Dropout of attention weights (Srivastava et al. 2014): a weight is kept with probability 1 - probability and then
/// multiplied by kept_factor(). Whether it is kept depends on nothing but the seed, the batch entry, the query head and
/// the two positions, so forward and backward, slices, spans and threads all see one mask.
struct Dropout {
  float probability = 0.0F; ///< 0 <= probability < 1; 0 costs nothing
  std::uint64_t seed = 0;

  KOKKOS_INLINE_FUNCTION bool active() const { return probability > 0.0F; }

  /// 1 / (1 - probability).
  KOKKOS_INLINE_FUNCTION float kept_factor() const { return 1.0F / (1.0F - probability); }

  /// A pair is kept when its 32 random bits are no smaller than this.
  KOKKOS_INLINE_FUNCTION std::uint32_t threshold() const {
    return static_cast<std::uint32_t>(static_cast<double>(probability) * 4294967296.0);
  }

  /// 64 random bits of one query row, from which those of its pairs are made.
  KOKKOS_INLINE_FUNCTION std::uint64_t row_bits(std::int64_t batch, std::int64_t head,
                                                std::int64_t query_position) const {
    const std::uint64_t place =
        mix64(mix64(seed) + static_cast<std::uint64_t>(batch)) + static_cast<std::uint64_t>(head);
    return mix64(mix64(place) + static_cast<std::uint64_t>(query_position));
  }

  /// 32 random bits of the pair of a row with a key (its position modulo 2^32), in 32-bit operations that `Bits` may
  /// also be a vector of. The row's high word enters half way: rows are not shifted copies of each other.
  template <class Bits>
  KOKKOS_INLINE_FUNCTION static Bits pair_bits(std::uint32_t row_low, std::uint32_t row_high, Bits key_position) {
    Bits bits = key_position * 0x9E3779B1U + row_low;
    bits ^= bits >> 16;
    bits *= 0x85EBCA6BU;
    bits ^= bits >> 13;
    bits += row_high;
    bits *= 0xC2B2AE35U;
    bits ^= bits >> 16;
    return bits;
  }

  KOKKOS_INLINE_FUNCTION bool keeps(std::uint64_t row, std::int64_t key_position) const {
    return pair_bits(static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(row >> 32),
                     static_cast<std::uint32_t>(key_position)) >= threshold();
  }

  /// Whether the weight of this query position for this key position is kept.
  KOKKOS_INLINE_FUNCTION bool keeps(std::int64_t batch, std::int64_t head, std::int64_t query_position,
                                    std::int64_t key_position) const {
    return keeps(row_bits(batch, head, query_position), key_position);
  }

private:
  /// The output mix of SplitMix64 (Steele, Lea, Flood 2014).
  KOKKOS_INLINE_FUNCTION static std::uint64_t mix64(std::uint64_t value) {
    value += 0x9E3779B97F4A7C15ULL;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
    return value ^ (value >> 31);
  }
};

} // namespace ringscale::kernels
