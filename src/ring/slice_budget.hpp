// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/attention_block.hpp"

namespace ringscale::ring {

/// Work between two looks at the network, of one thread: about 4 ms at 100 GFLOP/s forward, 60 ms backward, where each
/// slice packs the keys anew. Constants, not measured speeds, so that a run is cut the same way every time; tests have
/// smaller ones, so that small rings have many slices.
struct SliceBudget {
  double forward_flop = 4e8;
  double backward_flop = 6e9;
  /// Shorter backward slices would spend more than about a percent on packing.
  std::int64_t least_backward_rows = 20 * kernels::query_tile_tokens;
};

} // namespace ringscale::ring
