// SPDX-License-Identifier: Apache-2.0
#include "machine/fleet.hpp"

#include <algorithm>
#include <utility>

#include "problem/invalid_input.hpp"

namespace ringscale::machine {

using problem::InvalidInput;

Fleet::Fleet(std::vector<DeviceGroup> groups) : groups_(std::move(groups)), first_ranks_{0} {
  if (groups_.empty()) {
    throw InvalidInput("a ring without devices: name at least one machine");
  }
  for (const DeviceGroup &group : groups_) {
    if (group.devices < 1) {
      throw InvalidInput("machine " + group.machine.name + " has " + std::to_string(group.devices) +
                         " devices in the ring; it must have at least 1");
    }
    first_ranks_.push_back(first_ranks_.back() + group.devices);
  }
}

std::size_t Fleet::type_of(std::int64_t rank) const {
  const auto after = std::upper_bound(first_ranks_.begin() + 1, first_ranks_.end() - 1, rank);
  return static_cast<std::size_t>(after - first_ranks_.begin()) - 1;
}

std::string Fleet::name() const {
  if (!mixed()) {
    return groups_[0].machine.name;
  }
  std::string text;
  for (const DeviceGroup &group : groups_) {
    text += (text.empty() ? "" : "+") + group.machine.name + ":" + std::to_string(group.devices);
  }
  return text;
}

} // namespace ringscale::machine
