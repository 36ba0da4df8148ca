// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace ringscale::kernels {

/// One output row in either precision: exactly one pointer is set.
struct StorageRow {
  float *full = nullptr;
  std::uint16_t *packed = nullptr; ///< patterns of the storage format
};

} // namespace ringscale::kernels
