// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "problem/attention_problem.hpp"

namespace ringscale::problem {

/// Token positions begin, begin + stride, ..., `count` of them: the unit in which placements own tokens.
struct TokenSpan {
  std::int64_t begin = 0;
  std::int64_t count = 0;
  std::int64_t stride = 1;

  std::int64_t position(std::int64_t index) const { return begin + index * stride; }
  bool operator==(const TokenSpan &) const = default;
};

/// At most two spans (zigzag has two), stored one after the other in a rank's buffers.
struct TokenSet {
  TokenSpan first;
  TokenSpan second;

  std::int64_t count() const { return first.count + second.count; }
  int span_count() const { return second.count > 0 ? 2 : 1; }
  const TokenSpan &span(int index) const { return index == 0 ? first : second; }
  std::int64_t position(std::int64_t index) const {
    return index < first.count ? first.position(index) : second.position(index - first.count);
  }
  bool operator==(const TokenSet &) const = default;
};

/// Rows begin .. begin + count - 1 of a set, in the order of its buffers; they must exist.
inline TokenSet rows_of(const TokenSet &set, std::int64_t begin, std::int64_t count) {
  const auto part = [](const TokenSpan &span, std::int64_t from, std::int64_t to) {
    const std::int64_t first = std::clamp<std::int64_t>(from, 0, span.count);
    return TokenSpan{span.position(first), std::clamp<std::int64_t>(to, first, span.count) - first, span.stride};
  };
  const std::int64_t behind = begin - set.first.count;
  const TokenSpan first = part(set.first, begin, begin + count);
  const TokenSpan second = part(set.second, behind, behind + count);
  return first.count == 0 && second.count > 0 ? TokenSet{second, {}}
                                              : TokenSet{first, second.count > 0 ? second : TokenSpan{}};
}

/// Floor division for a positive divisor, also for negative dividends.
constexpr std::int64_t floor_divide(std::int64_t dividend, std::int64_t divisor) {
  const std::int64_t quotient = dividend / divisor;
  return dividend % divisor < 0 ? quotient - 1 : quotient;
}

/// Keys of `keys` that query `query_index` of `queries` admits; they are always the first ones.
/// Causal admits key position <= query position.
inline std::int64_t admitted_keys(const TokenSpan &queries, std::int64_t query_index, const TokenSpan &keys,
                                  Mask mask) {
  if (mask == Mask::none) {
    return keys.count;
  }
  const std::int64_t gap = queries.position(query_index) - keys.begin;
  return std::clamp<std::int64_t>(floor_divide(gap, keys.stride) + 1, 0, keys.count);
}

/// Admitted pairs of two spans, or of two sets, for one head. Constant time when the strides agree (they do in
/// every placement), else linear in the number of queries. Throws InvalidInput where all pairs, admitted or not, leave
/// 63 bits.
std::int64_t admitted_pairs(const TokenSpan &queries, const TokenSpan &keys, Mask mask);
std::int64_t admitted_pairs(const TokenSet &queries, const TokenSet &keys, Mask mask);

} // namespace ringscale::problem
