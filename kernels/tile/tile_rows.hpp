// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace ringscale::kernels::tile {

/// Rows of one head that become one packed tile: row r at from + r * stride, `count` of key_tile_tokens exist.
struct TileRows {
  const float *from = nullptr;
  std::int64_t stride = 0;
  std::int64_t count = 0;
};

} // namespace ringscale::kernels::tile
