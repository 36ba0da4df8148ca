// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/types.hpp"

namespace ringscale::kernels {

/// Keys are packed in tiles of this many tokens; a span is padded with zeros to whole tiles.
inline constexpr std::int64_t key_tile_tokens = 64;

/// Tokens of a span of `tokens` after padding to whole tiles.
KOKKOS_INLINE_FUNCTION constexpr std::int64_t padded_tokens(std::int64_t tokens) {
  return (tokens + key_tile_tokens - 1) / key_tile_tokens * key_tile_tokens;
}

/// Floats of the packed keys and values of one head: keys first, then values, padded_tokens * head_dim each.
KOKKOS_INLINE_FUNCTION constexpr std::int64_t packed_head_elements(std::int64_t tokens, std::int64_t head_dim) {
  return 2 * padded_tokens(tokens) * head_dim;
}

/// Floats of one packed span, [batch][kv_head][keys, then values]. Keys lie transposed, tile by tile,
/// [tile][head_dim][key_tile_tokens], so that a vector load fetches one dimension of many keys; values lie as they
/// are, [token][head_dim].
KOKKOS_INLINE_FUNCTION constexpr std::int64_t packed_elements(std::int64_t batch, std::int64_t tokens,
                                                              std::int64_t kv_heads, std::int64_t head_dim) {
  return batch * kv_heads * packed_head_elements(tokens, head_dim);
}

/// Packs tokens [token_begin, token_begin + token_count) of key and value ([batch, tokens, kv_heads, head_dim]) into
/// packed_elements(...) floats at `packed`, padding with zeros. A span is packed once, at its owner, and then rotates
/// as it is. Asynchronous on `space`. Throws std::invalid_argument on shapes that do not fit.
void pack_key_value(const ExecutionSpace &space, ConstTensor4 key, ConstTensor4 value, std::int64_t token_begin,
                    std::int64_t token_count, float *packed);

/// The same with all heads' keys at `packed_keys` and all values at `packed_values`, half of packed_elements(...) each:
/// for a ring that sends them in a message each.
void pack_keys_and_values_apart(const ExecutionSpace &space, ConstTensor4 key, ConstTensor4 value,
                                std::int64_t token_begin, std::int64_t token_count, float *packed_keys,
                                float *packed_values);

} // namespace ringscale::kernels
