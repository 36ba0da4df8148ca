// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstdint>

#include "kernels/packed_key_value.hpp"
#include "kernels/tile/select_tile.hpp"
#include "kernels/tile/tile_rows.hpp"

#if defined(RINGSCALE_HOST_TILES)
#include "kernels/tile/host_transpose.hpp"
#endif

namespace ringscale::kernels::tile {

#if defined(RINGSCALE_HOST_TILES)

inline constexpr int pack_team_size = 1;

/// Packs the keys of a tile: to[dim * key_tile_tokens + row], zeros for rows that do not exist.
template <class Member>
inline void pack_keys(const Member & /*member*/, const TileRows &rows, std::int64_t head_dim, float *to) {
  pack_transposed(rows, head_dim, 1.0F, to);
}

/// Packs the values of a tile: to[row * head_dim + dim], zeros for rows that do not exist.
template <class Member>
inline void pack_values(const Member & /*member*/, const TileRows &rows, std::int64_t head_dim, float *to) {
  for (std::int64_t row = 0; row < rows.count; ++row) {
    for (std::int64_t dim = 0; dim < head_dim; dim += lanes) {
      store_part(to + row * head_dim + dim, load_part(rows.from + row * rows.stride + dim, head_dim - dim),
                 head_dim - dim);
    }
  }
  for (std::int64_t element = rows.count * head_dim; element < key_tile_tokens * head_dim; ++element) {
    to[element] = 0.0F;
  }
}

#else

inline constexpr int pack_team_size = 0; // as many threads as the back end recommends

template <class Member>
KOKKOS_FUNCTION void pack_keys(const Member &member, const TileRows &rows, std::int64_t head_dim, float *to) {
  Kokkos::parallel_for(Kokkos::TeamThreadRange(member, key_tile_tokens), [&](const std::int64_t row) {
    for (std::int64_t dim = 0; dim < head_dim; ++dim) {
      to[dim * key_tile_tokens + row] = row < rows.count ? rows.from[row * rows.stride + dim] : 0.0F;
    }
  });
}

template <class Member>
KOKKOS_FUNCTION void pack_values(const Member &member, const TileRows &rows, std::int64_t head_dim, float *to) {
  Kokkos::parallel_for(Kokkos::TeamThreadRange(member, key_tile_tokens), [&](const std::int64_t row) {
    for (std::int64_t dim = 0; dim < head_dim; ++dim) {
      to[row * head_dim + dim] = row < rows.count ? rows.from[row * rows.stride + dim] : 0.0F;
    }
  });
}

#endif

} // namespace ringscale::kernels::tile
