// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstdint>

#include "kernels/dropout.hpp"
#include "kernels/gradient_block.hpp"
#include "kernels/tile/tile_policy.hpp"
#include "kernels/types.hpp"

namespace ringscale::kernels {

/// Keys are met in equal blocks of at most `most_tokens` (a multiple of `granularity`): the tokens of one block.
KOKKOS_INLINE_FUNCTION constexpr std::int64_t even_key_block(std::int64_t key_tokens, std::int64_t most_tokens,
                                                             std::int64_t granularity) {
  const std::int64_t blocks = (key_tokens + most_tokens - 1) / most_tokens;
  const std::int64_t even = blocks == 0 ? 0 : (key_tokens + blocks - 1) / blocks;
  return (even + granularity - 1) / granularity * granularity;
}

/// The backward kernel, for any tile primitives and any pattern (Dao et al. 2022, algorithm 4): a team keeps a block
/// of keys, values and their gradients in its cache and takes the query rows past it, panel by panel, recomputing the
/// weights from the log-sum-exps; five products in one pass. `Blocks` cuts the problem:
///   std::int64_t steps(league_rank): how many steps a team takes, one after the other;
///   GradientBlock at(league_rank, step).
/// Query gradients are added to, so they must be initialised; teams of one launch run side by side and must not share
/// rows of query_gradient or keys of key_gradient, while the steps of one team may. No atomics: same bits every time.
template <template <class> class TileOf, class Blocks> struct StreamedBackward {
  using Policy = Kokkos::TeamPolicy<ExecutionSpace, Kokkos::Schedule<Kokkos::Dynamic>>;
  using Member = typename Policy::member_type;
  using Tile = typename TileOf<Member>::Type;

  Blocks blocks;
  std::int64_t head_dim;
  float scale;
  Dropout dropout;

  KOKKOS_FUNCTION void operator()(const Member &member) const {
    Tile tile(member, head_dim, scale, dropout);
    const std::int64_t steps = blocks.steps(member.league_rank());
    for (std::int64_t step = 0; step < steps; ++step) {
      meet_keys(tile, blocks.at(member.league_rank(), step));
    }
  }

  /// Launches a league of `league` teams on `space`; what they compute has been checked.
  static void launch(const ExecutionSpace &space, const char *label, std::int64_t league,
                     const StreamedBackward &backward) {
    if (league == 0) {
      return;
    }
    Policy policy = tile::tile_policy<Tile, Policy>(space, league, backward.head_dim, tile::TeamLanes::of_tile);
    policy.set_chunk_size(1);
    Kokkos::parallel_for(label, policy, backward);
  }

private:
  KOKKOS_FUNCTION static void meet_keys(Tile &tile, const GradientBlock &block) {
    const std::int64_t length = even_key_block(block.key_tokens, tile.key_block_tokens(), Tile::key_granularity);
    for (std::int64_t key = 0; key < block.key_tokens; key += length) {
      const std::int64_t end = key + length;
      tile.begin_keys(block, key, end < block.key_tokens ? end : block.key_tokens);
      const std::int64_t first_row = block.first_row_admitting(key);
      for (std::int64_t head = 0; head < block.query_heads; ++head) {
        if (block.row_ranges == nullptr) {
          meet_rows(tile, block, head, first_row, block.rows);
        } else {
          for (std::int32_t index = 0; index < block.row_range_count; ++index) {
            const RowRange range = block.row_ranges[index];
            meet_rows(tile, block, head, range.begin > first_row ? range.begin : first_row, range.end);
          }
        }
      }
      tile.finish_keys(block);
    }
  }

  KOKKOS_FUNCTION static void meet_rows(Tile &tile, const GradientBlock &block, std::int64_t head,
                                        std::int64_t row_begin, std::int64_t row_end) {
    for (std::int64_t row = row_begin; row < row_end; row += Tile::rows_per_panel) {
      const std::int64_t end = row + Tile::rows_per_panel;
      tile.begin_rows(block, head, row, end < row_end ? end : row_end);
      tile.weights();
      tile.score_gradients();
      tile.accumulate_key_value();
      tile.accumulate_query(block, head);
    }
  }
};

} // namespace ringscale::kernels
