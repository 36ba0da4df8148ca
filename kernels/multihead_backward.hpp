// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "kernels/layer_norm_backward.hpp"
#include "kernels/multihead.hpp"

namespace ringscale::kernels {

/// The attention of a layer forward and backward, so that any can stand in: a pattern, or a ring over ranks that calls
/// attention_backward hop by hop. Tensors as in AttentionBlock and BackwardBlock; each has finished when it returns.
struct AttentionCores {
  /// Writes output and log_sum_exp [batch, query_tokens, query_heads] of the rows' joint attention.
  std::function<void(const ExecutionSpace &, ConstTensor4 query, ConstTensor4 key, ConstTensor4 value, Tensor4 output,
                     Tensor3 log_sum_exp)>
      forward;
  /// Overwrites the three gradients; output and log_sum_exp are what forward wrote.
  std::function<void(const ExecutionSpace &, ConstTensor4 query, ConstTensor4 key, ConstTensor4 value,
                     ConstTensor4 output, ConstTensor3 log_sum_exp, ConstTensor4 output_gradient,
                     Tensor4 query_gradient, Tensor4 key_gradient, Tensor4 value_gradient)>
      backward;
};

/// Dense streamed attention with scale 1/sqrt(head_dim), and its gradients.
AttentionCores dense_attention_cores(bool causal);

/// Where the gradients of a layer go, each shaped as what it belongs to; null: not wanted. Those of key and value are
/// for cross-attention alone: in self-attention all three ways back to the tokens add up in `query`.
struct MultiheadGradients {
  float *query = nullptr; ///< [batch, query_tokens, embed_dim]
  float *key = nullptr;   ///< [batch, key_tokens, embed_dim]
  float *value = nullptr;
  float *input_weights = nullptr; ///< [(query_heads + 2 kv_heads) head_dim, embed_dim]
  float *input_bias = nullptr;
  float *output_weights = nullptr; ///< [embed_dim, query_heads head_dim]
  float *output_bias = nullptr;
  LayerNormGradients input_norm;  ///< gain and bias only; `input` is not looked at
  LayerNormGradients output_norm; ///< gain and bias only
};

/// Parts of a layer by the order in which their gradients become complete.
enum class LayerPart { output, output_norm, input, input_norm };

/// Gradients of multihead_attention for the gradient of its output [batch, query_tokens, embed_dim]. Keeps nothing of
/// the forward pass: norms, projections and attention are computed again from the tokens, once, before the way back.
/// `part_is_ready` is called as soon as the gradients of a part are complete, the output's first, so that their
/// reduction may begin; norms are left out without sub_layer_norm. Same bits for any number of threads. Waits for the
/// result; throws std::invalid_argument on shapes that do not fit, and on gradients of key or value in self-attention.
void multihead_backward(const ExecutionSpace &space, const MultiheadLayer &layer, ConstTensor3 query, ConstTensor3 key,
                        ConstTensor3 value, const AttentionCores &cores, ConstTensor3 output_gradient,
                        const MultiheadGradients &gradients, const std::function<void(LayerPart)> &part_is_ready = {});

/// FLOPs and bytes of what it computes besides the cores: input norm and projections and output norm again, and the
/// gradients of all four parts that are wanted.
KernelWork multihead_backward_work(const MultiheadLayer &layer, std::int64_t batch, std::int64_t query_tokens,
                                   std::int64_t key_tokens, bool self_attention, const MultiheadGradients &gradients);

} // namespace ringscale::kernels
