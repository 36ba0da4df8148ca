// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/tile/select_tile.hpp"
#include "kernels/tile/team_backward_tile.hpp"
#if defined(RINGSCALE_HOST_TILES)
#include "kernels/tile/host_backward_tile.hpp"
#endif

namespace ringscale::kernels::tile {

/// The backward primitives of this build's back end for a head_dim known at compile time (0: at run time).
template <int HeadDim, class Member> struct SelectBackwardTile {
#if defined(RINGSCALE_HOST_TILES)
  using Type = HostBackwardTile<HeadDim>;
#else
  using Type = TeamBackwardTile<Member>;
#endif
};

} // namespace ringscale::kernels::tile
