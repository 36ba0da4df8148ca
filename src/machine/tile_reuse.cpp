// SPDX-License-Identifier: Apache-2.0
#include "machine/tile_reuse.hpp"

#include <algorithm>
#include <cmath>

namespace ringscale::machine {

namespace {

double excess_at(const std::map<double, double> &excess, double tokens) {
  const auto above = excess.lower_bound(tokens);
  if (above == excess.end()) {
    return excess.rbegin()->second * excess.rbegin()->first / tokens;
  }
  if (above == excess.begin()) {
    return above->second;
  }
  const auto below = std::prev(above);
  const double weight = std::log(tokens / below->first) / std::log(above->first / below->first);
  return below->second + weight * (above->second - below->second);
}

} // namespace

TileReuse::TileReuse(const std::vector<ReuseSample> &samples) {
  for (const ReuseSample &sample : samples) {
    excess_[sample.mask][static_cast<double>(sample.tokens)] = std::max(0.0, sample.in_turn_s / sample.alone_s - 1.0);
  }
}

double TileReuse::factor(double tokens, problem::Mask mask, double data_ratio) const {
  if (excess_.empty() || !(tokens > 0.0)) {
    return 1.0;
  }
  const auto measured = excess_.find(mask);
  const std::map<double, double> &excess = measured == excess_.end() ? excess_.begin()->second : measured->second;
  const double ratio = std::clamp(data_ratio, 1.0, 2.0 * reuse_tiles);
  return 1.0 + excess_at(excess, tokens) * std::log(ratio) / std::log(static_cast<double>(reuse_tiles));
}

} // namespace ringscale::machine
