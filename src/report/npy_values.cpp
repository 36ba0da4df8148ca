// SPDX-License-Identifier: Apache-2.0
#include "report/npy_values.hpp"

#include <bit>
#include <cmath>
#include <cstring>

namespace ringscale::report {

namespace {

/// As bits >> shift, rounded to nearest, ties to even.
std::uint32_t shift_rounded(std::uint32_t bits, unsigned shift) {
  const std::uint32_t half = 1U << (shift - 1U);
  const std::uint32_t odd = (bits >> shift) & 1U;
  return (bits + half - 1U + odd) >> shift;
}

std::uint16_t narrow(NpyType type, float value) {
  return type == NpyType::float16 ? float16_bits(value) : bfloat16_bits(value);
}

} // namespace

float float16_value(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16U;
  const std::uint32_t exponent = (bits >> 10U) & 0x1FU;
  const std::uint32_t fraction = bits & 0x3FFU;
  if (exponent == 0) { // zero or subnormal: a multiple of 2^-24
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign == 0 ? magnitude : -magnitude;
  }
  const std::uint32_t wide = exponent == 0x1FU ? 0xFFU : exponent + (127U - 15U);
  return std::bit_cast<float>(sign | wide << 23U | fraction << 13U);
}

float bfloat16_value(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U); }

std::uint16_t float16_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16U & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  constexpr std::uint32_t infinity = 0x7F800000U;
  constexpr std::uint32_t smallest_normal = 0x38800000U; // 2^-14
  std::uint32_t rounded = 0;
  if (magnitude > infinity) {
    rounded = 0x7E00U | (magnitude >> 13U & 0x3FFU); // quiet, with what fits of the payload
  } else if (magnitude >= 0x47800000U) {             // 2^16, also infinity
    rounded = 0x7C00U;
  } else if (magnitude >= smallest_normal) {
    // A carry out of the fraction moves to the next exponent, and from the largest one to infinity.
    rounded = shift_rounded(magnitude - ((127U - 15U) << 23U), 13);
  } else {
    // A multiple of 2^-24, which lrint rounds to even as well.
    rounded = static_cast<std::uint32_t>(std::lrint(std::ldexp(std::bit_cast<float>(magnitude), 24)));
  }
  return static_cast<std::uint16_t>(sign | rounded);
}

std::uint16_t bfloat16_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) {
    return static_cast<std::uint16_t>(bits >> 16U | 0x40U); // quiet: rounding up could turn it into another number
  }
  return static_cast<std::uint16_t>(shift_rounded(bits, 16));
}

std::vector<float> to_float(const NpyTensor &tensor) {
  const auto bytes = static_cast<std::size_t>(element_bytes(tensor.type));
  std::vector<float> values(tensor.data.size() / bytes);
  if (tensor.type == NpyType::float32) {
    std::memcpy(values.data(), tensor.data.data(), values.size() * sizeof(float));
    return values;
  }
  for (std::size_t index = 0; index < values.size(); ++index) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, tensor.data.data() + index * sizeof bits, sizeof bits);
    values[index] = tensor.type == NpyType::float16 ? float16_value(bits) : bfloat16_value(bits);
  }
  return values;
}

std::vector<std::byte> to_bytes(std::span<const float> values, NpyType type) {
  std::vector<std::byte> bytes(values.size() * static_cast<std::size_t>(element_bytes(type)));
  if (type == NpyType::float32) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }
  for (std::size_t index = 0; index < values.size(); ++index) {
    const std::uint16_t bits = narrow(type, values[index]);
    std::memcpy(bytes.data() + index * sizeof bits, &bits, sizeof bits);
  }
  return bytes;
}

} // namespace ringscale::report
