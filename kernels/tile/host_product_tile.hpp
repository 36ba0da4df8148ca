// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/tile/host_register_tile.hpp"

namespace ringscale::kernels::tile {

/// Sum over `terms` of left[row * left_row_stride + term * left_term_stride] * right[term * right_stride + column] for
/// tile_rows rows and Vectors * lanes columns, in registers. With left_row_stride 1 the left factor is read down its
/// columns: the product with a transpose, without transposing.
template <int Vectors>
inline __attribute__((always_inline)) RegisterTile<Vectors>
product_tile(const float *left, std::int64_t left_row_stride, std::int64_t left_term_stride, const float *right,
             std::int64_t right_stride, std::int64_t terms) {
  RegisterTile<Vectors> tile;
#pragma GCC unroll 8
  for (int row = 0; row < tile_rows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < Vectors; ++vector) {
      tile.values[row][vector] = Vector{};
    }
  }
  for (std::int64_t term = 0; term < terms; ++term) {
    Vector factor[Vectors];
#pragma GCC unroll 8
    for (int vector = 0; vector < Vectors; ++vector) {
      factor[vector] = load(right + term * right_stride + vector * lanes);
    }
#pragma GCC unroll 8
    for (int row = 0; row < tile_rows; ++row) {
      const Vector element = broadcast(left[row * left_row_stride + term * left_term_stride]);
#pragma GCC unroll 8
      for (int vector = 0; vector < Vectors; ++vector) {
        tile.values[row][vector] = multiply_add(element, factor[vector], tile.values[row][vector]);
      }
    }
  }
  return tile;
}

/// output += tile, tile_rows rows of Vectors * lanes floats.
template <int Vectors>
inline __attribute__((always_inline)) void add_tile(const RegisterTile<Vectors> &tile, float *output,
                                                    std::int64_t output_stride) {
#pragma GCC unroll 8
  for (int row = 0; row < tile_rows; ++row) {
#pragma GCC unroll 8
    for (int vector = 0; vector < Vectors; ++vector) {
      float *address = output + row * output_stride + vector * lanes;
      store(address, load(address) + tile.values[row][vector]);
    }
  }
}

} // namespace ringscale::kernels::tile
