// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <vector>

#include "machine/machine.hpp"

namespace ringscale::machine {

/// How much longer a tile takes when its rank touches other data between two uses of it: measured with reuse_tiles
/// equal tiles in turn. With the rank's data D times the tile's, the time is multiplied by
/// 1 + (ratio - 1) log D / log reuse_tiles, D being cut to 1 .. 2 reuse_tiles; the ratio is linear in the logarithm of
/// the tokens between two measured lengths, and beyond the longest ratio - 1 falls as 1 / tokens (bytes over work).
class TileReuse {
public:
  /// No samples: every factor is 1.
  explicit TileReuse(const std::vector<ReuseSample> &samples);

  /// `tokens`: geometric mean of queries and keys. `data_ratio`: bytes a rank touches in a pass over those of the tile.
  double factor(double tokens, problem::Mask mask, double data_ratio) const;

private:
  std::map<problem::Mask, std::map<double, double>> excess_; ///< [mask][tokens]: ratio - 1, not below 0
};

} // namespace ringscale::machine
