// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/block_mask.hpp"
#include "kernels/types.hpp"
#include "kernels/work.hpp"

namespace ringscale::kernels {

/// Scores of key blocks for query blocks, [batch, query_heads, query blocks, key blocks]: the scaled dot product of the
/// mean query and the mean key of the blocks (a short last block is the mean of what it has).
using BlockScores = Kokkos::View<float ****, Kokkos::LayoutRight, MemorySpace>;

/// Computes the scores. Asynchronous on `space`; throws std::invalid_argument on shapes that do not fit.
BlockScores pooled_block_scores(const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key,
                                std::int64_t block_tokens, float scale);

/// 1 FLOP per pooled element and 2 per pair of blocks, head and dimension; reads query and key once.
KernelWork pooled_block_scores_work(ConstTensor4 query, ConstTensor4 key, std::int64_t block_tokens);

/// The adaptive mask of `shape` (one mask for every batch entry and head): query block a keeps its own block b = a of
/// the sequence, where there is one, and those of highest score, `kept_blocks` in all (fewer where fewer exist; under
/// a causal mask, blocks after its own do not). Equal scores: the earlier block; a score that is not a number comes
/// last. Waits for the scores. Throws std::invalid_argument on shapes that do not fit.
BlockMask adaptive_block_mask(const BlockMaskShape &shape, const BlockScores &scores, std::int64_t kept_blocks);

} // namespace ringscale::kernels
