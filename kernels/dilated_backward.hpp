// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/dilated_layout.hpp"
#include "kernels/types.hpp"
#include "kernels/work.hpp"

namespace ringscale::kernels {

/// Gradients of dilated attention. Exact when log_sum_exp and output_dot are those of the rows' JOINT attention over
/// all groups (and, in a ring, all chunks of keys, which then accumulate).
struct DilatedBackward {
  ConstTensor4 query;           ///< [batch, tokens, query_heads, head_dim]
  ConstTensor4 key;             ///< [batch, tokens, kv_heads, head_dim]
  ConstTensor4 value;           ///< as key
  ConstTensor4 output_gradient; ///< as query
  ConstTensor3 log_sum_exp;     ///< [batch, tokens, query_heads], as dilated_attention gives it
  ConstTensor3 output_dot;      ///< rowsum(output * output_gradient), see output_gradient_dot
  Dilation dilation;
  bool causal = false;
  float scale = 1.0F;
  std::int64_t query_origin = 0; ///< position of the first query token
  std::int64_t key_origin = 0;
  bool accumulate = false; ///< adds to the gradients held, else overwrites them (0 where no group covers a token)
  Tensor4 query_gradient;  ///< as query
  Tensor4 key_gradient;    ///< as key; summed over the query heads that read the head
  Tensor4 value_gradient;  ///< as value
};

/// The exact derivative of dilated_attention: every group adds its strided runs' share, with the weights recomputed
/// from the joint log-sum-exps. Needs no workspace and no packing. A team has one run of one key/value head, so a
/// group is as parallel as batch x kv_heads x phases x segments; same bits for any number of threads. Asynchronous on
/// `space`; throws std::invalid_argument on shapes that do not fit.
void dilated_attention_backward(const ExecutionSpace &space, const DilatedBackward &backward);

/// 10 FLOPs per admitted pair (counted m times) and dimension; each group reads its rows of query, output_gradient,
/// log_sum_exp, output_dot, keys and values once and reads and writes its rows of the gradients, which are first filled
/// with zeros unless accumulated.
KernelWork dilated_attention_backward_work(const DilatedBackward &backward);

/// Throws std::invalid_argument naming the first field that does not fit the others.
void check_dilated_backward(const DilatedBackward &backward);

/// The layouts of all groups, in order.
std::vector<DilatedLayout> dilated_layouts(const DilatedBackward &backward);

} // namespace ringscale::kernels
