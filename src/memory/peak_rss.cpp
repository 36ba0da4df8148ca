// SPDX-License-Identifier: Apache-2.0
#include "memory/peak_rss.hpp"

#include <sys/resource.h>

namespace ringscale::memory {

std::int64_t peak_rss_bytes() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) {
    return 0;
  }
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024; // Linux counts in KiB
}

} // namespace ringscale::memory
