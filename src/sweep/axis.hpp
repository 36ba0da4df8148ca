// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "report/json.hpp"

namespace ringscale::sweep {

/// Most points of one experiment, and so most values of one axis.
inline constexpr std::size_t most_points = 100000;

/// Values of one axis of a grid, in order. A scalar is one value, an array its members, {"range": [first, last, step]}
/// first, first + step, ... up to and including last, {"powers_of_two": [low, high], "every": n} low, 2^n low, ... up
/// to and including high (every = 1 unless given; low must be a power of two). `where` opens messages. Throws
/// problem::InvalidInput for another form, an empty or over-long axis, or a value that stands twice.
std::vector<report::Json> axis_values(const report::Json &axis, const std::string &where);

} // namespace ringscale::sweep
