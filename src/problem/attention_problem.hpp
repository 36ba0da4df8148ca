// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace ringscale::problem {

/// What tensors are stored in. float32 is computed in as well; all others are summed in float32
/// (docs/kernels/precision.md).
enum class DType { float32, tfloat32, bfloat16, float16, float8_e4m3, float8_e5m2 };
inline constexpr std::array all_dtypes{DType::float32, DType::tfloat32,    DType::bfloat16,
                                       DType::float16, DType::float8_e4m3, DType::float8_e5m2};
enum class Mask { none, causal };

/// One attention layer's forward pass. Tensors are [batch, tokens, heads, head_dim], row-major.
struct AttentionProblem {
  std::int64_t batch = 1;
  std::int64_t tokens = 0;
  std::int64_t query_heads = 8;
  std::int64_t kv_heads = 8;
  std::int64_t head_dim = 64;
  DType dtype = DType::float32;
  Mask mask = Mask::none;
};

/// Throws InvalidInput naming the first field that is out of range, zero, or inconsistent (query_heads must be a
/// multiple of kv_heads). Sizes are limited so that every byte count fits 63 bits.
void validate(const AttentionProblem &problem);

/// Real bytes of one stored element: 4 for float32 and tfloat32, 2 for bfloat16 and float16, 1 for float8.
std::int64_t storage_bytes(DType dtype);

/// 1/sqrt(head_dim), the scale of Vaswani et al. 2017, eq. 1.
double softmax_scale(std::int64_t head_dim);

/// Query-key pairs one head of one batch entry admits: tokens^2, or tokens (tokens+1) / 2 for causal.
std::int64_t admitted_pairs(std::int64_t tokens, Mask mask);

/// Work of the forward pass over `pairs` admitted pairs of one head: 4 pairs query_heads head_dim batch FLOPs
/// (multiply and add of Q K^T and of P V). Softmax operations are not counted; causal is not counted twice.
double forward_flop(const AttentionProblem &problem, double pairs);
double forward_flop(const AttentionProblem &problem);

std::string_view name(DType dtype);
std::string_view name(Mask mask);
/// Parse a word of the command line or of JSON; throws InvalidInput listing the words allowed.
DType parse_dtype(std::string_view word);
Mask parse_mask(std::string_view word);

} // namespace ringscale::problem
