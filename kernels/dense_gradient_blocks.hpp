// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstdint>

#include "kernels/attention_backward.hpp"
#include "kernels/streamed_backward.hpp"

namespace ringscale::kernels {

/// How a BackwardBlock is cut. A team has one key/value head of one batch entry. When these are too few for the
/// threads, `concurrent_blocks` key blocks of a head are met side by side, each into a query gradient of its own in
/// the workspace, and are added afterwards in the order in which one thread would have met them: the cut depends on
/// the threads, the sums do not.
struct GradientCut {
  std::int64_t key_block = 0;         ///< tokens of a key block
  std::int64_t concurrent_blocks = 0; ///< 0: a team meets all key blocks of its head

  static GradientCut cut(const BackwardBlock &block, std::int64_t most_tokens, std::int64_t granularity,
                         std::int64_t concurrency) {
    GradientCut cut;
    const std::int64_t heads = block.key.extent_int(0) * block.kv_heads.count_of(block.key.extent_int(2));
    const std::int64_t key_tokens = block.key.extent_int(1);
    cut.key_block = even_key_block(key_tokens, most_tokens, granularity);
    if (heads == 0 || cut.key_block == 0 || heads % concurrency == 0 || heads >= 4 * concurrency) {
      return cut;
    }
    // Blocks of one round cost alike; a multiple of the threads leaves none of them idle.
    const std::int64_t blocks = (key_tokens + cut.key_block - 1) / cut.key_block;
    cut.concurrent_blocks = 1;
    while (cut.concurrent_blocks < blocks && heads * cut.concurrent_blocks < 4 * concurrency &&
           heads * cut.concurrent_blocks % concurrency != 0) {
      ++cut.concurrent_blocks;
    }
    return cut;
  }

  std::int64_t workspace_elements(const BackwardBlock &block) const {
    return concurrent_blocks * static_cast<std::int64_t>(block.query.size());
  }
};

/// The steps of a BackwardBlock: for key blocks [first_block, first_block + blocks) in a round, or all of them.
struct DenseGradientBlocks {
  BackwardBlock block;
  GradientCut cut;
  std::int64_t first_block = 0; ///< of this round
  std::int64_t blocks = 0;      ///< of this round; 0: a team meets all keys of its head
  float *workspace = nullptr;   ///< [block of the round][batch, tokens, query_heads, head_dim]

  KOKKOS_INLINE_FUNCTION std::int64_t steps(std::int64_t) const { return 1; }

  KOKKOS_INLINE_FUNCTION GradientBlock at(std::int64_t league_rank, std::int64_t) const {
    const std::int64_t kv_heads = block.key.extent_int(2);
    const std::int64_t head_dim = block.key.extent_int(3);
    const std::int64_t round_blocks = blocks > 0 ? blocks : 1;
    const std::int64_t round_block = league_rank % round_blocks;
    const std::int64_t heads = block.kv_heads.count_of(kv_heads);
    const std::int64_t kv_head = block.kv_heads.begin + league_rank / round_blocks % heads;
    const std::int64_t batch = league_rank / round_blocks / heads;
    GradientBlock step;
    step.rows = block.query.extent_int(1);
    step.query_heads = block.query.extent_int(2) / kv_heads;
    step.batch = batch;
    step.first_head = kv_head * step.query_heads;
    step.admission = block.admission;
    step.accumulate = block.adds_key_gradients();

    const std::int64_t key_begin = blocks > 0 ? (first_block + round_block) * cut.key_block : 0;
    const std::int64_t key_end = blocks > 0 ? key_begin + cut.key_block : block.key.extent_int(1);
    step.key_tokens = (key_end < block.key.extent_int(1) ? key_end : block.key.extent_int(1)) - key_begin;
    step.admission.key_origin += key_begin * block.admission.key_stride;
    step.key = &block.key(batch, key_begin, kv_head, 0);
    step.value = &block.value(batch, key_begin, kv_head, 0);
    step.key_stride = kv_heads * head_dim;
    step.key_gradient = &block.key_gradient(batch, key_begin, kv_head, 0);
    step.value_gradient = &block.value_gradient(batch, key_begin, kv_head, 0);
    step.key_gradient_stride = kv_heads * head_dim;
    if (step.rows == 0) {
      return step;
    }
    step.query = &block.query(batch, 0, step.first_head, 0);
    step.output_gradient = &block.output_gradient(batch, 0, step.first_head, 0);
    step.query_stride = block.query.extent_int(2) * head_dim;
    step.query_head_stride = head_dim;
    step.log_sum_exp = &block.log_sum_exp(batch, 0, step.first_head);
    step.output_dot = &block.output_dot(batch, 0, step.first_head);
    step.log_sum_exp_stride = block.query.extent_int(2);
    step.log_sum_exp_head_stride = 1;
    const std::int64_t place = &block.query_gradient(batch, 0, step.first_head, 0) - block.query_gradient.data();
    step.query_gradient = blocks > 0
                              ? workspace + round_block * static_cast<std::int64_t>(block.query_gradient.size()) + place
                              : block.query_gradient.data() + place;
    step.query_gradient_stride = step.query_stride;
    step.query_gradient_head_stride = head_dim;
    step.overwrite_query_gradient = blocks > 0;
    return step;
  }
};

/// Adds the query gradients of a round, in the order of its key blocks; a block is skipped where its keys are masked,
/// since nothing was written there. A league rank is (batch, row, query head).
struct SumQueryGradients {
  using Policy = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::int64_t>>;
  DenseGradientBlocks round;

