// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "simulator/noise.hpp"

namespace ringscale::simulator {

inline constexpr std::int64_t lane_count = 16;

/// Sixteen 32-bit integers in registers; arithmetic wraps. GCC's and Clang's vector types, so that any target works;
/// they may look at arrays of integers.
using Lanes = std::int32_t __attribute__((vector_size(64), may_alias));
using UnsignedLanes = std::uint32_t __attribute__((vector_size(64), may_alias));
using FloatLanes = float __attribute__((vector_size(64), may_alias));

// Always inlined: a vector this wide has no calling convention on targets without AVX-512.
#define RINGSCALE_LANES_INLINE static inline __attribute__((always_inline))

RINGSCALE_LANES_INLINE void raise_to(Lanes &lanes, const Lanes &other) { lanes = lanes > other ? lanes : other; }
RINGSCALE_LANES_INLINE void lower_to(Lanes &lanes, const Lanes &other) { lanes = lanes < other ? lanes : other; }

/// mix_keys for sixteen ranks.
RINGSCALE_LANES_INLINE void mix_lanes(UnsignedLanes &bits, const UnsignedLanes &rank_keys, std::uint32_t group_key) {
  bits = (rank_keys ^ group_key) * noise_multipliers[0];
  bits = (bits ^ (bits >> 15)) * noise_multipliers[1];
  bits ^= bits >> 16;
}

/// sum + amplitude x noise_of for sixteen ranks. `amplitudes` has each rank's amplitude in all four bytes: products of
/// unsigned and signed bytes, summed by fours, are one instruction on AVX-512 VNNI, which compilers do not find.
RINGSCALE_LANES_INLINE void add_noise(Lanes &sum, const UnsignedLanes &amplitudes, const UnsignedLanes &bits,
                                      std::uint32_t flip) {
  const UnsignedLanes flipped = bits ^ flip;
#if defined(__AVX512F__) && defined(__AVX512VNNI__)
  sum = reinterpret_cast<Lanes>(_mm512_dpbusd_epi32(
      reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(amplitudes), reinterpret_cast<__m512i>(flipped)));
#else
  Lanes noise = reinterpret_cast<Lanes>(flipped) >> 24;
  noise += reinterpret_cast<Lanes>(flipped << 8) >> 24;
  noise += reinterpret_cast<Lanes>(flipped << 16) >> 24;
  noise += reinterpret_cast<Lanes>(flipped << 24) >> 24;
  sum += noise * reinterpret_cast<Lanes>(amplitudes & 0xFFU);
#endif
}

} // namespace ringscale::simulator
