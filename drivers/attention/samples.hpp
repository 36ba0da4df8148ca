// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "drivers/attention/tensors.hpp"

namespace ringscale::drivers {

using Positions = std::vector<std::int64_t>;

/// All positions below `tokens`, or as many distinct ones as the reference has time for when one takes `flop`: first,
/// last, and random ones of `seed`.
Positions positions_to_check(std::int64_t tokens, double flop, std::uint64_t seed);
Positions all_positions(std::int64_t tokens);

/// The rows of `tensor` at `positions`; the tensor itself where these are all.
Owned4 rows_at(const Owned4 &tensor, const Positions &positions);
Owned3 rows_at(const Owned3 &tensor, const Positions &positions);

/// Largest |element|, largest Euclidean norm and largest sum of |elements| of a row; NaN when an element is one.
double largest_element(const Owned4 &tensor);
double largest_row_norm(const Owned4 &tensor);
double largest_row_sum(const Owned4 &tensor);

} // namespace ringscale::drivers
