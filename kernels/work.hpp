// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/attention_block.hpp"

namespace ringscale::kernels {

/// What a kernel declares: useful floating-point operations, and compulsory memory traffic, that is every operand
/// read once and every result written once (caches decide what comes on top).
struct KernelWork {
  double flop = 0.0;
  double read_bytes = 0.0;
  double written_bytes = 0.0;
};

/// Streamed attention: 4 FLOPs per admitted pair, query head and dimension; exponentials are not counted.
KernelWork attention_block_work(const AttentionBlock &block);

/// Materialised attention: the same FLOPs, and the score matrix is written three times (scores, exponentials,
/// normalised weights) and read four times (maximum, exponentials, normalisation, weighted sum).
KernelWork attention_materialised_work(const AttentionBlock &block);

/// Packing moves 2 batch token_count kv_heads head_dim floats and writes whole tiles.
KernelWork pack_key_value_work(std::int64_t batch, std::int64_t token_count, std::int64_t kv_heads,
                               std::int64_t head_dim);

/// Merging: 3 FLOPs per element (two products, one sum).
KernelWork merge_partials_work(std::int64_t batch, std::int64_t tokens, std::int64_t query_heads,
                               std::int64_t head_dim);

} // namespace ringscale::kernels
