// SPDX-License-Identifier: Apache-2.0
#include "schedule/placement.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "problem/words.hpp"
#include "schedule/choices.hpp"

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

/// Granules before run `index` of `runs` nearly equal runs of them; the first granules mod runs runs are one longer.
std::int64_t equal_begin(std::int64_t granules, std::int64_t runs, std::int64_t index) {
  return index * (granules / runs) + std::min(index, granules % runs);
}

/// Granules before run `index` when every run has one and the others are dealt by weight. Run i of two halves (zigzag)
/// belongs to rank i or, in the second half, to rank runs - 1 - i.
std::int64_t weighted_begin(const ChunkShape &shape, std::int64_t granules, std::int64_t runs, std::int64_t index) {
  const auto ranks = static_cast<std::int64_t>(shape.weight_sums.size());
  const auto sum_before = [&](std::int64_t rank) {
    return rank == 0 ? 0.0 : shape.weight_sums[static_cast<std::size_t>(rank - 1)];
  };
  const double whole = shape.weight_sums.back();
  double share = 0.0;
  if (runs == ranks) {
    share = sum_before(index) / whole;
  } else {
    share = index <= ranks ? 0.5 * sum_before(index) / whole : 1.0 - 0.5 * sum_before(runs - index) / whole;
  }
  const auto dealt = static_cast<std::int64_t>(std::llround(share * static_cast<double>(granules - runs)));
  return index + std::clamp<std::int64_t>(dealt, 0, granules - runs);
}

/// Run `index` of `runs` runs of 0..tokens-1.
TokenSpan run_of(const ChunkShape &shape, std::int64_t tokens, std::int64_t runs, std::int64_t index) {
  const std::int64_t granule = shape.granule_tokens;
  const std::int64_t granules = (tokens + granule - 1) / granule;
  const auto begin_of = [&](std::int64_t run) {
    const std::int64_t before =
        shape.weighted() ? weighted_begin(shape, granules, runs, run) : equal_begin(granules, runs, run);
    return std::min(before * granule, tokens);
  };
  const std::int64_t begin = begin_of(index);
  return {begin, begin_of(index + 1) - begin, 1};
}

void require_chunks(Placement placement, std::int64_t tokens, std::int64_t ring_size, const ChunkShape &shape) {
  const std::int64_t granule = shape.granule_tokens;
  if (granule < 1) {
    throw InvalidInput("chunks are cut in granules of " + std::to_string(granule) + " tokens; it must be at least 1");
  }
  if (placement == Placement::striped && (granule > 1 || shape.weighted())) {
    throw InvalidInput("placement striped deals single tokens in turn; weighted chunks and sparse or dilated patterns "
                       "need contiguous, zigzag or replicated_queries");
  }
  if (shape.weighted() && static_cast<std::int64_t>(shape.weight_sums.size()) != ring_size) {
    throw InvalidInput("chunks have " + std::to_string(shape.weight_sums.size()) + " weights for a ring of " +
                       std::to_string(ring_size) + "; give one a rank");
  }
  const std::int64_t runs = placement == Placement::zigzag && ring_size > 1 ? 2 * ring_size : ring_size;
  const std::int64_t granules = (tokens + granule - 1) / granule;
  if ((granule > 1 || shape.weighted()) && granules < runs) {
    throw InvalidInput("tokens (" + std::to_string(tokens) + ") make " + std::to_string(granules) + " granules of " +
                       std::to_string(granule) + "; placement " + std::string(name(placement)) + " on " +
                       std::to_string(ring_size) + " ranks needs " + std::to_string(runs));
  }
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
std::vector<std::string_view> placement_choices() { return problem::words_of(placement_words); }
Placement parse_placement(std::string_view word) { return problem::parse_word("placement", placement_words, word); }

ChunkShape weighted_chunks(const std::vector<double> &weights, std::int64_t granule_tokens) {
  ChunkShape shape;
  shape.granule_tokens = granule_tokens;
  double sum = 0.0;
  for (const double weight : weights) {
    if (!(weight > 0.0 && std::isfinite(weight))) {
      throw InvalidInput("a chunk weight is " + std::to_string(weight) + "; it must be a positive number");
    }
    sum += weight;
    shape.weight_sums.push_back(sum);
  }
  return shape;
}

TokenSet key_tokens(Placement placement, std::int64_t tokens, std::int64_t ring_size, std::int64_t rank,
                    const ChunkShape &shape) {
  require_ring(tokens, ring_size, rank);
  require_chunks(placement, tokens, ring_size, shape);
  switch (placement) {
  case Placement::contiguous:
  case Placement::replicated_queries:
    return {run_of(shape, tokens, ring_size, rank), {}};
  case Placement::zigzag: {
    if (ring_size == 1) {
      return {{0, tokens, 1}, {}};
    }
    return {run_of(shape, tokens, 2 * ring_size, rank), run_of(shape, tokens, 2 * ring_size, 2 * ring_size - 1 - rank)};
  }
  case Placement::striped:
    return {{rank, (tokens - rank + ring_size - 1) / ring_size, ring_size}, {}};
  }
  throw InvalidInput("unknown placement");
}

TokenSet query_tokens(Placement placement, std::int64_t tokens, std::int64_t ring_size, std::int64_t rank,
                      const ChunkShape &shape) {
  if (placement == Placement::replicated_queries) {
    require_ring(tokens, ring_size, rank);
    return {{0, tokens, 1}, {}};
  }
  return key_tokens(placement, tokens, ring_size, rank, shape);
}

std::vector<std::int64_t> ranks_with_most_tokens(std::int64_t ring_size, const ChunkShape &shape) {
  if (shape.weighted()) {
    std::vector<std::int64_t> all(static_cast<std::size_t>(ring_size));
    std::iota(all.begin(), all.end(), std::int64_t{0});
    return all;
  }
  // Longer runs come first and stripes start at rank 0. A zigzag pair holds a long run of either half: the first rank
  // has one whenever any has, and its second run is long only when every run is. Where the last granule is short, it
  // is that second run's, and the next rank stands for the first.
  return {0, std::min<std::int64_t>(1, ring_size - 1), ring_size - 1};
}

std::int64_t most_key_tokens(Placement placement, std::int64_t tokens, std::int64_t ring_size,
                             const ChunkShape &shape) {
  std::int64_t most = key_tokens(placement, tokens, ring_size, 0, shape).count();
  for (const std::int64_t rank : ranks_with_most_tokens(ring_size, shape)) {
    most = std::max(most, key_tokens(placement, tokens, ring_size, rank, shape).count());
  }
  return most;
}

} // namespace ringscale::schedule
