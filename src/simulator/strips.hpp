// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "simulator/lanes.hpp"

namespace ringscale::simulator {

/// A ring cut into strips of consecutive ranks, sixteen neighbouring strips to a bundle, a strip to a lane. All strips
/// are `width` ranks wide, two at most of which the next strip has as well. On either side of a strip are `ghost` cells
/// for ranks of its neighbours: what the strip's own ranks do in that many steps follows from its cells alone.
class Strips {
public:
  /// Some `wanted_width` ranks to a strip, or narrowest_width where that is more; needs ring_size >= smallest_ring.
  Strips(std::int64_t ring_size, std::int64_t wanted_width);
  /// A strip gives its neighbours as many of its own ranks as they have ghosts, so it must not have fewer.
  static constexpr std::int64_t narrowest_width = 16;
  static constexpr std::int64_t smallest_ring = narrowest_width * lane_count;

  std::int64_t ring_size() const { return ring_size_; }
  std::int64_t bundles() const { return bundles_; }
  std::int64_t count() const { return bundles_ * lane_count; }
  std::int64_t width() const { return width_; }
  std::int64_t ghost() const { return ghost_; }
  std::int64_t cells() const { return width_ + 2 * ghost_; }

  /// First rank of a strip, -1 <= strip <= count(); below 0 or from ring_size on at the ring's ends.
  std::int64_t first_rank(std::int64_t strip) const;
  /// Rank in a cell, 0 <= cell < cells().
  std::int64_t rank_in(std::int64_t strip, std::int64_t cell) const {
    return (first_rank(strip) - ghost_ + cell + ring_size_) % ring_size_;
  }
  /// Cells with which a strip fills the right ghosts of the strip before it, and the left ones of the strip after it.
  std::int64_t first_cell_for_before(std::int64_t strip) const {
    return ghost_ + first_rank(strip - 1) + width_ - first_rank(strip);
  }
  std::int64_t first_cell_for_after(std::int64_t strip) const { return first_rank(strip + 1) - first_rank(strip); }

private:
  std::int64_t ring_size_;
  std::int64_t bundles_;
  std::int64_t width_;
  std::int64_t ghost_;
};

} // namespace ringscale::simulator
