// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/types.hpp"

namespace ringscale::ring {

/// 64-bit checksum of `count` floats by their bits and places: the sum modulo 2^64 of a strong mix of (place, bits).
/// Any changed, moved or swapped element changes it; the order of summation does not, so it is the same on any
/// number of threads, and checksums of neighbouring pieces add up when `first_place` continues. Waits for `space`.
std::uint64_t checksum(const kernels::ExecutionSpace &space, const float *data, std::int64_t count,
                       std::uint64_t first_place = 0);

/// The same of elements of two bytes, by their patterns.
std::uint64_t checksum(const kernels::ExecutionSpace &space, const std::uint16_t *data, std::int64_t count,
                       std::uint64_t first_place = 0);

} // namespace ringscale::ring
