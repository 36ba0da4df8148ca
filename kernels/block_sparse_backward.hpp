// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/attention_backward.hpp"
#include "kernels/block_mask.hpp"

namespace ringscale::kernels {

/// Gradients of block-sparse attention: attention_backward over the pairs that `mask` admits. Each key block meets the
/// rows of its transposed list. Exact when log_sum_exp and output_dot are those of the rows' joint block-sparse
/// attention. The block's admission is contiguous (strides 1) and causal and its origins are the mask's. A team has one
/// key/value head of one batch entry, so it is as parallel as these are many; same bits for any number of threads.
/// Asynchronous on `space`; throws std::invalid_argument on shapes that do not fit.
void block_sparse_backward(const ExecutionSpace &space, const BackwardBlock &block, const BlockMask &mask);

/// Throws std::invalid_argument naming what does not fit.
void check_block_sparse_backward(const BackwardBlock &block, const BlockMask &mask);

/// 10 FLOPs per admitted pair and dimension; traffic as dense attention_backward, the row lists of the mask, and the
/// gradients filled with zeros first unless accumulated.
KernelWork block_sparse_backward_work(const BackwardBlock &block, const BlockMask &mask);

} // namespace ringscale::kernels
