// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ringscale::sweep {

/// Neighbouring devices of a ring whose machine a file describes.
struct DeviceGroupFile {
  std::string file;
  std::int64_t devices = 0;
};

/// Texts such as "h100.json:4,gtx1080.json:2" cut at commas. Unlike CLI11's delimiter it keeps empty entries, which
/// device_groups refuses.
std::vector<std::string> machine_entries(const std::vector<std::string> &texts);

/// Files and numbers of devices of `entries`, each FILE or FILE:COUNT, in the order of ranks. One file alone may leave
/// its count out: it has all `ring_size` devices. Throws InvalidInput when a count is missing or they do not add up to
/// a ring_size above 0. Messages call the setting `machine` ("--machine") and the number of devices `size`.
std::vector<DeviceGroupFile> device_groups(const std::vector<std::string> &entries, std::int64_t ring_size,
                                           const std::string &machine, const std::string &size);

} // namespace ringscale::sweep
