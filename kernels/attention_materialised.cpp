// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention_materialised.hpp"

#include <stdexcept>

#include "kernels/query_blocks.hpp"
#include "kernels/tile/select_tile.hpp"
#include "kernels/tile/tile_policy.hpp"

namespace ringscale::kernels {

namespace {

using Policy = Kokkos::TeamPolicy<ExecutionSpace>;
using Member = Policy::member_type;
using Tile = tile::SelectTile<0, Member>::Type;

/// Row `row` of the score matrix, [batch, query_heads, rows, key_tokens].
KOKKOS_INLINE_FUNCTION float *score_row(const AttentionBlock &block, float *scores, std::int64_t batch,
                                        std::int64_t head, std::int64_t row) {
  const std::int64_t rows = block.query_end - block.query_begin;
  return scores + ((batch * block.query.extent_int(2) + head) * rows + row - block.query_begin) * block.key_tokens;
}

/// First pass: scores = scale Q K^T in natural units, -infinity where the mask admits nothing.
struct ScorePass {
  AttentionBlock block;
  QueryBlocks cut;
  float *scores;
  const std::uint8_t *mask;

  KOKKOS_FUNCTION void operator()(const Member &member) const {
    const QueryBlocks::Place place = cut.place(member.league_rank());
    const HeadData head(block, place);
    Tile tile(member, head.head_dim);
    // Every score is computed: the mask of this baseline is applied afterwards, as materialised code does.
    tile.begin(head.query, head.query_stride, place.row_end - place.row_begin, block.scale,
               [&](std::int64_t) { return block.key_tokens; });
    for (std::int64_t key = 0; key < block.key_tokens; key += Tile::key_block_tokens) {
      const std::int64_t left = block.key_tokens - key;
      const std::int64_t count = left < Tile::key_block_tokens ? left : Tile::key_block_tokens;
      tile.begin_keys(head.keys, head.values, key, key + count);
      for (std::int64_t panel = 0; panel < tile.panels(); ++panel) {
        tile.scores(panel);
        const std::int64_t begin = place.row_begin + panel * Tile::rows_per_panel;
        const std::int64_t end =
            begin + Tile::rows_per_panel < place.row_end ? begin + Tile::rows_per_panel : place.row_end;
        Kokkos::parallel_for(Kokkos::TeamThreadRange(member, begin, end), [&](const std::int64_t row) {
          const std::int64_t admitted = block.admission.admitted_keys(row, block.key_tokens);
          const float *from = tile.panel_weights() + (row - begin) * Tile::weight_stride;
          float *to = score_row(block, scores, place.batch, place.head, row) + key;
          const std::uint8_t *admits = mask == nullptr ? nullptr : mask + row * block.key_tokens + key;
          for (std::int64_t index = 0; index < count; ++index) {
            const bool met = key + index < admitted && (admits == nullptr || admits[index] != 0);
            to[index] = met ? from[index] : -Kokkos::Experimental::infinity_v<float>;
          }
        });
        member.team_barrier();
      }
    }
  }
};

/// Second and third pass: softmax of every row in place, then output = weights V, joined with the partial held.
struct OutputPass {
  AttentionBlock block;
  QueryBlocks cut;
  float *scores;

  KOKKOS_FUNCTION void operator()(const Member &member) const {
    const QueryBlocks::Place place = cut.place(member.league_rank());
    const HeadData head(block, place);
    Tile tile(member, head.head_dim);
    tile.begin(head.query, head.query_stride, place.row_end - place.row_begin, 1.0F,
               [&](std::int64_t) { return block.key_tokens; });
    tile.softmax_rows(
        [&](std::int64_t row) { return score_row(block, scores, place.batch, place.head, place.row_begin + row); },
        block.key_tokens);
    for (std::int64_t key = 0; key < block.key_tokens; key += Tile::key_block_tokens) {
      const std::int64_t left = block.key_tokens - key;
      const std::int64_t count = left < Tile::key_block_tokens ? left : Tile::key_block_tokens;
      tile.begin_keys(head.keys, head.values, key, key + count);
      for (std::int64_t panel = 0; panel < tile.panels(); ++panel) {
        const std::int64_t begin = place.row_begin + panel * Tile::rows_per_panel;
        Kokkos::parallel_for(Kokkos::TeamThreadRange(member, Tile::rows_per_panel), [&](const std::int64_t index) {
          float *to = tile.panel_weights() + index * Tile::weight_stride;
          const bool exists = begin + index < place.row_end;
          const float *from = exists ? score_row(block, scores, place.batch, place.head, begin + index) + key : nullptr;
          for (std::int64_t column = 0; column < count; ++column) {
            to[column] = exists ? from[column] : 0.0F;
          }
        });
        member.team_barrier();
        if (block.dropout.active()) {
          const Admission &at = block.admission;
          tile.drop(
              panel, block.dropout,
              [&](std::int64_t row) {
                return block.dropout.row_bits(place.batch, place.head,
                                              at.query_origin + (place.row_begin + row) * at.query_stride);
              },
              at.key_origin + key * at.key_stride, at.key_stride);
        }
        tile.accumulate(panel);
      }
    }
    tile.finish(
        block.merge, [&](std::int64_t row) { return &block.output(place.batch, place.row_begin + row, place.head, 0); },
        [&](std::int64_t row) -> float & { return block.log_sum_exp(place.batch, place.row_begin + row, place.head); });
  }
};

} // namespace

std::int64_t materialised_score_elements(const AttentionBlock &block) {
  return static_cast<std::int64_t>(block.query.extent(0) * block.query.extent(2)) *
         (block.query_end - block.query_begin) * block.key_tokens;
}

void attention_block_materialised(const ExecutionSpace &space, const AttentionBlock &block, float *scores,
                                  const std::uint8_t *mask) {
  Kokkos::Profiling::ScopedRegion region("ringscale::attention_block_materialised");
  check_attention_block(block);
  if (materialised_score_elements(block) > 0 && scores == nullptr) {
    throw std::invalid_argument("attention block: scores is null");
  }
  const std::int64_t head_dim = block.query.extent_int(3);
  const QueryBlocks cut = QueryBlocks::cut(block, Tile::rows_per_block, Tile::row_granularity, space.concurrency());
  const int league = static_cast<int>(cut.league_size(block.query.extent_int(0)));
  if (league == 0) {
    return;
  }
  const Policy blocks = tile::tile_policy<Tile, Policy>(space, league, head_dim);
  Kokkos::parallel_for("ringscale::materialised_scores", blocks, ScorePass{block, cut, scores, mask});
  Kokkos::parallel_for("ringscale::materialised_output", blocks, OutputPass{block, cut, scores});
}

} // namespace ringscale::kernels
