// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace ringscale {

/// The bytes of an .npy file with this header and data, as the format says, without any checks or padding.
inline std::string npy_bytes(const std::string &header, const std::string &data, int major = 1) {
  std::string bytes("\x93NUMPY");
  bytes.append({static_cast<char>(major), '\0'});
  for (int byte = 0; byte < (major == 1 ? 2 : 4); ++byte) {
    bytes += static_cast<char>(header.size() >> (8 * byte) & 0xFFU);
  }
  return bytes + header + data;
}

} // namespace ringscale
