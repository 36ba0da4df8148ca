// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/attention_block.hpp"

namespace ringscale::kernels {

/// Floats of the score matrix: batch * query_heads * (query_end - query_begin) * key_tokens.
std::int64_t materialised_score_elements(const AttentionBlock &block);

/// The baseline that keeps the whole score matrix, in passes over memory: scores = scale Q K^T (all of them, masked
/// ones too), a softmax of every row in place, output = weights V. On return `scores` ([batch, query_heads,
/// query_end - query_begin, key_tokens]) holds the normalised weights. Same result, merges and errors as
/// attention_block. `mask` ([query_tokens, key_tokens], row-major, nonzero admits; null: none) is joined with the
/// admission; dropout is applied to what the weights multiply, not to the weights kept.
void attention_block_materialised(const ExecutionSpace &space, const AttentionBlock &block, float *scores,
                                  const std::uint8_t *mask = nullptr);

} // namespace ringscale::kernels
