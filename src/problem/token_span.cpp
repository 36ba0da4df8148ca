// SPDX-License-Identifier: Apache-2.0
#include "problem/token_span.hpp"

#include "problem/invalid_input.hpp"

namespace ringscale::problem {

namespace {

/// All pairs of two sets must fit 63 bits: admitted ones are counted from products of lengths, which would wrap.
void require_countable(std::int64_t queries, std::int64_t keys) {
  std::int64_t pairs = 0;
  if (__builtin_mul_overflow(queries, keys, &pairs)) {
    throw InvalidInput("pairs of " + std::to_string(queries) + " queries and " + std::to_string(keys) +
                       " keys are more than 2^63, too many to count exactly; use more ranks or fewer tokens");
  }
}

} // namespace

std::int64_t admitted_pairs(const TokenSpan &queries, const TokenSpan &keys, Mask mask) {
  require_countable(queries.count, keys.count);
  if (mask == Mask::none) {
    return queries.count * keys.count;
  }
  if (queries.stride != keys.stride) {
    std::int64_t pairs = 0;
    for (std::int64_t query = 0; query < queries.count; ++query) {
      pairs += admitted_keys(queries, query, keys, mask);
    }
    return pairs;
  }
  // Query i admits clamp(i + lead, 0, keys): none below `idle`, a rising staircase up to `full`, then all keys.
  const std::int64_t lead = floor_divide(queries.begin - keys.begin, keys.stride) + 1;
  const std::int64_t idle = std::clamp<std::int64_t>(-lead, 0, queries.count);
  const std::int64_t full = std::clamp<std::int64_t>(keys.count - lead, idle, queries.count);
  const std::int64_t rising = full - idle;
  const std::int64_t first = idle + lead;
  return rising * first + rising * (rising - 1) / 2 + (queries.count - full) * keys.count;
}

std::int64_t admitted_pairs(const TokenSet &queries, const TokenSet &keys, Mask mask) {
  require_countable(queries.count(), keys.count());
  std::int64_t pairs = 0;
  for (int query = 0; query < queries.span_count(); ++query) {
    for (int key = 0; key < keys.span_count(); ++key) {
      pairs += admitted_pairs(queries.span(query), keys.span(key), mask);
    }
  }
  return pairs;
}

} // namespace ringscale::problem
