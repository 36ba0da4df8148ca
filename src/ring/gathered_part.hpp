// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace ringscale::ring {

/// One rank's bytes in the buffer of an all-gather.
struct GatheredPart {
  std::int64_t offset_bytes = 0;
  std::int64_t bytes = 0;
};

/// Throws InvalidInput unless there is one part for each rank, none is negative and no two overlap.
void require_parts(std::span<const GatheredPart> parts, int ranks);

/// The same, and that MPI's 31-bit counts and offsets reach the end of every part.
void require_gatherable(std::span<const GatheredPart> parts, int ranks);

} // namespace ringscale::ring
