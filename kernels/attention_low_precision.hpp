// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/attention_block.hpp"
#include "kernels/packed_low_precision.hpp"
#include "kernels/work.hpp"

namespace ringscale::kernels {

/// How the products of two-byte numbers are computed; sums are float32 either way.
enum class LowPrecisionArithmetic {
  automatic, ///< native where this build has it for the format, else converted
  native,    ///< products of bfloat16 (AVX512-BF16, CUDA's tensor cores); weights are rounded to it too
  converted  ///< queries, keys and values become float32 in cache; weights stay float32
};

/// An AttentionBlock whose query, keys and values are stored in two bytes an element.
struct LowPrecisionBlock {
  NumberFormat format = NumberFormat::bfloat16;    ///< bfloat16 or float16
  ConstStorageTensor4 query;                       ///< [batch, tokens, query_heads, head_dim]
  const std::uint16_t *packed_key_value = nullptr; ///< one span, see packed_low_precision.hpp
  std::int64_t key_tokens = 0;                     ///< tokens of the span, without padding
  std::int64_t kv_heads = 0;                       ///< query head h reads head h / (query_heads / kv_heads)
  std::int64_t query_begin = 0;
  std::int64_t query_end = 0;
  HeadRange heads; ///< query heads that are computed
  Admission admission;
  float scale = 1.0F;            ///< factor on the scores, usually 1/sqrt(head_dim)
  Tensor4 output;                ///< as query; only the rows of the block are touched
  StorageTensor4 storage_output; ///< where it is set, the output is rounded to `format` and goes here instead
  Tensor3 log_sum_exp;           ///< [batch, tokens, query_heads], natural logarithm, float32 in any case
  Merge merge = Merge::replace;
  LowPrecisionArithmetic arithmetic = LowPrecisionArithmetic::automatic;
};

/// Whether this build multiplies bfloat16 natively (AVX512-BF16, tensor cores of CUDA devices).
bool has_native_bfloat16();

/// attention_block on two-byte storage with float32 sums. A row's result does not depend on how rows are sliced into
/// calls. Asynchronous on `space`; throws std::invalid_argument on shapes, formats or arithmetic that do not fit.
void attention_block_low_precision(const ExecutionSpace &space, const LowPrecisionBlock &block);

/// Scratch bytes that each concurrent team of attention_block_low_precision uses with automatic arithmetic; `format` is
/// bfloat16 or float16, else std::invalid_argument.
std::int64_t attention_low_precision_workspace_bytes(NumberFormat format, std::int64_t head_dim);

/// Throws std::invalid_argument naming the first field of `block` that does not fit the others.
void check_low_precision_block(const LowPrecisionBlock &block);

/// The same FLOPs as attention_block; bytes are real ones: two for every stored element.
KernelWork attention_low_precision_work(const LowPrecisionBlock &block);

} // namespace ringscale::kernels
