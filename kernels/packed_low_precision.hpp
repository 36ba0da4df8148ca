// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/packed_key_value.hpp"
#include "kernels/rounding.hpp"
#include "kernels/types.hpp"

namespace ringscale::kernels {

/// Tensors of bfloat16 or float16 patterns, two bytes an element: [batch, tokens, heads, head_dim], row-major.
using StorageTensor4 = Kokkos::View<std::uint16_t ****, Kokkos::LayoutRight, MemorySpace, Unmanaged>;
using ConstStorageTensor4 = Kokkos::View<const std::uint16_t ****, Kokkos::LayoutRight, MemorySpace, Unmanaged>;

/// Elements of a row of keys in pairs: head_dim rounded up to an even number.
KOKKOS_INLINE_FUNCTION constexpr std::int64_t paired_dim(std::int64_t head_dim) { return (head_dim + 1) / 2 * 2; }

/// Two-byte elements of the packed keys and values of one head. For an even head_dim that is half the bytes of
/// packed_head_elements floats.
KOKKOS_INLINE_FUNCTION constexpr std::int64_t packed_low_precision_head_elements(std::int64_t tokens,
                                                                                 std::int64_t head_dim) {
  return padded_tokens(tokens) * (paired_dim(head_dim) + head_dim);
}

/// Two-byte elements of one packed span, [batch][kv_head][keys, then values]. What one dot product of pairs takes
/// lies together: keys as [tile][pair of dimensions][key_tile_tokens][2] (an odd head_dim ends with a zero), values as
/// [pair of tokens][head_dim][2]. Tokens are padded with zeros to whole tiles.
KOKKOS_INLINE_FUNCTION constexpr std::int64_t
packed_low_precision_elements(std::int64_t batch, std::int64_t tokens, std::int64_t kv_heads, std::int64_t head_dim) {
  return batch * kv_heads * packed_low_precision_head_elements(tokens, head_dim);
}

/// Packs tokens [token_begin, token_begin + token_count) of key and value, [batch, tokens, kv_heads, head_dim], into
/// packed_low_precision_elements(...) patterns at `packed`: patterns as they are, floats rounded to `format` (bfloat16
/// or float16). Asynchronous on `space`; throws std::invalid_argument on shapes or formats that do not fit.
void pack_key_value(const ExecutionSpace &space, ConstStorageTensor4 key, ConstStorageTensor4 value,
                    std::int64_t token_begin, std::int64_t token_count, std::uint16_t *packed);
void pack_key_value(const ExecutionSpace &space, ConstTensor4 key, ConstTensor4 value, std::int64_t token_begin,
                    std::int64_t token_count, NumberFormat format, std::uint16_t *packed);

} // namespace ringscale::kernels
