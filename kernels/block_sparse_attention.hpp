// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/attention_block.hpp"
#include "kernels/block_mask.hpp"
#include "kernels/work.hpp"

namespace ringscale::kernels {

/// Attention of a block that meets only what `mask` admits, through the streamed kernel: each query block goes through
/// its list of key ranges. The block covers whole tensors (query_begin 0, query_end tokens); its admission is
/// contiguous (strides 1) and causal and its origins are the mask's. A row that meets no key gives output 0 and
/// log-sum-exp -infinity. Asynchronous on `space`; throws std::invalid_argument on shapes that do not fit.
void block_sparse_attention(const ExecutionSpace &space, const AttentionBlock &block, const BlockMask &mask);

/// Throws std::invalid_argument naming what does not fit.
void check_block_sparse_attention(const AttentionBlock &block, const BlockMask &mask);

/// 4 FLOPs per admitted pair and dimension; traffic as dense attention (every key block is met by some row), and the
/// key lists of the mask.
KernelWork block_sparse_attention_work(const AttentionBlock &block, const BlockMask &mask);

} // namespace ringscale::kernels
