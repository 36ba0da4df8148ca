// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "machine/machine.hpp"
#include "validation/device_counts.hpp"
#include "validation/published_tables.hpp"

namespace ringscale::validation {

/// The devices that a column's name is about: "time_8_gpus", "gpus_16_ms", "ms_1gpu".
std::optional<double> devices_in_name(const std::vector<std::string> &words);

/// The devices of a figure: by its column's name, by numbers of the row or the setup under one of the usual names,
/// nodes x devices of a node, or by words of the row's labels and the setup's texts.
std::optional<double> devices_of(const Table &table, std::size_t row, std::size_t column);
/// The same without the column's name. Nodes whose devices are not said, and devices that may be those of one node or
/// of all, are unclear.
DeviceCount devices_of_row(const Table &table, std::size_t row);

/// Why nothing is predicted where DeviceCount::is_unclear.
inline constexpr std::string_view unclear_devices =
    "how many devices it was is not clear from the row and the setup; a column or key 'gpus' would say";

/// Whether FLOP/s or tokens/s of a column are those of one device, by its unit or name; nothing when neither says.
std::optional<bool> says_per_device(const Column &column);

/// The machine a figure was published for, and why there is none. The first of these that names a device decides: the
/// column's name, labels of the row about devices, its other labels, texts of the setup about devices, its other texts,
/// the title. Two devices at the same place are one too many.
struct MachineChoice {
  const machine::Machine *machine = nullptr;
  std::string reason;
  std::optional<double> memory_bytes; ///< of a device, where its text states it ("A100 40GB")
};
MachineChoice machine_of(const Table &table, std::size_t row, std::size_t column,
                         const std::vector<machine::Machine> &machines);

} // namespace ringscale::validation
