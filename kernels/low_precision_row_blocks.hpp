// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/attention_low_precision.hpp"
#include "kernels/query_blocks.hpp"
#include "kernels/row_block.hpp"
#include "kernels/storage_row.hpp"
#include "kernels/streamed_attention.hpp"

namespace ringscale::kernels {

/// A row block of two-byte elements, whose output is float32 or two-byte too.
struct LowPrecisionRows : RowBlock<std::uint16_t> {
  std::uint16_t *storage_output = nullptr; ///< as `output`, with the same stride; one of the two is null

  KOKKOS_INLINE_FUNCTION StorageRow output_row(std::int64_t row) const {
    const std::int64_t at = row * output_stride;
    return storage_output == nullptr ? StorageRow{output + at, nullptr} : StorageRow{nullptr, storage_output + at};
  }
};

/// The row blocks of a LowPrecisionBlock.
struct LowPrecisionRowBlocks {
  LowPrecisionBlock block;
  QueryBlocks cut;

  KOKKOS_INLINE_FUNCTION LowPrecisionRows at(std::int64_t league_rank) const {
    const QueryBlocks::Place place = cut.place(league_rank);
    const auto query_heads = static_cast<std::int64_t>(block.query.extent(2));
    const auto head_dim = static_cast<std::int64_t>(block.query.extent(3));
    const std::int64_t kv_head = place.head / (query_heads / block.kv_heads);
    LowPrecisionRows rows;
    rows.query = &block.query(place.batch, place.row_begin, place.head, 0);
    rows.query_stride = query_heads * head_dim;
    rows.rows = place.row_end - place.row_begin;
    rows.keys = block.packed_key_value + (place.batch * block.kv_heads + kv_head) *
                                             packed_low_precision_head_elements(block.key_tokens, head_dim);
    rows.values = rows.keys + padded_tokens(block.key_tokens) * paired_dim(head_dim);
    rows.key_tokens = block.key_tokens;
    rows.admission = block.admission;
    rows.admission.query_origin += place.row_begin * block.admission.query_stride;
    if (block.storage_output.data() != nullptr) {
      rows.storage_output = &block.storage_output(place.batch, place.row_begin, place.head, 0);
    } else {
      rows.output = &block.output(place.batch, place.row_begin, place.head, 0);
    }
    rows.output_stride = rows.query_stride;
    rows.log_sum_exp = &block.log_sum_exp(place.batch, place.row_begin, place.head);
    rows.log_sum_exp_stride = query_heads;
    return rows;
  }
};

/// The streamed kernel over a LowPrecisionBlock, with the tile primitives TileOf; the block has been checked.
template <template <class> class TileOf>
void launch_low_precision_block(const ExecutionSpace &space, const LowPrecisionBlock &block) {
  using Kernel = StreamedAttention<TileOf, LowPrecisionRowBlocks>;
  const QueryBlocks cut =
      QueryBlocks::cut(block, Kernel::Tile::rows_per_block, Kernel::Tile::row_granularity, space.concurrency());
  Kernel::launch(space, "ringscale::attention_block_low_precision", cut.league_size(block.query.extent_int(0)),
                 Kernel{{block, cut}, block.query.extent_int(3), block.scale, block.merge});
}

} // namespace ringscale::kernels
