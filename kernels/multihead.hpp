// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "kernels/layer_norm.hpp"
#include "kernels/projection.hpp"
#include "kernels/types.hpp"

namespace ringscale::kernels {

/// A multihead attention layer (Vaswani et al. 2017, section 3.2.2), as a rule with the sub-layer normalisation of
/// MAGNETO (Wang et al. 2022, arXiv 2210.06423): W_o LN(attention(W_q LN(x), W_k LN(x), W_v LN(x))). All pointers are
/// in the memory of the execution space and stay the caller's.
struct MultiheadLayer {
  std::int64_t embed_dim = 0;
  std::int64_t query_heads = 0;
  std::int64_t kv_heads = 0; ///< query head h reads key/value head h / (query_heads / kv_heads)
  std::int64_t head_dim = 0;

  /// Rows of the query's weights, then the key's, then the value's: [(query_heads + 2 kv_heads) head_dim, embed_dim].
  const float *input_weights = nullptr;
  const float *input_bias = nullptr;     ///< [(query_heads + 2 kv_heads) head_dim], or null
  const float *output_weights = nullptr; ///< [embed_dim, query_heads head_dim]
  const float *output_bias = nullptr;    ///< [embed_dim], or null

  bool sub_layer_norm = true;
  LayerNorm input_norm;  ///< of the query's tokens before the projections: [embed_dim]
  LayerNorm output_norm; ///< before the output projection: [query_heads head_dim]
};

/// Attention of one layer: output [batch, query_tokens, query_heads, head_dim] from query, key and value. Any pattern
/// can run inside; it has finished when it returns.
using AttentionCore = std::function<void(const ExecutionSpace &, ConstTensor4 query, ConstTensor4 key,
                                         ConstTensor4 value, Tensor4 output)>;

/// Dense streamed attention with scale 1/sqrt(head_dim).
AttentionCore dense_attention_core(bool causal);

enum class ProjectionPath {
  automatic, ///< fused for self-attention, separate otherwise
  fused,     ///< one product for query, key and value: self-attention only
  separate   ///< one product each
};

/// What a call found and did.
struct MultiheadUse {
  bool self_attention = false; ///< query, key and value were the same tensor
  bool fused = false;
  ProjectionUse projections;    ///< of all projections, the output's among them
  std::int64_t allocations = 0; ///< all buffers of the layer, without those of the attention core
  std::int64_t allocated_bytes = 0;
};

/// Computes the layer: query [batch, query_tokens, embed_dim], key and value [batch, key_tokens, embed_dim], output as
/// query. The same tensor passed three times is self-attention: normalised once, and projected by one product. In
/// cross-attention key and value are taken as they are, since the stack that made them ends in a norm of its own. No
/// residual is added. Waits for the result; throws std::invalid_argument on shapes that do not fit.
MultiheadUse multihead_attention(const ExecutionSpace &space, const MultiheadLayer &layer, ConstTensor3 query,
                                 ConstTensor3 key, ConstTensor3 value, const AttentionCore &core, Tensor3 output,
                                 ProjectionPath path = ProjectionPath::automatic);

/// FLOPs and bytes of the layer's projections and norms; the core declares its own.
KernelWork multihead_work(const MultiheadLayer &layer, std::int64_t batch, std::int64_t query_tokens,
                          std::int64_t key_tokens, bool self_attention);

} // namespace ringscale::kernels
