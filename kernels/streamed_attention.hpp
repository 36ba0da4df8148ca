// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstdint>

#include "kernels/attention_block.hpp"
#include "kernels/row_block.hpp"
#include "kernels/tile/row_state.hpp"
#include "kernels/tile/tile_policy.hpp"

namespace ringscale::kernels {

/// The streamed-softmax kernel, for any tile primitives and any pattern: a team takes a block of query rows of one
/// head through the keys, block by block, and keeps of the scores only the rows' running reference and sum. `Blocks`
/// cuts the problem: `Blocks::at(league_rank)` is a RowBlock. Blocks that have a `dropout()` need tiles that can drop.
template <template <class> class TileOf, class Blocks> struct StreamedAttention {
  using Policy = Kokkos::TeamPolicy<ExecutionSpace, Kokkos::Schedule<Kokkos::Dynamic>>;
  using Member = typename Policy::member_type;
  using Tile = typename TileOf<Member>::Type;

  Blocks blocks;
  std::int64_t head_dim;
  float scale;
  Merge merge;

  KOKKOS_FUNCTION void operator()(const Member &member) const {
    Tile tile(member, head_dim);
    compute(tile, blocks.at(member.league_rank()));
  }

  /// One row block, with a tile that may have computed others before.
  template <class Rows> KOKKOS_FUNCTION void compute(Tile &tile, const Rows &rows) const {
    tile.begin(rows.query, rows.query_stride, rows.rows, scale * tile::log2_e,
               [&](std::int64_t row) { return rows.admission.admitted_keys(row, rows.key_tokens); });
    const std::int64_t key_end = tile.most_admitted_keys();
    if (rows.key_ranges == nullptr) {
      meet(tile, rows, 0, key_end);
    } else {
      for (std::int32_t index = 0; index < rows.key_range_count; ++index) {
        const std::int64_t range_end = rows.key_ranges[index].end;
        meet(tile, rows, rows.key_ranges[index].begin, range_end < key_end ? range_end : key_end);
      }
    }
    tile.finish(
        merge, [&](std::int64_t row) { return rows.output_row(row); },
        [&](std::int64_t row) -> float & { return rows.log_sum_exp_of(row); });
  }

  /// Launches a league of `league` teams on `space`; what they compute has been checked.
  static void launch(const ExecutionSpace &space, const char *label, std::int64_t league,
                     const StreamedAttention &attention) {
    if (league == 0) {
      return;
    }
    Policy policy = tile::tile_policy<Tile, Policy>(space, league, attention.head_dim, tile::TeamLanes::of_tile);
    policy.set_chunk_size(1);
    Kokkos::parallel_for(label, policy, attention);
  }

private:
  template <class Rows>
  KOKKOS_FUNCTION void meet(Tile &tile, const Rows &rows, std::int64_t key_begin, std::int64_t key_end) const {
    for (std::int64_t key = key_begin; key < key_end; key += Tile::key_block_tokens) {
      const std::int64_t block_end = key + Tile::key_block_tokens;
      tile.begin_keys(rows.keys, rows.values, key, block_end < key_end ? block_end : key_end);
      for (std::int64_t panel = 0; panel < tile.panels(); ++panel) {
        tile.weights(panel);
        if constexpr (requires { blocks.dropout(); }) {
          if (blocks.dropout().active()) {
            drop(tile, rows, panel, key);
          }
        }
        tile.accumulate(panel);
      }
    }
  }

  /// The sums of the weights have been taken: what dropout removes or raises now does not change them.
  template <class Rows>
  KOKKOS_FUNCTION void drop(Tile &tile, const Rows &rows, std::int64_t panel, std::int64_t key) const {
    const Admission &admission = rows.admission;
    tile.drop(
        panel, blocks.dropout(),
        [&](std::int64_t row) {
          return blocks.dropout().row_bits(rows.batch, rows.head,
                                           admission.query_origin + row * admission.query_stride);
        },
        admission.key_origin + key * admission.key_stride, admission.key_stride);
  }
};

} // namespace ringscale::kernels
