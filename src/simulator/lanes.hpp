// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) && defined(__AVX512VNNI__)
#include <immintrin.h>
#endif

#include "simulator/noise.hpp"

namespace ringscale::simulator {

inline constexpr std::int64_t lane_count = 16;

/// Sixteen 32-bit integers in registers; arithmetic wraps. GCC's and Clang's vector types, so that any target works;
/// the signed sum of four bytes is one
/// instruction on AVX-512 VNNI that compilers do not find.
using Lanes = std::int32_t __attribute__((vector_size(64)));
using UnsignedLanes = std::uint32_t __attribute__((vector_size(64)));

// Always inlined: a vector this wide has no calling convention on targets without AVX-512.
#define RINGSCALE_LANES_INLINE static inline __attribute__((always_inline))

RINGSCALE_LANES_INLINE void load(Lanes &lanes, const std::int32_t *from) { std::memcpy(&lanes, from, sizeof lanes); }
RINGSCALE_LANES_INLINE void load(UnsignedLanes &lanes, const std::uint32_t *from) {
  std::memcpy(&lanes, from, sizeof lanes);
}
RINGSCALE_LANES_INLINE void store(std::int32_t *to, const Lanes &lanes) { std::memcpy(to, &lanes, sizeof lanes); }
RINGSCALE_LANES_INLINE void store(std::uint32_t *to, const UnsignedLanes &lanes) {
  std::memcpy(to, &lanes, sizeof lanes);
}

RINGSCALE_LANES_INLINE void raise_to(Lanes &lanes, const Lanes &other) { lanes = lanes > other ? lanes : other; }

/// Every lane takes its left neighbour's value; the first takes the last lane of `before`.
RINGSCALE_LANES_INLINE void from_left(Lanes &result, const Lanes &before, const Lanes &lanes) {
  result = __builtin_shufflevector(before, lanes, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
}
/// Every lane takes its right neighbour's value; the last takes the first lane of `after`.
RINGSCALE_LANES_INLINE void from_right(Lanes &result, const Lanes &lanes, const Lanes &after) {
  result = __builtin_shufflevector(lanes, after, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
}

/// noise_of for sixteen ranks.
RINGSCALE_LANES_INLINE void noise_lanes(Lanes &result, const UnsignedLanes &bits, int step_in_group) {
#if defined(__AVX512F__) && defined(__AVX512VNNI__)
  const __m512i signs = _mm512_set1_epi32(static_cast<int>(noise_signs[step_in_group]));
  const __m512i shift = _mm512_set1_epi32(noise_shift[step_in_group]);
  result = reinterpret_cast<Lanes>(_mm512_dpbusd_epi32(shift, reinterpret_cast<__m512i>(bits), signs));
#else
  const std::uint32_t signs = noise_signs[step_in_group];
  const std::int32_t second = (signs >> 8 & 0xFFU) == 1U ? 1 : -1;
  const std::int32_t third = (signs >> 16 & 0xFFU) == 1U ? 1 : -1;
  const std::int32_t fourth = (signs >> 24) == 1U ? 1 : -1;
  result = reinterpret_cast<Lanes>(bits & 0xFFU) + noise_shift[step_in_group];
  result += second * reinterpret_cast<Lanes>((bits >> 8) & 0xFFU);
  result += third * reinterpret_cast<Lanes>((bits >> 16) & 0xFFU);
  result += fourth * reinterpret_cast<Lanes>(bits >> 24);
#endif
}

} // namespace ringscale::simulator
