// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/admission.hpp"
#include "kernels/dropout.hpp"
#include "kernels/head_range.hpp"
#include "kernels/types.hpp"
#include "kernels/work.hpp"

namespace ringscale::kernels {

/// Gradients of one block of attention: all rows of the query against one span of keys and values. Exact when
/// log_sum_exp and output_dot are those of the rows' JOINT attention: a ring calls it once a hop with accumulate set,
/// and the key and value gradients travel with their span.
struct BackwardBlock {
  ConstTensor4 query;           ///< [batch, tokens, query_heads, head_dim]
  ConstTensor4 key;             ///< [batch, key_tokens, kv_heads, head_dim]; query head h reads h / (heads / kv_heads)
  ConstTensor4 value;           ///< as key
  ConstTensor4 output_gradient; ///< as query
  ConstTensor3 log_sum_exp;     ///< [batch, tokens, query_heads], natural logarithm; -infinity: a row without a key
  ConstTensor3 output_dot;      ///< rowsum(output * output_gradient), see output_gradient_dot
  HeadRange kv_heads;           ///< key/value heads that are computed, with the query heads that read them
  Admission admission;          ///< positions also choose the dropout mask, causal or not
  float scale = 1.0F;           ///< factor on the scores, usually 1/sqrt(head_dim)
  Dropout dropout;              ///< the same as in the forward pass
  bool accumulate = false;      ///< adds to the gradients held, else overwrites them
  bool overwrite_key_gradients = false; ///< with accumulate: adds to dQ alone, dK and dV are written anew
  Tensor4 query_gradient;               ///< as query
  Tensor4 key_gradient;                 ///< as key; summed over the query heads that read the head
  Tensor4 value_gradient;               ///< as value

  KOKKOS_INLINE_FUNCTION bool adds_key_gradients() const { return accumulate && !overwrite_key_gradients; }
};

/// output_dot = rowsum(output * output_gradient), [batch, tokens, query_heads] from [.., head_dim]; summed in double
/// precision. Asynchronous on `space`; throws std::invalid_argument on shapes that differ.
void output_gradient_dot(const ExecutionSpace &space, ConstTensor4 output, ConstTensor4 output_gradient,
                         Tensor3 output_dot);

/// Floats of workspace that attention_backward needs on `space`: 0 when there are as many heads as threads, else one
/// query gradient for every key block that is met at a time.
std::int64_t attention_backward_workspace_elements(const ExecutionSpace &space, const BackwardBlock &block);

/// Backward pass of streamed attention, recomputing the weights (Dao et al. 2022, algorithm 4): with
/// P = exp(scale Q K^T - lse), dP = dO V^T and dS = P (dP - output_dot): dV = P^T dO, dQ = scale dS K,
/// dK = scale dS^T Q. Same bits for any number of threads. Asynchronous on `space`; `workspace` must live as long.
/// Throws std::invalid_argument on shapes that do not fit each other.
void attention_backward(const ExecutionSpace &space, const BackwardBlock &block, float *workspace);

/// Throws std::invalid_argument naming the first field of `block` that does not fit the others.
void check_backward_block(const BackwardBlock &block);

/// 10 FLOPs per admitted pair, query head and dimension (five products); reads Q, dO, lse, output_dot, K, V once and
/// writes dQ, dK, dV once, after reading those that it adds to.
KernelWork attention_backward_work(const BackwardBlock &block);

/// 2 FLOPs per element; reads both tensors, writes one float a row.
KernelWork output_gradient_dot_work(std::int64_t batch, std::int64_t tokens, std::int64_t query_heads,
                                    std::int64_t head_dim);

} // namespace ringscale::kernels
