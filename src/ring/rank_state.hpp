// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ring/checkpoint_format.hpp"

namespace ringscale::ring {

/// What one rank needs for the steps it has not done: bytes under names, and where they lie. Sections of buffers in
/// host memory are the buffers themselves, so the state is valid until the rank's next step; those of device memory are
/// copies.
struct RankState {
  RankState() = default;
  RankState(RankState &&) = default;
  RankState &operator=(RankState &&) = default;
  RankState(const RankState &) = delete; ///< sections point into the other members
  RankState &operator=(const RankState &) = delete;

  std::int64_t steps_done = 0;
  std::vector<CheckpointSection> sections;

  std::vector<std::string> names;
  std::vector<Kokkos::View<std::byte *, Kokkos::HostSpace>> copies;
  std::vector<std::int64_t> counters; ///< times each block was met, then last uses of the block buffers
  std::vector<double> seconds;        ///< of RankTimes
};

} // namespace ringscale::ring
