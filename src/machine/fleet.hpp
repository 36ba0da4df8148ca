// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/machine.hpp"

namespace ringscale::machine {

/// Devices of one type, neighbours in the ring.
struct DeviceGroup {
  Machine machine;
  std::int64_t devices = 0;
};

/// The devices of a ring: groups of equal ones, one group after the other. Ranks of a group are numbered through its
/// machine's nodes from 0 on; devices of different groups reach each other over both machines' farthest links.
class Fleet {
public:
  /// Throws InvalidInput for no group, or for one without devices.
  explicit Fleet(std::vector<DeviceGroup> groups);
  Fleet(const Machine &machine, std::int64_t devices) : Fleet({DeviceGroup{machine, devices}}) {}

  std::int64_t devices() const { return first_ranks_.back(); }
  std::size_t types() const { return groups_.size(); }
  bool mixed() const { return groups_.size() > 1; }
  const Machine &machine(std::size_t type) const { return groups_[type].machine; }
  std::int64_t devices_of(std::size_t type) const { return groups_[type].devices; }
  std::int64_t first_rank(std::size_t type) const { return first_ranks_[type]; }
  std::size_t type_of(std::int64_t rank) const;
  /// "h100_ndr", or "h100_ndr:4+gtx1080:2".
  std::string name() const;

private:
  std::vector<DeviceGroup> groups_;
  std::vector<std::int64_t> first_ranks_; ///< of each group, and one past the last rank
};

} // namespace ringscale::machine
