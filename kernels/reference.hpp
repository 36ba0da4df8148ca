// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/admission.hpp"
#include "kernels/types.hpp"

namespace ringscale::kernels {

/// Attention by its definition in double precision: all scores of a row, their maximum, then the weighted sum. Query
/// [batch, rows, query_heads, head_dim] against key and value [batch, tokens, kv_heads, head_dim]; head h reads head
/// h / (query_heads / kv_heads). A row without an admitted key gives output 0 and log-sum-exp -infinity.
/// Asynchronous on `space`; throws std::invalid_argument on shapes that do not fit.
void reference_attention(const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key, ConstTensor4 value,
                         const Admission &admission, double scale, ReferenceTensor4 output,
                         ReferenceTensor3 log_sum_exp);

/// The same for a contiguous run of query rows: row r stands at position query_position_begin + r, key j at j.
void reference_attention(const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key, ConstTensor4 value,
                         bool causal, std::int64_t query_position_begin, double scale, ReferenceTensor4 output,
                         ReferenceTensor3 log_sum_exp);

} // namespace ringscale::kernels
