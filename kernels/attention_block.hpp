// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/admission.hpp"
#include "kernels/dropout.hpp"
#include "kernels/head_range.hpp"
#include "kernels/packed_key_value.hpp"
#include "kernels/types.hpp"

namespace ringscale::kernels {

/// What a block does with the partial that output and log_sum_exp already hold.
enum class Merge {
  replace,  ///< writes the normalised partial and its log-sum-exp; no key admitted: output 0, log-sum-exp -infinity
  online,   ///< joins the new partial with the one held, weighted by their log-sum-exps: exact attention
  per_chunk ///< negative control: every block counts alike (its log-sum-exp is taken as 0), so the result is wrong;
            ///< log_sum_exp then holds the log of the number of blocks met
};

/// Query rows are computed in blocks of at most this many; slices of a multiple of it lose nothing.
inline constexpr std::int64_t query_tile_tokens = 48;

/// One block of attention: rows query_begin .. query_end - 1 of the query against one packed span of keys and values.
struct AttentionBlock {
  ConstTensor4 query;                      ///< [batch, tokens, query_heads, head_dim]
  const float *packed_key_value = nullptr; ///< one span, see packed_key_value.hpp; 64-byte alignment is fastest
  const float *packed_value = nullptr;     ///< null: values lie behind the keys of their head; else all heads' values,
                                           ///< and packed_key_value has keys alone (see pack_keys_and_values_apart)
  std::int64_t key_tokens = 0;             ///< tokens of the span, without padding
  std::int64_t kv_heads = 0;               ///< query head h reads head h / (query_heads / kv_heads)
  std::int64_t query_begin = 0;
  std::int64_t query_end = 0;
  HeadRange heads; ///< query heads that are computed
  Admission admission;
  float scale = 1.0F;  ///< factor on the scores, usually 1/sqrt(head_dim)
  Dropout dropout;     ///< of the weights; their sums and log_sum_exp are those before dropout
  Tensor4 output;      ///< as query; only the rows of the block are touched
  Tensor3 log_sum_exp; ///< [batch, tokens, query_heads], natural logarithm
  Merge merge = Merge::replace;
};

/// Attention with streamed softmax (Milakov and Gimelshein 2018; Dao et al. 2022): no score leaves the cache. A row's
/// result does not depend on how rows and heads are sliced into calls. Asynchronous on `space`; throws
/// std::invalid_argument on shapes that do not fit each other.
void attention_block(const ExecutionSpace &space, const AttentionBlock &block);

/// Throws std::invalid_argument naming the first field of `block` that does not fit the others.
void check_attention_block(const AttentionBlock &block);

/// Scratch bytes that each concurrent team of attention_block uses.
std::int64_t attention_workspace_bytes(std::int64_t head_dim);

} // namespace ringscale::kernels
