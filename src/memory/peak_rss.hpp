// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace ringscale::memory {

/// Largest resident set of this process so far in bytes, from the operating system; 0 where it does not say. Counts
/// code, libraries and MPI's own buffers too, so it is shown beside the ledger, never in its place.
std::int64_t peak_rss_bytes();

} // namespace ringscale::memory
