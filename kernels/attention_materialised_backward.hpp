// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/attention_backward.hpp"

namespace ringscale::kernels {

/// Floats of the weight matrix, and of the matrix of score gradients: batch * query_heads * query_tokens * key_tokens.
std::int64_t materialised_weight_elements(const BackwardBlock &block);

/// The baseline that keeps whole matrices: from the normalised weights P that attention_block_materialised left for
/// all rows ([batch, query_heads, query_tokens, key_tokens]; 0 is what any mask makes of a pair), in passes over
/// memory: dS = scale P (dO V^T - output_dot) into `score_gradients` (as large as P), then dV = P^T dO and
/// dK = dS^T Q, then dQ = dS K. The admission only names positions here and log_sum_exp is not read. With dropout
/// `weights` holds the dropped ones on return. Asynchronous on `space`; throws std::invalid_argument on shapes.
void attention_materialised_backward(const ExecutionSpace &space, const BackwardBlock &block, float *weights,
                                     float *score_gradients);

/// 8 FLOPs per admitted pair, query head and dimension (four products: the weights are kept, not recomputed). P is
/// read twice (dS, dV), dS written once and read twice; with dropout P is written once more.
KernelWork attention_materialised_backward_work(const BackwardBlock &block);

} // namespace ringscale::kernels
