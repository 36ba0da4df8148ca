// SPDX-License-Identifier: Apache-2.0
#include "schedule/placement.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "problem/words.hpp"

namespace ringscale::schedule {

using problem::InvalidInput;
using problem::TokenSet;
using problem::TokenSpan;

namespace {

constexpr std::array<std::pair<std::string_view, Placement>, 4> placement_words{
    {{"contiguous", Placement::contiguous},
     {"zigzag", Placement::zigzag},
     {"striped", Placement::striped},
     {"replicated_queries", Placement::replicated_queries}}};

/// Run `index` of `runs` nearly equal runs of 0..tokens-1; the first tokens mod runs of them are one longer.
TokenSpan run_of(std::int64_t tokens, std::int64_t runs, std::int64_t index) {
  const std::int64_t shortest = tokens / runs;
  const std::int64_t longer = tokens % runs;
  return {index * shortest + std::min(index, longer), shortest + (index < longer ? 1 : 0), 1};
}

void require_ring(std::int64_t tokens, std::int64_t ring_size, std::int64_t rank) {
  if (ring_size < 1) {
    throw InvalidInput("ring_size is " + std::to_string(ring_size) + "; it must be at least 1");
  }
  if (tokens < ring_size) {
    throw InvalidInput("tokens (" + std::to_string(tokens) + ") is smaller than ring_size (" +
                       std::to_string(ring_size) + "); every rank needs at least one token");
  }
  if (rank < 0 || rank >= ring_size) {
    throw InvalidInput("rank " + std::to_string(rank) + " is outside a ring of " + std::to_string(ring_size));
  }
}

} // namespace

std::string_view name(Placement placement) { return problem::word_of(placement_words, placement); }
Placement parse_placement(std::string_view word) { return problem::parse_word("placement", placement_words, word); }

TokenSet key_tokens(Placement placement, std::int64_t tokens, std::int64_t ring_size, std::int64_t rank) {
  require_ring(tokens, ring_size, rank);
  switch (placement) {
  case Placement::contiguous:
  case Placement::replicated_queries:
    return {run_of(tokens, ring_size, rank), {}};
  case Placement::zigzag: {
    if (ring_size == 1) {
      return {{0, tokens, 1}, {}};
    }
    return {run_of(tokens, 2 * ring_size, rank), run_of(tokens, 2 * ring_size, 2 * ring_size - 1 - rank)};
  }
  case Placement::striped:
    return {{rank, (tokens - rank + ring_size - 1) / ring_size, ring_size}, {}};
  }
  throw InvalidInput("unknown placement");
}

TokenSet query_tokens(Placement placement, std::int64_t tokens, std::int64_t ring_size, std::int64_t rank) {
  if (placement == Placement::replicated_queries) {
    require_ring(tokens, ring_size, rank);
    return {{0, tokens, 1}, {}};
  }
  return key_tokens(placement, tokens, ring_size, rank);
}

std::int64_t most_key_tokens(Placement placement, std::int64_t tokens, std::int64_t ring_size) {
  // Longer runs come first and stripes start at rank 0. A zigzag pair holds a long run of either half: the first
  // rank has one whenever any has, and its second run is long only when every run is.
  std::int64_t most = key_tokens(placement, tokens, ring_size, 0).count();
  if (placement == Placement::zigzag && ring_size > 1) {
    most = std::max(most, key_tokens(placement, tokens, ring_size, ring_size - 1).count());
  }
  return most;
}

} // namespace ringscale::schedule
