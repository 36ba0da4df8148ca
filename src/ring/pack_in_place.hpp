// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/rounding.hpp"

namespace ringscale::ring {

/// Rounds `count` floats to bfloat16 or float16 and leaves the patterns, two bytes each, at the front of the same
/// memory, which it returns. Asynchronous on `space`; throws std::invalid_argument on other formats.
std::uint16_t *pack_in_place(const kernels::ExecutionSpace &space, float *data, std::int64_t count,
                             kernels::NumberFormat format);

/// The exact way back: `count` patterns that lie in the second half of the memory of `count` floats become these
/// floats.
void unpack_in_place(const kernels::ExecutionSpace &space, float *data, std::int64_t count,
                     kernels::NumberFormat format);

} // namespace ringscale::ring
