// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/query_blocks.hpp"
#include "kernels/streamed_attention.hpp"

namespace ringscale::kernels {

/// The row blocks of an AttentionBlock.
struct DenseRowBlocks {
  AttentionBlock block;
  QueryBlocks cut;

  KOKKOS_INLINE_FUNCTION const Dropout &dropout() const { return block.dropout; }

  KOKKOS_INLINE_FUNCTION RowBlock<float> at(std::int64_t league_rank) const {
    const QueryBlocks::Place place = cut.place(league_rank);
    const HeadData head(block, place);
    RowBlock<float> rows;
    rows.query = head.query;
    rows.query_stride = head.query_stride;
    rows.rows = place.row_end - place.row_begin;
    rows.keys = head.keys;
    rows.values = head.values;
    rows.key_tokens = block.key_tokens;
    rows.admission = block.admission;
    rows.admission.query_origin += place.row_begin * block.admission.query_stride;
    rows.output = &block.output(place.batch, place.row_begin, place.head, 0);
    rows.output_stride = head.query_stride;
    rows.log_sum_exp = &block.log_sum_exp(place.batch, place.row_begin, place.head);
    rows.log_sum_exp_stride = block.log_sum_exp.extent_int(2);
    rows.batch = place.batch;
    rows.head = place.head;
    return rows;
  }
};

/// The streamed kernel over an AttentionBlock, with the tile primitives TileOf; the block has been checked.
template <template <class> class TileOf>
void launch_attention_block(const ExecutionSpace &space, const AttentionBlock &block) {
  using Kernel = StreamedAttention<TileOf, DenseRowBlocks>;
  const QueryBlocks cut =
      QueryBlocks::cut(block, Kernel::Tile::rows_per_block, Kernel::Tile::row_granularity, space.concurrency());
  Kernel::launch(space, "ringscale::attention_block", cut.league_size(block.query.extent_int(0)),
                 Kernel{{block, cut}, block.query.extent_int(3), block.scale, block.merge});
}

} // namespace ringscale::kernels
