// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/dilated_layout.hpp"
#include "kernels/types.hpp"
#include "kernels/work.hpp"

namespace ringscale::kernels {

/// Dilated attention of whole tensors, or of chunks whose token 0 stands at an origin of the sequence.
struct DilatedAttention {
  ConstTensor4 query; ///< [batch, tokens, query_heads, head_dim]
  ConstTensor4 key;   ///< [batch, tokens, kv_heads, head_dim]
  ConstTensor4 value; ///< as key
  Dilation dilation;
  bool causal = false; ///< admits key position <= query position
  float scale = 1.0F;  ///< factor on the scores, usually 1/sqrt(head_dim)
  std::int64_t query_origin = 0;
  std::int64_t key_origin = 0;
  bool accumulate = false; ///< joins with the partial that output and log_sum_exp hold (a ring's next block of keys)
  Tensor4 output;          ///< as query
  Tensor3 log_sum_exp;     ///< [batch, tokens, query_heads], natural logarithm
};

/// Output row i of head h = V weighted by m exp(s_ij) / sum_j m exp(s_ij), m[h,i,j] being the number of groups that
/// admit the pair; rows that no group covers give output 0 and log-sum-exp -infinity. Every group is a set of strided
/// runs of tokens, addressed by first token and stride (no index lists); groups join by their log-sum-exps.
/// `workspace` has dilated_workspace_elements floats (64-byte alignment is fastest). Asynchronous on `space`; throws
/// std::invalid_argument on shapes that do not fit.
void dilated_attention(const ExecutionSpace &space, const DilatedAttention &attention, float *workspace);

/// Floats of packed keys and values that dilated_attention needs: those of its largest group.
std::int64_t dilated_workspace_elements(const DilatedAttention &attention);

/// Useful work: 4 FLOPs per admitted pair (counted m times) and dimension; compulsory traffic: each group reads its
/// strided queries, keys and values once, packs the latter and reads them again, and reads and writes its rows of the
/// output and log-sum-exp; the output is first filled with zeros unless accumulated.
KernelWork dilated_attention_work(const DilatedAttention &attention);

/// Throws std::invalid_argument naming the first field that does not fit the others.
void check_dilated_attention(const DilatedAttention &attention);

/// The layouts of all groups, in order.
std::vector<DilatedLayout> dilated_layouts(const DilatedAttention &attention);

/// Output 0 and log-sum-exp -infinity in all rows.
void clear_partial(const ExecutionSpace &space, Tensor4 output, Tensor3 log_sum_exp);

/// One group alone: packs its keys and values, and joins its rows with what output and log_sum_exp hold.
void pack_dilated_group(const ExecutionSpace &space, const DilatedAttention &attention, const DilatedLayout &layout,
                        float *packed);
void join_dilated_group(const ExecutionSpace &space, const DilatedAttention &attention, const DilatedLayout &layout,
                        const float *packed);

} // namespace ringscale::kernels
