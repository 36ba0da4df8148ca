// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "kernels/types.hpp"
#include "problem/attention_problem.hpp"
#include "ring/measurements.hpp"

namespace ringscale::ring {

/// Attention of the shape of a tile, as long as the longer of its two sides. Throws InvalidInput for a bad shape.
problem::AttentionProblem attention_of(const TileSetting &setting);

using TileFloats = Kokkos::View<float *, kernels::MemorySpace>;

/// A buffer whose pages were all touched once, so that no measurement pays for the system's first-touch zeroing.
TileFloats touched(const std::string &label, std::int64_t elements);

} // namespace ringscale::ring
