// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "schedule/ring_schedule.hpp"

namespace ringscale::schedule {

/// Levels of parallelism of one layer, from the outermost to the innermost: data divides the batch, model the heads,
/// ring the tokens, and sequence divides a ring rank's tokens among ranks that exchange heads for tokens before and
/// after attention (Jacobs et al. 2023, DeepSpeed Ulysses). Ranks count through the innermost level first.
struct ProcessGrid {
  std::int64_t data = 1;
  std::int64_t model = 1;
  std::int64_t ring = 1;
  std::int64_t sequence = 1;

  std::int64_t size() const { return data * model * ring * sequence; }
  bool ring_only() const { return data * model * sequence == 1; }
  bool operator==(const ProcessGrid &) const = default;
};

/// Place of one rank in the grid.
struct GridPlace {
  std::int64_t data = 0;
  std::int64_t model = 0;
  std::int64_t ring = 0;
  std::int64_t sequence = 0;
};
GridPlace place_of(const ProcessGrid &grid, std::int64_t rank);

/// A run [begin, begin + count) of batch entries, heads or tokens.
struct Share {
  std::int64_t begin = 0;
  std::int64_t count = 0;
  bool operator==(const Share &) const = default;
};

/// Run `index` of `runs` nearly equal runs of `whole` things; the first ones are longer.
Share equal_share(std::int64_t whole, std::int64_t runs, std::int64_t index);

/// What one rank of the grid works on. `ring` is the problem that its ring computes: its batch entries, and the heads
/// left after model and sequence. Before and after the exchange it owns `own_queries` of the ring rank's queries and
/// `own_keys` of its keys (rows of these, not positions), with all heads of its model share.
struct GridShare {
  GridPlace place;
  RingProblem ring;
  Share batch;
  Share query_heads; ///< of the ring's problem, counted in the whole layer
  Share kv_heads;
  Share model_query_heads; ///< before the exchange: those of the model level
  Share model_kv_heads;
  Share own_queries;
  Share own_keys;
};

/// Throws InvalidInput unless every level divides what it has to: batch >= data, kv_heads a multiple of
/// model x sequence, tokens of every ring rank >= sequence, and unless problem.ring_size is grid.ring.
void validate(const ProcessGrid &grid, const RingProblem &problem);

GridShare share_of(const ProcessGrid &grid, const RingProblem &problem, std::int64_t rank);

} // namespace ringscale::schedule
