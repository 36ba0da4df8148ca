// SPDX-License-Identifier: Apache-2.0
#pragma once

// Vector registers of the host, through GCC's and Clang's vector extensions; the few operations these lack are
// intrinsics. Kokkos' own simd types are not used: their interface differs between Kokkos 4.7 and 5, and their
// exponential is a scalar call per lane, which alone would cap attention at about a third of the multiply-add peak.

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace ringscale::kernels::tile {

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define RINGSCALE_HOST_AVX512 1
inline constexpr int lanes = 16;
inline constexpr int tile_vectors = 4; // 6 x 4 accumulators, 4 operands and a broadcast fill 29 of 32 registers
#elif defined(__AVX2__) && defined(__FMA__)
#define RINGSCALE_HOST_AVX2 1
inline constexpr int lanes = 8;
inline constexpr int tile_vectors = 2; // 6 x 2 accumulators of 16 registers
#elif defined(__ARM_NEON) && defined(__aarch64__)
#define RINGSCALE_HOST_NEON 1
inline constexpr int lanes = 4;
inline constexpr int tile_vectors = 4;
#else
inline constexpr int lanes = 4;
inline constexpr int tile_vectors = 2;
#endif
inline constexpr int tile_rows = 6;

using Vector = float __attribute__((vector_size(lanes * sizeof(float))));
using FloatVector4 = float __attribute__((vector_size(16)));
using IntegerVector = std::int32_t __attribute__((vector_size(lanes * sizeof(float))));

#if defined(RINGSCALE_HOST_AVX512)
// A full mask compiles to the unmasked instruction; the unmasked intrinsics make GCC 12 warn of an uninitialised
// operand that it invents itself.
inline constexpr __mmask16 all_lanes = 0xFFFF;
#endif

// GCC from 12 and Clang; what needs it has a plain form as well.
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define RINGSCALE_SHUFFLES 1
#endif
#endif

inline Vector broadcast(float value) { return value - Vector{}; }

/// `lanes` floats from any address.
inline Vector load(const float *address) {
  Vector value;
  std::memcpy(&value, address, sizeof value);
  return value;
}

inline void store(float *address, Vector value) { std::memcpy(address, &value, sizeof value); }

/// As load and store when at least `lanes` floats are left, else only the first `count` lanes (the others read as 0).
inline Vector load_part(const float *address, std::int64_t count) {
  if (count >= lanes) {
    return load(address);
  }
  Vector value{};
  std::memcpy(&value, address, static_cast<std::size_t>(count) * sizeof(float));
  return value;
}

inline void store_part(float *address, Vector value, std::int64_t count) {
  if (count >= lanes) {
    store(address, value);
  } else {
    std::memcpy(address, &value, static_cast<std::size_t>(count) * sizeof(float));
  }
}

/// a * b + c, rounded once where the machine can; explicit, so that every tile shape rounds alike.
inline Vector multiply_add(Vector a, Vector b, Vector c) {
#if defined(RINGSCALE_HOST_AVX512)
  return (Vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(RINGSCALE_HOST_AVX2)
  return (Vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(RINGSCALE_HOST_NEON)
  return (Vector)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

inline Vector maximum(Vector a, Vector b) {
#if defined(RINGSCALE_HOST_AVX512)
  return (Vector)_mm512_maskz_max_ps(all_lanes, (__m512)a, (__m512)b);
#else
  return a > b ? a : b;
#endif
}

/// Which lanes of a are greater than those of b (a NaN is not); Comparisons are joined with |.
#if defined(RINGSCALE_HOST_AVX512)
using Comparison = __mmask16;
inline Comparison greater(Vector a, Vector b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ); }
inline bool any(Comparison comparison) { return comparison != 0; }
#else
using Comparison = IntegerVector;
inline Comparison greater(Vector a, Vector b) { return a > b; }
inline bool any(Comparison comparison) {
#if defined(RINGSCALE_HOST_AVX2)
  return _mm256_movemask_ps((__m256)comparison) != 0;
#else
  std::int32_t joined = 0;
  for (int lane = 0; lane < lanes; ++lane) {
    joined |= comparison[lane];
  }
  return joined != 0;
#endif
}
#endif

/// Joins all lanes by halves, so that log2(lanes) steps follow each other and not `lanes`.
template <class Join> inline __attribute__((always_inline)) float join_lanes(Vector value, const Join &join) {
#if defined(RINGSCALE_HOST_AVX512) && defined(RINGSCALE_SHUFFLES)
  // In registers; what follows would go through memory.
  const auto half = join(__builtin_shufflevector(value, value, 0, 1, 2, 3, 4, 5, 6, 7),
                         __builtin_shufflevector(value, value, 8, 9, 10, 11, 12, 13, 14, 15));
  const FloatVector4 quarters[1] = {
      join(__builtin_shufflevector(half, half, 0, 1, 2, 3), __builtin_shufflevector(half, half, 4, 5, 6, 7))};
#else
  FloatVector4 quarters[lanes / 4];
  std::memcpy(quarters, &value, sizeof value);
  for (int count = lanes / 8; count > 0; count /= 2) {
    for (int index = 0; index < count; ++index) {
      quarters[index] = join(quarters[index], quarters[index + count]);
    }
  }
#endif
  return join(join(quarters[0][0], quarters[0][2]), join(quarters[0][1], quarters[0][3]));
}

inline float horizontal_sum(Vector value) {
  return join_lanes(value, [](auto a, auto b) { return a + b; });
}

/// Largest lane; what it is when a lane is NaN depends on where that stands.
inline float horizontal_maximum(Vector value) {
  return join_lanes(value, [](auto a, auto b) { return a > b ? a : b; });
}

inline IntegerVector lane_indices() {
  IntegerVector indices;
  for (int lane = 0; lane < lanes; ++lane) {
    indices[lane] = lane;
  }
  return indices;
}

/// Lanes below `count` keep their value, the others become `otherwise`.
inline Vector keep_first(Vector value, std::int64_t count, float otherwise) {
  const auto limit = static_cast<std::int32_t>(count < 0 ? 0 : (count > lanes ? lanes : count));
  const IntegerVector kept = lane_indices() < limit - IntegerVector{};
  return kept ? value : broadcast(otherwise);
}

/// 2^x for x <= 127: a minimax polynomial of degree 5 on an interval of length 1, times a power of two; relative
/// error below 3.5 * 2^-24. -infinity gives 0, a NaN stays one; results below 2^-126 may be flushed to 0.
inline Vector exp2(Vector x) {
#if defined(RINGSCALE_HOST_AVX512)
  // x - floor(x) and the scaling by 2^floor(x) are one instruction each.
  const Vector fraction =
      (Vector)_mm512_maskz_reduce_ps(all_lanes, (__m512)x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  Vector power = multiply_add(broadcast(0x1.ebf1b8p-10F), fraction, broadcast(0x1.26ab36p-7F));
  power = multiply_add(power, fraction, broadcast(0x1.c94d42p-5F));
  power = multiply_add(power, fraction, broadcast(0x1.ebd65cp-3F));
  power = multiply_add(power, fraction, broadcast(0x1.62e4eep-1F));
  power = multiply_add(power, fraction, broadcast(0x1.fffffep-1F));
  return (Vector)_mm512_maskz_scalef_ps(all_lanes, (__m512)power, (__m512)x);
#else
  const Vector lowest = broadcast(-126.0F);
  const Vector clamped = x < lowest ? lowest : x;
  const Vector magic = broadcast(0x1.8p23F);
  const Vector shifted = clamped + magic;
  const Vector fraction = clamped - (shifted - magic);
  Vector power = multiply_add(broadcast(0x1.5aae20p-10F), fraction, broadcast(0x1.3ce234p-7F));
  power = multiply_add(power, fraction, broadcast(0x1.c6ba06p-5F));
  power = multiply_add(power, fraction, broadcast(0x1.ebf9d6p-3F));
  power = multiply_add(power, fraction, broadcast(0x1.62e426p-1F));
  power = multiply_add(power, fraction, broadcast(1.0F));
  const IntegerVector exponent = ((IntegerVector)shifted + 127) << 23;
  const Vector result = power * (Vector)exponent;
  return x < lowest ? Vector{} : result;
#endif
}

} // namespace ringscale::kernels::tile
