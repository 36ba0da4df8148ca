// SPDX-License-Identifier: Apache-2.0
// Rounding to every format against its definition in double precision, and the two-byte storage.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "attention_case.hpp"
#include "kernels/rounding.hpp"

namespace ringscale::kernels::test {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

/// Any of the 2^32 patterns.
float any_float(std::mt19937 &random) { return std::bit_cast<float>(static_cast<std::uint32_t>(random())); }

/// The number of a pattern by its definition: (-1)^sign 2^(exponent - bias) (1 + mantissa / 2^bits), in double.
double value_by_definition(const FloatFormat &format, std::uint32_t pattern) {
  const int mantissa = static_cast<int>(pattern % (1U << format.mantissa_bits));
  const int exponent = static_cast<int>(pattern >> format.mantissa_bits) % (1 << format.exponent_bits);
  const double sign = (pattern & format.sign_bit()) != 0 ? -1.0 : 1.0;
  const double fraction = std::ldexp(mantissa, -format.mantissa_bits);
  const int top = (1 << format.exponent_bits) - 1;
  if (format.infinities && exponent == top) {
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  }
  if (!format.infinities && exponent == top && mantissa == (1 << format.mantissa_bits) - 1) {
    return std::nan("");
  }
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  return exponent == 0 ? sign * std::ldexp(fraction, 1 - bias) : sign * std::ldexp(1.0 + fraction, exponent - bias);
}

/// Wrong on purpose: cuts the bits off that do not fit.
template <FloatFormat format> std::uint32_t truncated(float value) {
  const std::uint32_t nearest = encode<format>(value);
  const bool too_large = std::abs(static_cast<double>(decode<format>(nearest))) > std::abs(static_cast<double>(value));
  return too_large ? nearest - 1 : nearest;
}

/// Counts midpoints and their neighbours that `encoder` does not round as the definition says.
template <FloatFormat format, class Encoder> std::int64_t wrong_midpoints(const Encoder &encoder) {
  std::int64_t wrong = 0;
  for (std::uint32_t pattern = 0; pattern < format.largest(); ++pattern) {
    const double below = value_by_definition(format, pattern);
    const double above = value_by_definition(format, pattern + 1);
    const auto middle = static_cast<float>((below + above) / 2.0);
    EXPECT_EQ(static_cast<double>(middle), (below + above) / 2.0); // float holds every midpoint of every format here
    const std::uint32_t even = pattern % 2 == 0 ? pattern : pattern + 1;
    wrong += encoder(middle) == even ? 0 : 1;
    wrong += encoder(-middle) == (even | format.sign_bit()) ? 0 : 1;
    wrong += encoder(std::nextafter(middle, 0.0F)) == pattern ? 0 : 1;
    wrong += encoder(std::nextafter(middle, infinity)) == pattern + 1 ? 0 : 1;
  }
  return wrong;
}

template <FloatFormat format> void expect_round_trip() {
  const std::uint32_t patterns = 2 * format.sign_bit();
  for (std::uint32_t pattern = 0; pattern < patterns; ++pattern) {
    const double exact = value_by_definition(format, pattern);
    const float value = decode<format>(pattern);
    if (std::isnan(exact)) {
      ASSERT_TRUE(std::isnan(value)) << pattern;
      ASSERT_TRUE(std::isnan(value_by_definition(format, encode<format>(value)))) << pattern;
    } else {
      ASSERT_EQ(static_cast<double>(value), exact) << pattern;
      ASSERT_EQ(std::signbit(value), std::signbit(exact)) << pattern;
      const bool saturates = !std::isfinite(value) && usual_overflow(format) == Overflow::saturate;
      ASSERT_EQ(encode<format>(value), saturates ? format.largest() : pattern) << pattern;
    }
  }
}

template <FloatFormat format> void expect_rounding() {
  expect_round_trip<format>();
  EXPECT_EQ(wrong_midpoints<format>([](float value) { return encode<format>(value); }), 0);
  // Numbers of every magnitude, against a search for the nearest of all values in double precision.
  std::vector<double> values;
  for (std::uint32_t pattern = 0; pattern <= format.largest(); ++pattern) {
    values.push_back(value_by_definition(format, pattern));
  }
  std::mt19937 random(11);
  for (int trial = 0; trial < 200'000; ++trial) {
    const auto value = any_float(random);
    if (!std::isfinite(value) || std::abs(static_cast<double>(value)) > values.back()) {
      continue;
    }
    const double magnitude = std::abs(static_cast<double>(value));
    const auto above = std::lower_bound(values.begin(), values.end(), magnitude);
    auto nearest = above;
    if (above != values.begin()) {
      const double up = *above - magnitude;
      const double down = magnitude - *(above - 1);
      const bool below_is_even = (above - 1 - values.begin()) % 2 == 0;
      nearest = down < up || (down == up && below_is_even) ? above - 1 : above;
    }
    const auto pattern = static_cast<std::uint32_t>(nearest - values.begin());
    ASSERT_EQ(encode<format>(value), pattern | (std::signbit(value) ? format.sign_bit() : 0U)) << value;
    ASSERT_EQ(static_cast<double>(round_to<format>(value)), std::copysign(*nearest, static_cast<double>(value)));
  }
}

TEST(Rounding, TakesTheNearestTFloat32) { expect_rounding<tfloat32_format>(); }
TEST(Rounding, TakesTheNearestBFloat16) { expect_rounding<bfloat16_format>(); }
TEST(Rounding, TakesTheNearestFloat16) { expect_rounding<float16_format>(); }
TEST(Rounding, TakesTheNearestFloat8E4M3) { expect_rounding<float8_e4m3_format>(); }
TEST(Rounding, TakesTheNearestFloat8E5M2) { expect_rounding<float8_e5m2_format>(); }

TEST(Rounding, LeavesFloat32AsItIs) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 100'000; ++trial) {
    const auto value = any_float(random);
    if (!std::isnan(value)) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(round_to<float32_format>(value)), std::bit_cast<std::uint32_t>(value));
    }
  }
  EXPECT_TRUE(std::isnan(round_to<float32_format>(not_a_number)));
}

