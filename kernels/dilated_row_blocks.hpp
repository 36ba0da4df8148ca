// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/dilated_attention.hpp"
#include "kernels/streamed_attention.hpp"

namespace ringscale::kernels {

/// The row blocks of one group: league = batch x heads of the group x segments x blocks of a segment's queries.
struct DilatedRowBlocks {
  ConstTensor4 query;
  Tensor4 output;
  Tensor3 log_sum_exp;
  const float *packed;
  DilatedLayout layout;
  bool causal;
  std::int64_t blocks;
  std::int64_t rows_per_block;

  /// Even blocks of at most `most_rows` rows (a multiple of `granularity`), smaller where that would idle threads.
  static DilatedRowBlocks cut(const DilatedAttention &attention, const DilatedLayout &layout, const float *packed,
                              std::int64_t most_rows, std::int64_t granularity, std::int64_t concurrency) {
    const std::int64_t rows = layout.queries.most_in_segment(layout.group);
    const std::int64_t runs =
        layout.batch * (layout.group.head_end - layout.group.head_begin) * layout.segments.count();
    const std::int64_t smallest = most_rows / 4;
    while (concurrency > 1 && most_rows / 2 >= smallest &&
           (rows + most_rows - 1) / most_rows * runs < 4 * concurrency) {
      most_rows /= 2;
    }
    most_rows = most_rows < granularity ? granularity : most_rows / granularity * granularity;
    const std::int64_t blocks = (rows + most_rows - 1) / most_rows;
    const std::int64_t even = (rows + blocks - 1) / blocks;
    return {attention.query,
            attention.output,
            attention.log_sum_exp,
            packed,
            layout,
            attention.causal,
            blocks,
            (even + granularity - 1) / granularity * granularity};
  }

  std::int64_t league_size() const {
    return layout.batch * (layout.group.head_end - layout.group.head_begin) * layout.segments.count() * blocks;
  }

  KOKKOS_INLINE_FUNCTION RowBlock<float> at(std::int64_t league_rank) const {
    // Later rows of a segment first: under a causal mask they are the longest.
    const std::int64_t block = blocks - 1 - league_rank % blocks;
    const std::int64_t segment = league_rank / blocks % layout.segments.count();
    const std::int64_t head_index = league_rank / (blocks * layout.segments.count());
    const std::int64_t group_heads = layout.group.head_end - layout.group.head_begin;
    const std::int64_t batch = head_index / group_heads;
    const std::int64_t head = layout.group.head_begin + head_index % group_heads;
    const std::int64_t kv_head = head / layout.heads_per_kv_head - layout.kv_head_begin;
    const std::int64_t rate = layout.group.rate;
    const std::int64_t phase = layout.group.phase(head);
    const StridedTokens rows_of = layout.queries.in_segment(layout.group, layout.segments.begin + segment, phase);
    const StridedTokens keys_of = layout.keys.in_segment(layout.group, layout.segments.begin + segment, phase);
    const std::int64_t row_begin = block * rows_per_block < rows_of.count ? block * rows_per_block : rows_of.count;
    const std::int64_t rows_left = rows_of.count - row_begin;
    const std::int64_t heads = query.extent_int(2);
    const std::int64_t first_row =
        (batch * query.extent_int(1) + rows_of.first + row_begin * rate) * heads + head; // of [batch * tokens * heads]
    RowBlock<float> rows;
    rows.query = query.data() + first_row * layout.head_dim;
    rows.query_stride = rate * heads * layout.head_dim;
    rows.rows = rows_left < rows_per_block ? rows_left : rows_per_block;
    rows.keys = packed + layout.span_offset(batch, kv_head, layout.slot(head, kv_head), segment);
    rows.values = rows.keys + padded_tokens(layout.most_keys) * layout.head_dim;
    rows.key_tokens = keys_of.count;
    rows.admission.causal = causal;
    rows.admission.query_origin = layout.queries.origin + rows_of.first + row_begin * rate;
    rows.admission.query_stride = rate;
    rows.admission.key_origin = layout.keys.origin + keys_of.first;
    rows.admission.key_stride = rate;
    rows.output = output.data() + first_row * layout.head_dim;
    rows.output_stride = rate * heads * layout.head_dim;
    rows.log_sum_exp = log_sum_exp.data() + first_row;
    rows.log_sum_exp_stride = rate * heads;
    return rows;
  }
};

/// The streamed kernel over one group, with the tile primitives TileOf; joins with what the output holds.
template <template <class> class TileOf>
void launch_dilated_group(const ExecutionSpace &space, const DilatedAttention &attention, const DilatedLayout &layout,
                          const float *packed) {
  using Kernel = StreamedAttention<TileOf, DilatedRowBlocks>;
  const DilatedRowBlocks blocks = DilatedRowBlocks::cut(attention, layout, packed, Kernel::Tile::rows_per_block,
                                                        Kernel::Tile::row_granularity, space.concurrency());
  Kernel::launch(space, "ringscale::dilated_attention", blocks.league_size(),
                 Kernel{blocks, layout.head_dim, attention.scale, Merge::online});
}

} // namespace ringscale::kernels
