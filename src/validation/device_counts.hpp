// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace ringscale::validation {

/// How many devices a text states.
struct DeviceCount {
  std::optional<double> devices;   ///< of all: "8x A100", "4 nodes of 8 H100", "2x8 A100", "H100 x 8", "TPUv4-1024"
  std::optional<double> of_a_node; ///< alone, without the nodes: "8 GPUs per node"
  std::optional<double> nodes;     ///< alone, without their devices: "4 DGX A100 nodes"
  bool is_unclear = false;         ///< numbers that may mean several: "2 nodes (8 GPUs)", "8 and 16 GPUs"
};

/// Reads a text about hardware. Words that name no number of devices or nodes state nothing.
DeviceCount devices_in_text(std::string_view text);

/// gpu, devices, accelerators, chips, ...
bool is_unit_of_devices(std::string_view word);

/// Whether `word` (lower case) means the device `name` of a machine file (a100, tpuv4): the name alone, in the plural,
/// behind a number ("8xa100"), or with its form of construction or memory ("h100sxm5", "a10080gb").
bool means_device(std::string_view word, std::string_view name);

} // namespace ringscale::validation