TEST(Rounding, NegativeControlTruncationIsFound) {
  EXPECT_GT(wrong_midpoints<bfloat16_format>(truncated<bfloat16_format>), 10'000);
  EXPECT_GT(wrong_midpoints<float16_format>(truncated<float16_format>), 10'000);
  EXPECT_GT(wrong_midpoints<float8_e4m3_format>(truncated<float8_e4m3_format>), 50);
  // Ties away from zero, the other usual mistake, are found at half of the midpoints.
  const auto ties_away = [](float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return (bits + 0x8000U) >> 16;
  };
  EXPECT_GT(wrong_midpoints<bfloat16_format>(ties_away), 10'000);
}

template <FloatFormat format> void expect_overflow(double largest, double step) {
  EXPECT_EQ(static_cast<double>(decode<format>(format.largest())), largest);
  const auto halfway = static_cast<float>(largest + step / 2.0);
  const float before = std::nextafter(halfway, 0.0F);
  const float after = std::nextafter(halfway, infinity);
  for (const Overflow overflow : {Overflow::special, Overflow::saturate}) {
    EXPECT_EQ(encode<format>(before, overflow), format.largest());
    const std::uint32_t too_large = overflow == Overflow::special ? format.overflowed() : format.largest();
    for (const float value : {after, std::numeric_limits<float>::max(), infinity}) {
      EXPECT_EQ(encode<format>(value, overflow), too_large) << value;
      EXPECT_EQ(encode<format>(-value, overflow), too_large | format.sign_bit()) << value;
    }
    EXPECT_TRUE(std::isnan(decode<format>(encode<format>(not_a_number, overflow))));
  }
  EXPECT_EQ(std::isinf(decode<format>(format.overflowed())), format.infinities);
  EXPECT_EQ(std::isnan(decode<format>(format.overflowed())), !format.infinities);
}

TEST(Rounding, OverflowsAsTheFormatSays) {
  expect_overflow<bfloat16_format>(std::ldexp(255.0, 120), std::ldexp(1.0, 120));
  expect_overflow<float16_format>(65504.0, 32.0);
  expect_overflow<float8_e4m3_format>(448.0, 32.0);
  expect_overflow<float8_e5m2_format>(57344.0, 8192.0);
  EXPECT_EQ(round_to<float8_e4m3_format>(1e6F), 448.0F); // saturates
  EXPECT_EQ(round_to<float8_e4m3_format>(-infinity), -448.0F);
  EXPECT_EQ(round_to<float8_e5m2_format>(1e6F), infinity);
  EXPECT_EQ(round_to<float16_format>(1e6F), infinity);
  EXPECT_EQ(round_to<bfloat16_format>(std::numeric_limits<float>::max()), infinity);
}

TEST(Rounding, ReachesTheSmallestSubnormals) {
  EXPECT_EQ(static_cast<double>(decode<float16_format>(1)), std::ldexp(1.0, -24));
  EXPECT_EQ(static_cast<double>(decode<bfloat16_format>(1)), std::ldexp(1.0, -133));
  EXPECT_EQ(static_cast<double>(decode<float8_e4m3_format>(1)), std::ldexp(1.0, -9));
  EXPECT_EQ(static_cast<double>(decode<float8_e5m2_format>(1)), std::ldexp(1.0, -16));
  EXPECT_EQ(encode<float16_format>(std::ldexp(1.0F, -25)), 0U); // a tie with zero
  EXPECT_EQ(encode<float16_format>(std::ldexp(1.001F, -25)), 1U);
  EXPECT_EQ(encode<float16_format>(std::numeric_limits<float>::denorm_min()), 0U);
  EXPECT_EQ(encode<float16_format>(-0.0F), 0x8000U);
}

TEST(Storage, PacksTwoRealBytesAndUnpacksThemExactly) {
  const ExecutionSpace space;
  const std::int64_t count = 65536 + 77; // no multiple of anything
  const Owned1 values("values", count);
  const Owned1 rounded("rounded", count);
  const Owned1 unpacked("unpacked", count);
  const Kokkos::View<std::uint16_t *, MemorySpace> packed("packed", count + 1);
  const auto host = Kokkos::create_mirror_view(values);
  std::mt19937 random(5);
  for (std::int64_t index = 0; index < count; ++index) {
    host(index) = index % 3 == 0 ? any_float(random) : static_cast<float>(random()) * 1e-9F - 2.0F;
  }
  Kokkos::deep_copy(values, host);
  static_assert(sizeof(packed(0)) == 2);
  for (const NumberFormat format : {NumberFormat::bfloat16, NumberFormat::float16}) {
    Kokkos::deep_copy(packed, std::uint16_t{0x1234});
    pack_elements(space, values.data(), count, format, packed.data());
    unpack_elements(space, packed.data(), count, format, unpacked.data());
    round_elements(space, values.data(), count, format, rounded.data());
    space.fence();
    const auto bits = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, packed);
    const auto back = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, unpacked);
    const auto expected = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, rounded);
    for (std::int64_t index = 0; index < count; ++index) {
      const std::uint32_t pattern =
          format == NumberFormat::bfloat16 ? encode<bfloat16_format>(host(index)) : encode<float16_format>(host(index));
      ASSERT_EQ(bits(index), pattern) << host(index);
      const bool same = back(index) == expected(index) || (std::isnan(back(index)) && std::isnan(expected(index)));
      ASSERT_TRUE(same) << host(index);
    }
    EXPECT_EQ(bits(count), 0x1234);
  }
  EXPECT_THROW(pack_elements(space, values.data(), 1, NumberFormat::float32, packed.data()), std::invalid_argument);
  EXPECT_THROW(unpack_elements(space, packed.data(), 1, NumberFormat::float8_e4m3, unpacked.data()),
               std::invalid_argument);
}

TEST(Storage, RoundsInPlaceToEveryFormat) {
  const ExecutionSpace space;
  const auto rounded = [&](NumberFormat format) {
    const Owned1 value("value", 1);
    Kokkos::deep_copy(value, 1.2345678F);
    round_elements(space, value.data(), 1, format, value.data());
    space.fence();
    return Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, value)(0);
  };
  EXPECT_EQ(rounded(NumberFormat::float32), 1.2345678F);
  EXPECT_EQ(rounded(NumberFormat::tfloat32), 1264.0F / 1024.0F);
  EXPECT_EQ(rounded(NumberFormat::float16), 1264.0F / 1024.0F);
  EXPECT_EQ(rounded(NumberFormat::bfloat16), 158.0F / 128.0F);
  EXPECT_EQ(rounded(NumberFormat::float8_e4m3), 10.0F / 8.0F);
  EXPECT_EQ(rounded(NumberFormat::float8_e5m2), 5.0F / 4.0F);
}

} // namespace
} // namespace ringscale::kernels::test
