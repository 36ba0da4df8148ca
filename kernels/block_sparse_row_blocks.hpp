// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/block_sparse_attention.hpp"
#include "kernels/query_blocks.hpp"
#include "kernels/streamed_attention.hpp"

namespace ringscale::kernels {

/// The row blocks of block-sparse attention: league = batch x query heads x query blocks x pieces of a query block.
struct BlockSparseRowBlocks {
  AttentionBlock block;
  BlockLists<KeyRange> lists;
  std::int64_t block_tokens = 0;
  std::int64_t pieces = 1; ///< of a query block, when a tile takes fewer rows
  std::int64_t rows_per_piece = 0;

  static BlockSparseRowBlocks cut(const AttentionBlock &block, const BlockMask &mask, std::int64_t most_rows,
                                  std::int64_t granularity) {
    const std::int64_t block_tokens = mask.shape().block_tokens;
    const std::int64_t pieces = (block_tokens + most_rows - 1) / most_rows;
    const std::int64_t even = (block_tokens + pieces - 1) / pieces;
    // A block that fits one piece is not rounded: its rows end where it ends.
    const std::int64_t rows = pieces == 1 ? block_tokens : (even + granularity - 1) / granularity * granularity;
    return {block, mask.key_lists(), block_tokens, pieces, rows};
  }

  KOKKOS_INLINE_FUNCTION const Dropout &dropout() const { return block.dropout; }

  std::int64_t league_size() const {
    return static_cast<std::int64_t>(block.query.extent(0) * block.query.extent(2)) * lists.blocks * pieces;
  }

  KOKKOS_INLINE_FUNCTION RowBlock<float> at(std::int64_t league_rank) const {
    // Later blocks first: under a causal mask they are the longest.
    const std::int64_t piece = league_rank % pieces;
    const std::int64_t query_block = lists.blocks - 1 - league_rank / pieces % lists.blocks;
    const std::int64_t head_index = league_rank / (pieces * lists.blocks);
    const std::int64_t query_heads = block.query.extent_int(2);
    const std::int64_t tokens = block.query.extent_int(1);
    QueryBlocks::Place place;
    place.batch = head_index / query_heads;
    place.head = head_index % query_heads;
    const std::int64_t block_begin = query_block * block_tokens;
    const std::int64_t block_end = block_begin + block_tokens < tokens ? block_begin + block_tokens : tokens;
    const std::int64_t begin = block_begin + piece * rows_per_piece;
    place.row_begin = begin < block_end ? begin : block_end - 1;
    place.row_end = begin + rows_per_piece < block_end ? begin + rows_per_piece : block_end;
    const HeadData head(block, place);
    const std::int64_t list = lists.place(place.batch, place.head, query_block);
    RowBlock<float> rows;
    rows.query = head.query;
    rows.query_stride = head.query_stride;
    rows.rows = begin < block_end ? place.row_end - begin : 0;
    rows.keys = head.keys;
    rows.values = head.values;
    rows.key_tokens = block.key_tokens;
    rows.admission = block.admission;
    rows.admission.query_origin += place.row_begin;
    rows.key_ranges = lists.begin(list);
    rows.key_range_count = lists.count(list);
    rows.output = &block.output(place.batch, place.row_begin, place.head, 0);
    rows.output_stride = head.query_stride;
    rows.log_sum_exp = &block.log_sum_exp(place.batch, place.row_begin, place.head);
    rows.log_sum_exp_stride = query_heads;
    rows.batch = place.batch;
    rows.head = place.head;
    return rows;
  }
};

/// The streamed kernel over a block mask, with the tile primitives TileOf; block and mask have been checked.
template <template <class> class TileOf>
void launch_block_sparse_attention(const ExecutionSpace &space, const AttentionBlock &block, const BlockMask &mask) {
  using Kernel = StreamedAttention<TileOf, BlockSparseRowBlocks>;
  const BlockSparseRowBlocks blocks =
      BlockSparseRowBlocks::cut(block, mask, Kernel::Tile::rows_per_block, Kernel::Tile::row_granularity);
  Kernel::launch(space, "ringscale::block_sparse_attention", blocks.league_size(),
                 Kernel{blocks, block.query.extent_int(3), block.scale, block.merge});
}

} // namespace ringscale::kernels
