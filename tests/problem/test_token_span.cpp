// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "problem/counter_random.hpp"
#include "problem/invalid_input.hpp"
#include "problem/token_span.hpp"

namespace ringscale::problem {
namespace {

std::int64_t brute_pairs(const TokenSpan &queries, const TokenSpan &keys, Mask mask) {
  std::int64_t pairs = 0;
  for (std::int64_t query = 0; query < queries.count; ++query) {
    for (std::int64_t key = 0; key < keys.count; ++key) {
      pairs += mask == Mask::none || keys.position(key) <= queries.position(query) ? 1 : 0;
    }
  }
  return pairs;
}

TokenSpan random_span(std::uint64_t seed, std::int64_t stride) {
  return {static_cast<std::int64_t>(random_bits(seed, 1, 0) % 60),
          static_cast<std::int64_t>(random_bits(seed, 2, 0) % 25), stride};
}

TEST(TokenSpan, PairsOfRandomSpansEqualEnumeration) {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const auto stride = static_cast<std::int64_t>(1 + random_bits(seed, 3, 0) % 5);
    const std::int64_t key_stride = seed % 3 == 0 ? 1 + (stride + 1) % 4 : stride;
    const TokenSpan queries = random_span(2 * seed, stride);
    const TokenSpan keys = random_span(2 * seed + 1, key_stride);
    for (const Mask mask : {Mask::none, Mask::causal}) {
      ASSERT_EQ(admitted_pairs(queries, keys, mask), brute_pairs(queries, keys, mask))
          << "queries " << queries.begin << "+" << queries.count << "x" << queries.stride << ", keys " << keys.begin
          << "+" << keys.count << "x" << keys.stride;
    }
  }
}

TEST(TokenSpan, PairsThatLeave63BitsAreRefusedAndNotWrapped) {
  constexpr std::int64_t length = 3'037'000'499; // its square is the largest below 2^63
  const TokenSpan longest{0, length, 1};
  EXPECT_EQ(admitted_pairs(longest, longest, Mask::causal), length * (length + 1) / 2);
  EXPECT_EQ(admitted_pairs(longest, longest, Mask::none), length * length);
  const TokenSpan longer{0, length + 1, 1};
  const TokenSet two_spans{{0, length, 1}, {length, 1, 1}};
  for (const Mask mask : {Mask::none, Mask::causal}) {
    EXPECT_THROW((void)admitted_pairs(longer, longer, mask), InvalidInput);
    EXPECT_THROW((void)admitted_pairs(two_spans, two_spans, mask), InvalidInput);
  }
}

TEST(TokenSpan, AdmittedKeysAreTheFirstOnes) {
  const TokenSpan queries{10, 5, 1};
  const TokenSpan keys{8, 10, 3}; // 8, 11, 14, 17, ...
  EXPECT_EQ(admitted_keys(queries, 0, keys, Mask::causal), 1);
  EXPECT_EQ(admitted_keys(queries, 1, keys, Mask::causal), 2);
  EXPECT_EQ(admitted_keys(queries, 4, keys, Mask::causal), 3);
  EXPECT_EQ(admitted_keys(TokenSpan{7, 1, 1}, 0, keys, Mask::causal), 0);
  EXPECT_EQ(admitted_keys(TokenSpan{7, 1, 1}, 0, keys, Mask::none), 10);
}

TEST(TokenSpan, FloorDivideRoundsDownForNegativeDividends) {
  EXPECT_EQ(floor_divide(-1, 4), -1);
  EXPECT_EQ(floor_divide(-4, 4), -1);
  EXPECT_EQ(floor_divide(-5, 4), -2);
  EXPECT_EQ(floor_divide(5, 4), 1);
}

TEST(TokenSet, PositionsRunThroughBothSpans) {
  const TokenSet tokens{{0, 2, 1}, {8, 2, 1}};
  EXPECT_EQ(tokens.count(), 4);
  EXPECT_EQ(tokens.span_count(), 2);
  EXPECT_EQ(tokens.position(1), 1);
  EXPECT_EQ(tokens.position(2), 8);
}

} // namespace
} // namespace ringscale::problem
