// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Macros.hpp>

#include <cstdint>

namespace ringscale::kernels {

/// The heads of a tensor that a call computes; all of them unless said. A call on few heads meets their keys and values
/// again while these are still in the cache, which rows of all heads in turn would have driven out.
struct HeadRange {
  std::int64_t begin = 0;
  std::int64_t count = -1; ///< negative: all from `begin` on

  KOKKOS_INLINE_FUNCTION std::int64_t count_of(std::int64_t heads) const { return count < 0 ? heads - begin : count; }
  KOKKOS_INLINE_FUNCTION bool is_whole(std::int64_t heads) const { return begin == 0 && count_of(heads) == heads; }
  /// Key/value heads that these query heads read, `group` of them the same one.
  KOKKOS_INLINE_FUNCTION std::int64_t groups_met(std::int64_t heads, std::int64_t group) const {
    const std::int64_t end = begin + count_of(heads);
    return end == begin ? 0 : (end - 1) / group - begin / group + 1;
  }
  /// Lies within `heads` heads.
  KOKKOS_INLINE_FUNCTION bool fits(std::int64_t heads) const {
    return begin >= 0 && begin <= heads && count_of(heads) <= heads - begin;
  }
};

} // namespace ringscale::kernels
