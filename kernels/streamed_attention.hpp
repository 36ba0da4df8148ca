// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstdint>

#include "kernels/attention_block.hpp"
#include "kernels/query_blocks.hpp"
#include "kernels/tile/row_state.hpp"

namespace ringscale::kernels {

/// The streamed-softmax kernel, for any tile primitives: a team takes a block of query rows of one head through the
/// keys, block by block, and keeps of the scores only the rows' running reference and sum.
template <template <class> class TileOf> struct StreamedAttention {
  using Policy = Kokkos::TeamPolicy<ExecutionSpace, Kokkos::Schedule<Kokkos::Dynamic>>;
  using Member = typename Policy::member_type;
  using Tile = typename TileOf<Member>::Type;

  AttentionBlock block;
  QueryBlocks cut;

  KOKKOS_FUNCTION void operator()(const Member &member) const {
    const QueryBlocks::Place place = cut.place(member.league_rank());
    const HeadData head(block, place);
    Tile tile(member, head.head_dim);
    tile.begin(
        head.query, head.query_stride, place.row_end - place.row_begin, block.scale * tile::log2_e,
        [&](std::int64_t row) { return block.admission.admitted_keys(place.row_begin + row, block.key_tokens); });
    const std::int64_t key_end = tile.most_admitted_keys();
    for (std::int64_t key = 0; key < key_end; key += Tile::key_block_tokens) {
      const std::int64_t block_end = key + Tile::key_block_tokens;
      tile.begin_keys(head.keys, head.values, key, block_end < key_end ? block_end : key_end);
      for (std::int64_t panel = 0; panel < tile.panels(); ++panel) {
        tile.weights(panel);
        tile.accumulate(panel);
      }
    }
    tile.finish(
        block.merge, [&](std::int64_t row) { return &block.output(place.batch, place.row_begin + row, place.head, 0); },
        [&](std::int64_t row) -> float & { return block.log_sum_exp(place.batch, place.row_begin + row, place.head); });
  }

  /// Launches the kernel on `space`; the block has been checked.
  static void launch(const ExecutionSpace &space, const AttentionBlock &block) {
    const std::int64_t head_dim = block.query.extent_int(3);
    const QueryBlocks cut = QueryBlocks::cut(block, Tile::rows_per_block, Tile::row_granularity, space.concurrency());
    const int league = static_cast<int>(cut.league_size(block.query.extent_int(0)));
    if (league == 0) {
      return;
    }
    const auto scratch = Kokkos::PerTeam(static_cast<int>(Tile::scratch_bytes(head_dim)) + 64);
    Policy policy = Tile::team_size > 0 ? Policy(space, league, Tile::team_size) : Policy(space, league, Kokkos::AUTO);
    policy.set_scratch_size(1, scratch);
    policy.set_chunk_size(1);
    Kokkos::parallel_for("ringscale::attention_block", policy, StreamedAttention{block, cut});
  }
};

} // namespace ringscale::kernels
