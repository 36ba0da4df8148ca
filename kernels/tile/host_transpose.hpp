// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>

#include "kernels/packed_key_value.hpp"
#include "kernels/tile/host_simd.hpp"
#include "kernels/tile/tile_rows.hpp"

namespace ringscale::kernels::tile {

/// to[row], lane by lane, becomes what lane `row` of the rows was. Halves of ever smaller squares are exchanged, as in
/// Eklundh's transposition (1972): log2(lanes) rounds of shuffles instead of lanes^2 scalar moves.
#if defined(RINGSCALE_SHUFFLES)
template <int step, bool upper, int... lane>
inline __attribute__((always_inline)) Vector exchange(Vector first, Vector second,
                                                      std::integer_sequence<int, lane...> /*lanes*/) {
  if constexpr (upper) {
    return __builtin_shufflevector(first, second, ((lane & step) == 0 ? lane + step : lanes + lane)...);
  } else {
    return __builtin_shufflevector(first, second, ((lane & step) == 0 ? lane : lanes + lane - step)...);
  }
}

template <int step> inline __attribute__((always_inline)) void transpose(Vector (&rows)[lanes]) {
  using Lanes = std::make_integer_sequence<int, lanes>;
#pragma GCC unroll 16
  for (int row = 0; row < lanes; ++row) {
    if ((row & step) == 0) {
      const Vector first = rows[row];
      const Vector second = rows[row + step];
      rows[row] = exchange<step, false>(first, second, Lanes{});
      rows[row + step] = exchange<step, true>(first, second, Lanes{});
    }
  }
  if constexpr (step > 1) {
    transpose<step / 2>(rows);
  }
}
#else
template <int step> inline void transpose(Vector (&rows)[lanes]) {
  static_assert(step == lanes / 2);
  for (int row = 0; row < lanes; ++row) {
    for (int column = 0; column < row; ++column) {
      const float below = rows[row][column];
      rows[row][column] = rows[column][row];
      rows[column][row] = below;
    }
  }
}
#endif

/// Packs a tile of rows, each times `factor`: to[dim * key_tile_tokens + row], zeros for rows that do not exist.
inline void pack_transposed(const TileRows &rows, std::int64_t head_dim, float factor, float *to) {
  for (std::int64_t first = 0; first < key_tile_tokens; first += lanes) {
    for (std::int64_t dim = 0; dim < head_dim; dim += lanes) {
      const std::int64_t dims = head_dim - dim < lanes ? head_dim - dim : lanes;
      Vector square[lanes];
#pragma GCC unroll 16
      for (int row = 0; row < lanes; ++row) {
        square[row] = first + row < rows.count ? factor * load_part(rows.from + (first + row) * rows.stride + dim, dims)
                                               : Vector{};
      }
      transpose<lanes / 2>(square);
      if (dims == lanes) {
#pragma GCC unroll 16
        for (int column = 0; column < lanes; ++column) {
          store(to + (dim + column) * key_tile_tokens + first, square[column]);
        }
      } else {
        for (std::int64_t column = 0; column < dims; ++column) {
          store(to + (dim + column) * key_tile_tokens + first, square[column]);
        }
      }
    }
  }
}

} // namespace ringscale::kernels::tile
