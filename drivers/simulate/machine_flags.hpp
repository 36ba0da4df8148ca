// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/fleet.hpp"

namespace ringscale::drivers {

/// The texts of --machine cut at commas. Unlike CLI11's delimiter it keeps empty entries, which read_fleet refuses.
std::vector<std::string> machine_entries(const std::vector<std::string> &texts);

/// Devices of `machines`, each FILE or FILE:COUNT, in the order of ranks. One file alone may leave its count out: it
/// has all `ring_size` devices. Throws InvalidInput when a count is missing or they do not add up to a ring_size above
/// 0.
machine::Fleet read_fleet(const std::vector<std::string> &machines, std::int64_t ring_size);

/// SHARE:FACTOR, such as 0.01:1.5.
struct Stragglers {
  double share = 0.0;
  double factor = 1.0;
};
Stragglers parse_stragglers(const std::string &text);

} // namespace ringscale::drivers