  /// Query heads that read one key/value head, and those of the block.
  KOKKOS_INLINE_FUNCTION static std::int64_t group(const BackwardBlock &block) {
    return block.query.extent_int(2) / block.key.extent_int(2);
  }
  KOKKOS_INLINE_FUNCTION static std::int64_t heads(const BackwardBlock &block) {
    return block.kv_heads.count_of(block.key.extent_int(2)) * group(block);
  }

  KOKKOS_FUNCTION void operator()(const std::int64_t league_rank) const {
    const BackwardBlock &block = round.block;
    const std::int64_t head_dim = block.query.extent_int(3);
    const std::int64_t row = league_rank / heads(block) % block.query.extent_int(1);
    const std::int64_t admitted = block.admission.admitted_keys(row, block.key.extent_int(1));
    const std::int64_t place = league_rank / heads(block) * block.query.extent_int(2) +
                               block.kv_heads.begin * group(block) + league_rank % heads(block);
    float *gradient = block.query_gradient.data() + place * head_dim;
    for (std::int64_t index = 0; index < round.blocks; ++index) {
      if ((round.first_block + index) * round.cut.key_block < admitted) {
        const float *part = round.workspace + index * static_cast<std::int64_t>(block.query.size()) + place * head_dim;
        for (std::int64_t dim = 0; dim < head_dim; ++dim) {
          gradient[dim] += part[dim];
        }
      }
    }
  }
};

/// The streamed backward kernel over a BackwardBlock, with the tile primitives TileOf, cut for `concurrency` threads;
/// the block has been checked.
template <template <class> class TileOf>
void launch_attention_backward(const ExecutionSpace &space, const BackwardBlock &block, float *workspace,
                               std::int64_t concurrency) {
  using Kernel = StreamedBackward<TileOf, DenseGradientBlocks>;
  const std::int64_t head_dim = block.query.extent_int(3);
  const GradientCut cut =
      GradientCut::cut(block, Kernel::Tile::key_block_tokens(head_dim), Kernel::Tile::key_granularity, concurrency);
  if (!block.accumulate) {
    Kokkos::deep_copy(space, block.query_gradient, 0.0F);
  }
  const std::int64_t heads = block.key.extent_int(0) * block.kv_heads.count_of(block.key.extent_int(2));
  const std::int64_t key_tokens = block.key.extent_int(1);
  if (key_tokens == 0 || heads == 0) {
    return;
  }
  if (cut.concurrent_blocks == 0) {
    Kernel::launch(space, "ringscale::attention_backward", heads,
                   Kernel{{block, cut}, head_dim, block.scale, block.dropout});
    return;
  }
  const std::int64_t blocks = (key_tokens + cut.key_block - 1) / cut.key_block;
  for (std::int64_t first = 0; first < blocks; first += cut.concurrent_blocks) {
    const std::int64_t count = blocks - first < cut.concurrent_blocks ? blocks - first : cut.concurrent_blocks;
    const DenseGradientBlocks round{block, cut, first, count, workspace};
    Kernel::launch(space, "ringscale::attention_backward", heads * count,
                   Kernel{round, head_dim, block.scale, block.dropout});
    const std::int64_t rows = block.query.extent_int(0) * block.query.extent_int(1) * SumQueryGradients::heads(block);
    Kokkos::parallel_for("ringscale::sum_query_gradients", SumQueryGradients::Policy(space, 0, rows),
                         SumQueryGradients{round});
  }
}

} // namespace ringscale::kernels
