// SPDX-License-Identifier: Apache-2.0
#include "sweep/device_groups.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "problem/invalid_input.hpp"

namespace ringscale::sweep {

using problem::InvalidInput;

namespace {

constexpr std::int64_t no_count = 0;

/// The count is what stands behind the last colon when that is a number.
DeviceGroupFile split_count(const std::string &text, const std::string &machine) {
  const std::size_t colon = text.rfind(':');
  const std::string behind = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (behind.empty() || behind.find_first_not_of("0123456789") != std::string::npos) {
    return {text, no_count};
  }
  std::int64_t count = no_count;
  const auto [end, error] = std::from_chars(behind.data(), behind.data() + behind.size(), count);
  if (error != std::errc{} || end != behind.data() + behind.size() || count < 1) {
    throw InvalidInput(machine + " " + text + ": the number of devices must be an integer of at least 1");
  }
  return {text.substr(0, colon), count};
}

} // namespace

std::vector<std::string> machine_entries(const std::vector<std::string> &texts) {
  std::vector<std::string> entries;
  for (const std::string &text : texts) {
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      entries.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return entries;
}

std::vector<DeviceGroupFile> device_groups(const std::vector<std::string> &entries, std::int64_t ring_size,
                                           const std::string &machine, const std::string &size) {
  std::vector<DeviceGroupFile> groups;
  std::int64_t devices = 0;
  for (const std::string &text : entries) {
    DeviceGroupFile group = split_count(text, machine);
    if (group.file.empty()) {
      throw InvalidInput(machine + " has the entry '" + text + "', which names no file; write FILE or FILE:COUNT");
    }
    if (group.devices == no_count) {
      if (entries.size() > 1) {
        throw InvalidInput(machine + " " + text + ": of several machines each needs its number of devices, FILE:COUNT");
      }
      if (ring_size < 1) {
        throw InvalidInput(size + " must be given, the devices of the ring, or " + machine + " FILE:COUNT");
      }
      group.devices = ring_size;
    }
    if (group.devices > (std::int64_t{1} << 40) - devices) {
      throw InvalidInput(machine + " names more than 2^40 devices");
    }
    devices += group.devices;
    groups.push_back(std::move(group));
  }
  if (ring_size > 0 && devices != ring_size) {
    throw InvalidInput(machine + " names " + std::to_string(devices) + " devices, " + size + " " +
                       std::to_string(ring_size) + "; leave " + size + " out, or make them equal");
  }
  return groups;
}

} // namespace ringscale::sweep
