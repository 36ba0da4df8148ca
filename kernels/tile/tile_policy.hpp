// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstddef>
#include <cstdint>

namespace ringscale::kernels::tile {

/// Whether teams of this kind run where the host's memory is not theirs: on a GPU.
template <class Member>
inline constexpr bool on_device =
    !Kokkos::SpaceAccessibility<Kokkos::HostSpace, typename Member::execution_space::memory_space>::accessible;

/// Threads of a team of the plain Kokkos tiles on a device, and how many of them (a warp) work in step.
inline constexpr int device_team_threads = 128;
inline constexpr int device_vector_length = 32;

/// Scratch memory has two levels: level 0 is a GPU's shared memory, level 1 is global memory; hosts have one kind.
enum class ScratchChoice {
  fitting, ///< level 0 where a team's bytes fit there, else level 1
  global   ///< level 1 in any case
};

/// What a team may use of level 0: 48 KiB, which every CUDA device gives a team unasked, less what Kokkos keeps there
/// itself (8 bytes a thread and two more) and the alignment of allocations.
inline constexpr std::size_t shared_memory_bytes = 48 * 1024 - 8 * (device_team_threads + 2) - 256;

KOKKOS_INLINE_FUNCTION constexpr int fitting_level(ScratchChoice choice, std::size_t bytes) {
  return choice == ScratchChoice::fitting && bytes <= shared_memory_bytes ? 0 : 1;
}

/// Scratch bytes of a tile at one level. A tile that says nothing of levels keeps everything at level 1.
template <class Tile> KOKKOS_FUNCTION constexpr std::size_t scratch_bytes_at(int level, std::int64_t head_dim) {
  if constexpr (requires { Tile::scratch_bytes_at(level, head_dim); }) {
    return Tile::scratch_bytes_at(level, head_dim);
  } else if constexpr (requires { Tile::scratch_level(head_dim); }) {
    return Tile::scratch_level(head_dim) == level ? Tile::scratch_bytes(head_dim) : 0;
  } else {
    return level == 1 ? Tile::scratch_bytes(head_dim) : 0;
  }
}

/// Who runs the body of a TeamThreadRange on a device.
enum class TeamLanes {
  one,    ///< one thread
  of_tile ///< as many as the tile asks for; its kernel writes through the tile only
};

/// The policy of `league` teams that each use one Tile.
template <class Tile, class Policy, class Space>
Policy tile_policy(const Space &space, std::int64_t league, std::int64_t head_dim, TeamLanes lanes = TeamLanes::one) {
  const auto teams = static_cast<int>(league);
  Policy policy = [&] {
    if constexpr (Tile::team_size == 0) {
      return Policy(space, teams, Kokkos::AUTO);
    } else {
      if constexpr (requires { Tile::vector_length; }) {
        if (lanes == TeamLanes::of_tile) {
          return Policy(space, teams, Tile::team_size / Tile::vector_length, Tile::vector_length);
        }
      }
      return Policy(space, teams, Tile::team_size);
    }
  }();
  for (const int level : {0, 1}) {
    const std::size_t bytes = scratch_bytes_at<Tile>(level, head_dim);
    if (bytes > 0) {
      policy.set_scratch_size(level, Kokkos::PerTeam(static_cast<int>(bytes) + 64));
    }
  }
  return policy;
}

} // namespace ringscale::kernels::tile
