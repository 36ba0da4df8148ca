// SPDX-License-Identifier: Apache-2.0
#pragma once

// Dot products of bfloat16 pairs in vector registers (AVX512-BF16): `lanes` sums of two products each, in float32.

#include <cstdint>
#include <cstring>

#include "kernels/packed_low_precision.hpp"
#include "kernels/tile/host_register_tile.hpp"

#if defined(RINGSCALE_HOST_AVX512) && defined(__AVX512BF16__)
#define RINGSCALE_HOST_BFLOAT16 1

namespace ringscale::kernels::tile {

/// `lanes` pairs of bfloat16.
using PairVector = std::int32_t __attribute__((vector_size(lanes * sizeof(std::int32_t))));

inline PairVector load_pairs(const std::uint16_t *address) {
  PairVector pairs;
  std::memcpy(&pairs, address, sizeof pairs);
  return pairs;
}

/// The same pair in every lane.
inline PairVector broadcast_pair(const std::uint16_t *address) {
  std::int32_t pair;
  std::memcpy(&pair, address, sizeof pair);
  return pair - PairVector{};
}

/// sum + a.first * b.first + a.second * b.second, each product added with one rounding. Subnormal bfloat16 numbers
/// count as 0 and subnormal sums become 0, whatever the thread's floating-point mode.
inline Vector add_dot(Vector sum, PairVector a, PairVector b) {
  return (Vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

/// Both vectors rounded to bfloat16, to nearest even: the lanes of `first`, then those of `second`.
inline PairVector round_to_pairs(Vector first, Vector second) {
  return (PairVector)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
}

inline void store_pairs(std::uint16_t *address, PairVector pairs) { std::memcpy(address, &pairs, sizeof pairs); }

/// Dot products of tile_rows query rows with Vectors * lanes keys of one packed tile, over `pairs` pairs.
template <int Vectors>
inline __attribute__((always_inline)) RegisterTile<Vectors>
dot_tile(const std::uint16_t *query, std::int64_t query_stride, const std::uint16_t *keys, std::int64_t pairs) {
  RegisterTile<Vectors> tile;
#pragma GCC unroll 8
  for (int row = 0; row < tile_rows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < Vectors; ++vector) {
      tile.values[row][vector] = Vector{};
    }
  }
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    PairVector key[Vectors];
#pragma GCC unroll 8
    for (int vector = 0; vector < Vectors; ++vector) {
      key[vector] = load_pairs(keys + pair * 2 * key_tile_tokens + vector * 2 * lanes);
    }
#pragma GCC unroll 8
    for (int row = 0; row < tile_rows; ++row) {
      const PairVector element = broadcast_pair(query + row * query_stride + 2 * pair);
#pragma GCC unroll 8
      for (int vector = 0; vector < Vectors; ++vector) {
        tile.values[row][vector] = add_dot(tile.values[row][vector], key[vector], element);
      }
    }
  }
  return tile;
}

/// output += weights values for tile_rows rows and Vectors * lanes columns over `pairs` pairs of keys.
template <int Vectors>
inline __attribute__((always_inline)) void
accumulate_pairs(const std::uint16_t *weights, std::int64_t weight_stride, const std::uint16_t *values,
                 std::int64_t value_stride, std::int64_t pairs, float *output, std::int64_t output_stride) {
  RegisterTile<Vectors> tile;
#pragma GCC unroll 8
  for (int row = 0; row < tile_rows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < Vectors; ++vector) {
      tile.values[row][vector] = load(output + row * output_stride + vector * lanes);
    }
  }
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    PairVector value[Vectors];
#pragma GCC unroll 8
    for (int vector = 0; vector < Vectors; ++vector) {
      value[vector] = load_pairs(values + pair * 2 * value_stride + vector * 2 * lanes);
    }
#pragma GCC unroll 8
    for (int row = 0; row < tile_rows; ++row) {
      const PairVector weight = broadcast_pair(weights + row * weight_stride + 2 * pair);
#pragma GCC unroll 8
      for (int vector = 0; vector < Vectors; ++vector) {
        tile.values[row][vector] = add_dot(tile.values[row][vector], value[vector], weight);
      }
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < tile_rows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < Vectors; ++vector) {
      store(output + row * output_stride + vector * lanes, tile.values[row][vector]);
    }
  }
}

} // namespace ringscale::kernels::tile

#endif
