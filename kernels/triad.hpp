// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/types.hpp"

namespace ringscale::kernels {

/// Memory bandwidth of all threads of `space` in GB/s (1e9 bytes): a = b + scale * c over arrays of 64 MiB each, which
/// no second-level cache holds, repeated for `seconds`; the best pass counts. 12 bytes an element are counted, as
/// STREAM (McCalpin 1995) does; a cache that fetches a line before it writes it moves 16.
double measure_triad_gbyte_per_s(const ExecutionSpace &space, double seconds);

} // namespace ringscale::kernels
