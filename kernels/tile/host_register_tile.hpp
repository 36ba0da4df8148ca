// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/packed_key_value.hpp"
#include "kernels/tile/host_simd.hpp"

namespace ringscale::kernels::tile {

/// The accumulators of Rows rows by Vectors vectors, all in registers.
template <int Vectors, int Rows = tile_rows> struct RegisterTile { Vector values[Rows][Vectors]; };

/// Scores of Rows query rows (stride `query_stride`) against Vectors * lanes keys of one packed key tile.
template <int Vectors, int Rows = tile_rows>
inline __attribute__((always_inline)) RegisterTile<Vectors, Rows>
score_tile(const float *query, std::int64_t query_stride, const float *keys, std::int64_t head_dim) {
  RegisterTile<Vectors, Rows> tile;
#pragma GCC unroll 8
  for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < Vectors; ++vector) {
      tile.values[row][vector] = Vector{};
    }
  }
  for (std::int64_t dim = 0; dim < head_dim; ++dim) {
    Vector key[Vectors];
#pragma GCC unroll 8
    for (int vector = 0; vector < Vectors; ++vector) {
      key[vector] = load(keys + dim * key_tile_tokens + vector * lanes);
    }
#pragma GCC unroll 8
    for (int row = 0; row < Rows; ++row) {
      const Vector element = broadcast(query[row * query_stride + dim]);
#pragma GCC unroll 8
      for (int vector = 0; vector < Vectors; ++vector) {
        tile.values[row][vector] = multiply_add(element, key[vector], tile.values[row][vector]);
      }
    }
  }
  return tile;
}

/// output += weights values for Rows rows and Vectors * lanes columns over key_count keys.
template <int Vectors, int Rows = tile_rows>
inline __attribute__((always_inline)) void
accumulate_tile(const float *weights, std::int64_t weight_stride, const float *values, std::int64_t value_stride,
                std::int64_t key_count, float *output, std::int64_t output_stride) {
  RegisterTile<Vectors, Rows> tile;
#pragma GCC unroll 8
  for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < Vectors; ++vector) {
      tile.values[row][vector] = load(output + row * output_stride + vector * lanes);
    }
  }
  for (std::int64_t key = 0; key < key_count; ++key) {
    Vector value[Vectors];
#pragma GCC unroll 8
    for (int vector = 0; vector < Vectors; ++vector) {
      value[vector] = load(values + key * value_stride + vector * lanes);
    }
#pragma GCC unroll 8
    for (int row = 0; row < Rows; ++row) {
      const Vector weight = broadcast(weights[row * weight_stride + key]);
#pragma GCC unroll 8
      for (int vector = 0; vector < Vectors; ++vector) {
        tile.values[row][vector] = multiply_add(weight, value[vector], tile.values[row][vector]);
      }
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < Vectors; ++vector) {
      store(output + row * output_stride + vector * lanes, tile.values[row][vector]);
    }
  }
}

} // namespace ringscale::kernels::tile
