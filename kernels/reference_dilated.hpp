// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/dilation.hpp"
#include "kernels/reference_weighted.hpp"

namespace ringscale::kernels {

/// What the reference of dilated attention computes: rows of the query at positions query_origin + row, keys at
/// key_origin + row.
struct DilatedReference {
  ConstTensor4 query; ///< [batch, rows, query_heads, head_dim]
  ConstTensor4 key;   ///< [batch, tokens, kv_heads, head_dim]
  ConstTensor4 value;
  Dilation dilation;
  bool causal = false;
  double scale = 1.0;
  std::int64_t query_origin = 0;
  std::int64_t key_origin = 0;
};

/// Dilated attention by the one formula in double precision, all pairs looked at one by one: m[h,i,j] is the number
/// of groups that admit (i, j), output = V weighted by m exp(s) / sum m exp(s). Asynchronous on `space`; throws
/// std::invalid_argument on shapes that do not fit.
void reference_dilated_attention(const ExecutionSpace &space, const DilatedReference &problem, ReferenceTensor4 output,
                                 ReferenceTensor3 log_sum_exp);

/// Its exact derivative, from the log-sum-exps of the forward.
void reference_dilated_gradient(const ExecutionSpace &space, const DilatedReference &problem,
                                ConstTensor4 output_gradient, ReferenceTensor3 log_sum_exp,
                                const ReferenceGradient &gradient);

} // namespace ringscale::kernels
