// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration_choice.hpp"

#include <algorithm>

namespace ringscale::validation {

namespace {

std::size_t shared_features(const std::vector<std::string> &left, const std::vector<std::string> &right) {
  std::size_t shared = 0;
  for (std::size_t index = 0; index < std::min(left.size(), right.size()); ++index) {
    shared += left[index] == right[index] ? 1 : 0;
  }
  return shared;
}

} // namespace

std::vector<std::size_t> choose_calibration(const std::vector<std::vector<std::string>> &features, std::size_t count) {
  std::vector<std::size_t> chosen;
  if (features.empty()) {
    return chosen;
  }
  chosen.push_back(features.size() / 2);
  while (chosen.size() < std::min(count, features.size())) {
    std::size_t best = features.size();
    double least = 0.0;
    for (std::size_t candidate = 0; candidate < features.size(); ++candidate) {
      if (std::find(chosen.begin(), chosen.end(), candidate) != chosen.end()) {
        continue;
      }
      // Likeness to the nearest counts most, then to all together.
      double likeness = 0.0;
      std::size_t nearest = 0;
      for (const std::size_t taken : chosen) {
        const std::size_t shared = shared_features(features[candidate], features[taken]);
        nearest = std::max(nearest, shared);
        likeness += static_cast<double>(shared) / static_cast<double>(chosen.size());
      }
      likeness += static_cast<double>(nearest);
      if (best == features.size() || likeness < least) {
        best = candidate;
        least = likeness;
      }
    }
    chosen.push_back(best);
  }
  chosen.resize(std::min(count, chosen.size()));
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

} // namespace ringscale::validation
