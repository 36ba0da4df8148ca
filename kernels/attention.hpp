// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/attention_block.hpp"
#include "kernels/work.hpp"

namespace ringscale::kernels {

/// Streamed attention of whole tensors as they are: packs key and value ([batch, key_tokens, kv_heads, head_dim]) into
/// `packed` (packed_elements(...) floats) and computes `block`, whose packed_key_value, key_tokens and kv_heads are
/// taken from them. Where there are heads enough for all threads and they fit the second-level cache, the team that
/// packs a head computes its rows at once, while its keys and values are near: one launch instead of two. Same result
/// as pack_key_value and attention_block, bit for bit; same errors. Asynchronous on `space`.
void attention(const ExecutionSpace &space, ConstTensor4 key, ConstTensor4 value, AttentionBlock block, float *packed);

/// FLOPs and bytes of packing and of the streamed kernel together.
KernelWork attention_work(const AttentionBlock &block);

} // namespace ringscale::kernels
