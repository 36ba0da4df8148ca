// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/attention_block.hpp"
#include "problem/attention_problem.hpp"
#include "ring/slice_budget.hpp"

namespace ringscale::ring {

/// What is computed between two looks at the network: rows of some heads. Few heads with many rows rather than the
/// reverse, since the keys and values of a head then stay in the cache from one tile of rows to the next.
struct SliceShape {
  std::int64_t rows = 0;  ///< whole query tiles, or all rows
  std::int64_t heads = 0; ///< query heads forward, key/value heads backward; at least one
};

/// Part of a slice's rows and heads.
struct Slice {
  std::int64_t row_begin = 0;
  std::int64_t row_count = 0;
  std::int64_t head_begin = 0;
  std::int64_t head_count = 0;
};

/// `total` in equal parts of at most `most`, each a multiple of `granularity`: the length of one.
inline std::int64_t even_part(std::int64_t total, std::int64_t most, std::int64_t granularity) {
  const std::int64_t parts = std::max<std::int64_t>((total + most - 1) / std::max<std::int64_t>(most, 1), 1);
  const std::int64_t even = (total + parts - 1) / parts;
  return std::max<std::int64_t>((even + granularity - 1) / granularity, 1) * granularity;
}

/// Slices of `query_tokens` rows against `key_tokens` keys in a forward pass. Several threads get four tiles each,
/// fewer where equal parts are shorter.
inline SliceShape forward_slice(const problem::AttentionProblem &attention, std::int64_t query_tokens,
                                std::int64_t key_tokens, int threads, const SliceBudget &budget = {}) {
  constexpr std::int64_t tile = kernels::query_tile_tokens;
  const double head_row_flop =
      problem::forward_flop(attention, static_cast<double>(std::max<std::int64_t>(key_tokens, 1))) /
      static_cast<double>(attention.query_heads);
  const double most_flop = budget.forward_flop * threads;
  const std::int64_t least_tiles = threads > 1 ? std::int64_t{4} * threads : 1;
  const auto most_rows =
      std::max(static_cast<std::int64_t>(std::min(most_flop / (head_row_flop * tile), 1e12)), least_tiles) * tile;
  const std::int64_t rows = std::max<std::int64_t>(query_tokens, 1);
  if (rows > most_rows) {
    return {even_part(rows, most_rows, tile), 1};
  }
  const std::int64_t tiles = (rows + tile - 1) / tile;
  const auto most_heads = static_cast<std::int64_t>(
      std::min(most_flop / (head_row_flop * static_cast<double>(rows)), static_cast<double>(attention.query_heads)));
  const std::int64_t heads = std::max({most_heads, (least_tiles + tiles - 1) / tiles, std::int64_t{1}});
  return {rows, even_part(attention.query_heads, std::min(heads, attention.query_heads), 1)};
}

/// The same for a backward pass. One thread takes one key/value head at a time; several share the heads.
inline SliceShape backward_slice(const problem::AttentionProblem &attention, std::int64_t query_tokens,
                                 std::int64_t key_tokens, int threads, const SliceBudget &budget = {}) {
  constexpr double backward_flop_of_forward = 2.5;
  const std::int64_t heads = threads > 1 ? attention.kv_heads : 1;
  const double row_flop = backward_flop_of_forward *
                          problem::forward_flop(attention, static_cast<double>(std::max<std::int64_t>(key_tokens, 1))) *
                          static_cast<double>(heads) / static_cast<double>(attention.kv_heads * attention.batch);
  const auto rows_of_flop = static_cast<std::int64_t>(std::min(budget.backward_flop * threads / row_flop, 1e12));
  const std::int64_t most_rows = std::max(rows_of_flop, budget.least_backward_rows);
  const std::int64_t rows = std::max<std::int64_t>(query_tokens, 1);
  return {rows <= most_rows ? rows : even_part(rows, most_rows, kernels::query_tile_tokens), heads};
}

/// Calls act(Slice) for all rows and heads: the rows of some heads, then those of the next.
template <class Do>
void each_slice(const SliceShape &shape, std::int64_t query_tokens, std::int64_t heads, const Do &act) {
  for (std::int64_t head = 0; head < heads; head += shape.heads) {
    for (std::int64_t row = 0; row < query_tokens; row += shape.rows) {
      act(Slice{row, std::min(shape.rows, query_tokens - row), head, std::min(shape.heads, heads - head)});
    }
  }
}

} // namespace ringscale::ring
