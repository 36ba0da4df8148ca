// SPDX-License-Identifier: Apache-2.0
#include "report/npy_values.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace ringscale::report {
namespace {

/// A 16-bit float with `exponent_bits`, by its definition.
double value_by_definition(std::uint16_t bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits & 0x7FFF) >> fraction_bits;
  const double fraction = std::ldexp(static_cast<double>(bits & ((1 << fraction_bits) - 1)), -fraction_bits);
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1) {
    return fraction == 0.0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  }
  return exponent == 0 ? sign * std::ldexp(fraction, 1 - bias) : sign * std::ldexp(1.0 + fraction, exponent - bias);
}

struct Format {
  int exponent_bits;
  float (*value)(std::uint16_t);
  std::uint16_t (*bits)(float);
};
constexpr Format formats[] = {{5, float16_value, float16_bits}, {8, bfloat16_value, bfloat16_bits}};

TEST(NpyValues, AllBitsBecomeTheirValueAndComeBack) {
  for (const Format &format : formats) {
    for (int pattern = 0; pattern < 0x10000; ++pattern) {
      const auto bits = static_cast<std::uint16_t>(pattern);
      const double expected = value_by_definition(bits, format.exponent_bits);
      const float found = format.value(bits);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(found) && std::isnan(format.value(format.bits(found)))) << pattern;
      } else {
        ASSERT_EQ(static_cast<double>(found), expected) << pattern;
        ASSERT_EQ(format.bits(found), bits) << pattern;
      }
    }
  }
}

TEST(NpyValues, RoundsToTheNearestAndTiesToEven) {
  for (const Format &format : formats) {
    const int infinity = ((1 << format.exponent_bits) - 1) << (15 - format.exponent_bits);
    for (int pattern = 0; pattern + 1 < infinity; ++pattern) {
      const auto lower = static_cast<std::uint16_t>(pattern);
      const auto upper = static_cast<std::uint16_t>(pattern + 1);
      // Exact: neighbours differ in the last of at most 11 bits.
      const float middle = format.value(lower) / 2.0F + format.value(upper) / 2.0F;
      ASSERT_EQ(format.bits(middle), pattern % 2 == 0 ? lower : upper) << pattern;
      ASSERT_EQ(format.bits(std::nextafter(middle, 0.0F)), lower) << pattern;
      ASSERT_EQ(format.bits(std::nextafter(middle, INFINITY)), upper) << pattern;
      ASSERT_EQ(format.bits(-middle), 0x8000 | (pattern % 2 == 0 ? lower : upper)) << pattern;
    }
  }
  EXPECT_EQ(float16_bits(65519.996F), 0x7BFF);
  EXPECT_EQ(float16_bits(65520.0F), 0x7C00);
  EXPECT_EQ(float16_bits(3e38F), 0x7C00);
  EXPECT_EQ(bfloat16_bits(std::numeric_limits<float>::max()), 0x7F80);
  EXPECT_EQ(bfloat16_bits(std::bit_cast<float>(0x7F800001U)), 0x7FC0);
}

TEST(NpyValues, TensorsBecomeFloatsAndFloatsTensors) {
  const std::vector<float> values = {0.0F, -1.5F, 3.0F, 1.0F / 1024.0F};
  for (const NpyType type : {NpyType::float32, NpyType::float16, NpyType::bfloat16}) {
    const NpyTensor tensor{{1, 1, 2, 2}, type, to_bytes(values, type)};
    EXPECT_EQ(tensor.data.size(), values.size() * static_cast<std::size_t>(element_bytes(type)));
    EXPECT_EQ(to_float(tensor), values);
  }
  // A type mistaken for the other one does not pass.
  const NpyTensor mistaken{{1, 1, 2, 2}, NpyType::float16, to_bytes(values, NpyType::bfloat16)};
  EXPECT_NE(to_float(mistaken), values);
}

} // namespace
} // namespace ringscale::report
