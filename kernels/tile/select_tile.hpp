// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <type_traits>

#include "kernels/tile/team_tile.hpp"
#include "kernels/types.hpp"

// Vector registers serve when the kernels run on the host; device compilers never see them.
#if !defined(KOKKOS_ENABLE_CUDA) && !defined(KOKKOS_ENABLE_HIP) && !defined(KOKKOS_ENABLE_SYCL)
#define RINGSCALE_HOST_TILES 1
#include "kernels/tile/host_tile.hpp"
#endif
// Tensor cores multiply two-byte numbers; other devices convert them.
#if defined(KOKKOS_ENABLE_CUDA)
#define RINGSCALE_MATRIX_TILES 1
#include "kernels/tile/team_matrix_tile.hpp"
#endif

namespace ringscale::kernels::tile {

/// The tile primitives of this build's back end for a head_dim known at compile time (0: at run time).
template <int HeadDim, class Member> struct SelectTile {
#if defined(RINGSCALE_HOST_TILES)
  using Type = HostTile<HeadDim>;
#else
  using Type = TeamTile<Member, HeadDim>;
#endif
};

} // namespace ringscale::kernels::tile
