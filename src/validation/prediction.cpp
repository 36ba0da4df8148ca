// SPDX-License-Identifier: Apache-2.0
#include "validation/prediction.hpp"

#include <algorithm>

namespace ringscale::validation {

void add_fit(std::vector<Fit> &fits, const std::string &name, double value, const std::string &unit,
             const std::vector<std::string> &cells) {
  const auto same =
      std::find_if(fits.begin(), fits.end(), [&](const Fit &fit) { return fit.name == name && fit.value == value; });
  if (same == fits.end()) {
    fits.push_back({name, value, unit, cells});
  } else {
    same->cells.insert(same->cells.end(), cells.begin(), cells.end());
  }
}

} // namespace ringscale::validation
