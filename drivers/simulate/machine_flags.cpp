// SPDX-License-Identifier: Apache-2.0
#include "drivers/simulate/machine_flags.hpp"

#include <CLI/CLI.hpp>

#include <utility>

#include "drivers/list_flags.hpp"
#include "problem/invalid_input.hpp"
#include "report/machine_document.hpp"

namespace ringscale::drivers {

using problem::InvalidInput;

namespace {

constexpr std::int64_t no_count = 0;

/// File and count; the count is what stands behind the last colon when that is a number.
std::pair<std::string, std::int64_t> split_count(const std::string &text) {
  const std::size_t colon = text.rfind(':');
  std::int64_t count = no_count;
  const std::string behind = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (behind.empty() || behind.find_first_not_of("0123456789") != std::string::npos) {
    return {text, no_count};
  }
  if (!CLI::detail::lexical_cast(behind, count) || count < 1) {
    throw InvalidInput("--machine " + text + ": the number of devices must be an integer of at least 1");
  }
  return {text.substr(0, colon), count};
}

} // namespace

std::vector<std::string> machine_entries(const std::vector<std::string> &texts) {
  std::vector<std::string> entries;
  for (const std::string &text : texts) {
    const std::vector<std::string> of_text = entries_of(text);
    entries.insert(entries.end(), of_text.begin(), of_text.end());
  }
  return entries;
}

machine::Fleet read_fleet(const std::vector<std::string> &machines, std::int64_t ring_size) {
  std::vector<machine::DeviceGroup> groups;
  std::int64_t devices = 0;
  for (const std::string &text : machines) {
    auto [file, count] = split_count(text);
    if (file.empty()) {
      throw InvalidInput("--machine has the entry '" + text + "', which names no file; write FILE or FILE:COUNT");
    }
    if (count == no_count) {
      if (machines.size() > 1) {
        throw InvalidInput("--machine " + text + ": of several machines each needs its number of devices, FILE:COUNT");
      }
      if (ring_size < 1) {
        throw InvalidInput("--ring-size must be given, the devices of the ring, or --machine FILE:COUNT");
      }
      count = ring_size;
    }
    groups.push_back({report::read_machine_file(file), count});
    devices += count;
  }
  if (ring_size > 0 && devices != ring_size) {
    throw InvalidInput("--machine names " + std::to_string(devices) + " devices, --ring-size " +
                       std::to_string(ring_size) + "; leave --ring-size out, or make them equal");
  }
  return machine::Fleet(std::move(groups));
}

Stragglers parse_stragglers(const std::string &text) {
  Stragglers stragglers;
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || !CLI::detail::lexical_cast(text.substr(0, colon), stragglers.share) ||
      !CLI::detail::lexical_cast(text.substr(colon + 1), stragglers.factor)) {
    throw InvalidInput("--stragglers is '" + text + "'; it must be SHARE:FACTOR, such as 0.01:1.5");
  }
  return stragglers;
}

} // namespace ringscale::drivers
