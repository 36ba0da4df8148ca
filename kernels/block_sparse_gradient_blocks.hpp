// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/block_sparse_backward.hpp"
#include "kernels/streamed_backward.hpp"

namespace ringscale::kernels {

/// The backward steps of a block mask: a team has one key/value head of one batch entry and takes its key blocks one
/// after the other, and within a key block the query heads that read it, each with its own rows where heads have masks
/// of their own, else all in one step.
struct BlockSparseGradientBlocks {
  BackwardBlock block;
  BlockLists<RowRange> lists;
  std::int64_t block_tokens = 0;
  std::int64_t heads_per_kv_head = 1;
  std::int64_t heads_per_step = 1;

  static BlockSparseGradientBlocks of(const BackwardBlock &block, const BlockMask &mask) {
    const std::int64_t heads = block.query.extent_int(2) / block.key.extent_int(2);
    return {block, mask.row_lists(), mask.shape().block_tokens, heads, mask.shape().head_masks > 1 ? 1 : heads};
  }

  std::int64_t league_size() const { return static_cast<std::int64_t>(block.key.extent(0) * block.key.extent(2)); }

  KOKKOS_INLINE_FUNCTION std::int64_t steps(std::int64_t) const {
    return block.query.extent_int(1) == 0 ? 0 : lists.blocks * (heads_per_kv_head / heads_per_step);
  }

  KOKKOS_INLINE_FUNCTION GradientBlock at(std::int64_t league_rank, std::int64_t step_index) const {
    const std::int64_t kv_heads = block.key.extent_int(2);
    const std::int64_t head_dim = block.key.extent_int(3);
    const std::int64_t heads = block.query.extent_int(2);
    const std::int64_t batch = league_rank / kv_heads;
    const std::int64_t kv_head = league_rank % kv_heads;
    const std::int64_t steps_per_block = heads_per_kv_head / heads_per_step;
    const std::int64_t key_block = step_index / steps_per_block;
    const std::int64_t head = kv_head * heads_per_kv_head + step_index % steps_per_block * heads_per_step;
    const std::int64_t key_begin = key_block * block_tokens;
    const std::int64_t keys_left = block.key.extent_int(1) - key_begin;
    GradientBlock step;
    step.key = &block.key(batch, key_begin, kv_head, 0);
    step.value = &block.value(batch, key_begin, kv_head, 0);
    step.key_stride = kv_heads * head_dim;
    step.key_gradient = &block.key_gradient(batch, key_begin, kv_head, 0);
    step.value_gradient = &block.value_gradient(batch, key_begin, kv_head, 0);
    step.key_gradient_stride = kv_heads * head_dim;
    step.key_tokens = keys_left < block_tokens ? keys_left : block_tokens;
    step.accumulate = true; // the gradients were cleared, or hold what is added to
    step.query = &block.query(batch, 0, head, 0);
    step.output_gradient = &block.output_gradient(batch, 0, head, 0);
    step.query_stride = heads * head_dim;
    step.query_head_stride = head_dim;
    step.log_sum_exp = &block.log_sum_exp(batch, 0, head);
    step.output_dot = &block.output_dot(batch, 0, head);
    step.log_sum_exp_stride = heads;
    step.log_sum_exp_head_stride = 1;
    step.query_gradient = &block.query_gradient(batch, 0, head, 0);
    step.query_gradient_stride = heads * head_dim;
    step.query_gradient_head_stride = head_dim;
    step.rows = block.query.extent_int(1);
    step.query_heads = heads_per_step;
    step.admission = block.admission;
    step.admission.key_origin += key_begin;
    const std::int64_t list = lists.place(batch, head, key_block);
    step.row_ranges = lists.begin(list);
    step.row_range_count = lists.count(list);
    step.batch = batch;
    step.first_head = head;
    return step;
  }
};

/// The streamed backward kernel over a block mask, with the tile primitives TileOf; all has been checked.
template <template <class> class TileOf>
void launch_block_sparse_backward(const ExecutionSpace &space, const BackwardBlock &block, const BlockMask &mask) {
  using Kernel = StreamedBackward<TileOf, BlockSparseGradientBlocks>;
  const BlockSparseGradientBlocks blocks = BlockSparseGradientBlocks::of(block, mask);
  Kernel::launch(space, "ringscale::block_sparse_backward", blocks.league_size(),
                 Kernel{blocks, block.query.extent_int(3), block.scale, block.dropout});
}

} // namespace ringscale::kernels
