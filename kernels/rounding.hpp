// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstdint>

#include "kernels/types.hpp"

namespace ringscale::kernels {

/// A binary floating-point format of at most 32 bits: sign, exponent, mantissa, with bias 2^(exponent_bits-1) - 1 and
/// subnormals. Without infinities the top exponent holds numbers too, and only its last pattern is NaN (float8_e4m3).
struct FloatFormat {
  int exponent_bits = 8;
  int mantissa_bits = 23;
  bool infinities = true;

  constexpr int dropped_bits() const { return 23 - mantissa_bits; }
  constexpr int exponent_bias() const { return (1 << (exponent_bits - 1)) - 1; }
  constexpr std::uint32_t sign_bit() const { return std::uint32_t{1} << (exponent_bits + mantissa_bits); }
  constexpr std::uint32_t exponent_mask() const { return ((std::uint32_t{1} << exponent_bits) - 1) << mantissa_bits; }
  /// Pattern of the largest finite number.
  constexpr std::uint32_t largest() const { return infinities ? exponent_mask() - 1 : sign_bit() - 2; }
  /// Pattern of infinity, or of NaN where there is none: what an overflow becomes that does not saturate.
  constexpr std::uint32_t overflowed() const { return largest() + 1; }
  constexpr std::uint32_t quiet_bit() const { return std::uint32_t{1} << (mantissa_bits - 1); }
};

/// IEEE 754 binary32 and binary16; the truncated formats of accelerators; OCP 8-bit Floating Point Specification 1.0.
inline constexpr FloatFormat float32_format{8, 23, true};
inline constexpr FloatFormat tfloat32_format{8, 10, true};
inline constexpr FloatFormat bfloat16_format{8, 7, true};
inline constexpr FloatFormat float16_format{5, 10, true};
inline constexpr FloatFormat float8_e4m3_format{4, 3, false};
inline constexpr FloatFormat float8_e5m2_format{5, 2, true};

enum class NumberFormat { float32, tfloat32, bfloat16, float16, float8_e4m3, float8_e5m2 };

/// What a number too large for the format becomes: infinity (NaN in float8_e4m3, which has none), or the largest
/// finite one. The OCP specification (section 5.2) leaves the choice open; saturation takes infinity along.
enum class Overflow { special, saturate };

/// The rule used here where none is named: float8_e4m3 saturates at +-448, since its only other choice is NaN; all
/// others overflow to infinity.
constexpr Overflow usual_overflow(const FloatFormat &format) {
  return format.infinities ? Overflow::special : Overflow::saturate;
}

/// Pattern of the number of `format` nearest to `value`, ties to the even pattern, subnormals included; it lies in
/// the low 1 + exponent_bits + mantissa_bits bits. A NaN stays one (and becomes quiet).
template <FloatFormat format>
KOKKOS_INLINE_FUNCTION std::uint32_t encode(float value, Overflow overflow = usual_overflow(format)) {
  const auto bits = Kokkos::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  constexpr int dropped = format.dropped_bits();
  if constexpr (dropped == 0) {
    return magnitude > 0x7F800000U ? bits | 0x00400000U : bits;
  } else {
    constexpr std::uint32_t rebias = static_cast<std::uint32_t>(127 - format.exponent_bias());
    // Exponent and mantissa round as one integer: a carry out of the mantissa is the next exponent.
    std::uint32_t kept = magnitude - (rebias << 23);
    std::uint32_t shift = dropped;
    if constexpr (rebias > 0) {
      const std::uint32_t exponent = magnitude >> 23;
      const bool subnormal = exponent <= rebias;
      // A subnormal of the format: its leading bit is written out, and bits fall off to its smallest step. From 25
      // bits on nothing is left; float32's own subnormals are far below that.
      const std::uint32_t wanted = static_cast<std::uint32_t>(dropped) + (rebias + 1 - exponent);
      kept = subnormal ? (magnitude & 0x007FFFFFU) | 0x00800000U : kept;
      shift = subnormal ? (wanted < 25U ? wanted : 25U) : shift;
    }
    const std::uint32_t odd = (kept >> shift) & 1U;
    std::uint32_t rounded = (kept + ((std::uint32_t{1} << shift) >> 1) - 1U + odd) >> shift;
    const std::uint32_t limit = overflow == Overflow::saturate ? format.largest() : format.overflowed();
    rounded = rounded > format.largest() || magnitude >= 0x7F800000U ? limit : rounded;
    const std::uint32_t payload = format.infinities ? (magnitude & 0x007FFFFFU) >> dropped | format.quiet_bit() : 0U;
    rounded = magnitude > 0x7F800000U ? format.overflowed() | payload : rounded;
    return rounded | (bits >> 31) << (format.exponent_bits + format.mantissa_bits);
  }
}

/// The number a pattern of `format` stands for; exact.
template <FloatFormat format> KOKKOS_INLINE_FUNCTION float decode(std::uint32_t pattern) {
  constexpr int dropped = format.dropped_bits();
  const std::uint32_t sign = (pattern & format.sign_bit()) << (31 - format.exponent_bits - format.mantissa_bits);
  const std::uint32_t magnitude = pattern & (format.sign_bit() - 1U);
  const std::uint32_t shifted = magnitude << dropped;
  if constexpr (format.exponent_bits == 8) {
    return Kokkos::bit_cast<float>(shifted | sign);
  } else {
    constexpr std::uint32_t rebias = static_cast<std::uint32_t>(127 - format.exponent_bias());
    std::uint32_t bits = shifted + (rebias << 23);
    // 1.m 2^e - 1.0 2^e with the smallest normal exponent e: a subnormal, without subnormal arithmetic.
    const float subnormal = Kokkos::bit_cast<float>(bits + (1U << 23)) - Kokkos::bit_cast<float>((rebias + 1U) << 23);
    bits = shifted < (1U << 23) ? Kokkos::bit_cast<std::uint32_t>(subnormal) : bits;
    if constexpr (format.infinities) {
      bits = magnitude > format.largest() ? shifted | 0x7F800000U : bits;
    } else {
      bits = magnitude > format.largest() ? 0x7FC00000U : bits;
    }
    return Kokkos::bit_cast<float>(bits | sign);
  }
}

/// `value` rounded to `format`, as a float.
template <FloatFormat format>
KOKKOS_INLINE_FUNCTION float round_to(float value, Overflow overflow = usual_overflow(format)) {
  return decode<format>(encode<format>(value, overflow));
}

/// Rounds `count` floats to `format` and leaves them floats: the emulation of a format that has no arithmetic here.
/// `to` may be `from`. Asynchronous on `space`.
void round_elements(const ExecutionSpace &space, const float *from, std::int64_t count, NumberFormat format, float *to);

/// Rounds `count` floats to bfloat16 or float16 and stores two bytes each; unpack_elements is the exact way back.
/// Kokkos' half types are not used: on a CPU they hold 4 bytes. Both throw std::invalid_argument on other formats.
void pack_elements(const ExecutionSpace &space, const float *from, std::int64_t count, NumberFormat format,
                   std::uint16_t *to);
void unpack_elements(const ExecutionSpace &space, const std::uint16_t *from, std::int64_t count, NumberFormat format,
                     float *to);

} // namespace ringscale::kernels
