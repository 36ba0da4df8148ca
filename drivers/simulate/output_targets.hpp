// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "drivers/simulate/flags.hpp"

namespace ringscale::drivers {

/// Throws InvalidInput (one line) unless everything that the run is to write can be written now: the result file
/// `result_name` in the folder `results` (empty: none), --trace, --emit-goal and --emit-trace. All are new, no two of
/// them are one, and their folders can be written, or are made along with `results`. Leaves nothing behind.
void require_output_targets(const SimulateFlags &flags, const std::filesystem::path &results,
                            const std::string &result_name);

} // namespace ringscale::drivers
