// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sizing/calculators.hpp"

namespace ringscale::sizing {

/// Why the corrected function returns something else than the printed one for these arguments, one sentence or two,
/// with the figures; "the same" where it does not.
std::string ring_config_difference(const Calculation &calculation);
std::string optimal_ring_size_difference(const Calculation &calculation);
std::string block_size_difference(const Calculation &calculation);
std::string segment_lengths_difference(const Calculation &calculation);
std::string ring_gpus_difference(const Calculation &calculation);
std::string batch_size_difference(const Calculation &calculation);
std::string accumulation_steps_difference(const Calculation &calculation);

} // namespace ringscale::sizing
