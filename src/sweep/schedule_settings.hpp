// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "report/json.hpp"
#include "ring/ring_options.hpp"

namespace ringscale::sweep {

/// Settings of a point that say how a ring goes round beyond schedule and placement: axes of measured and simulated
/// grids.
const std::vector<std::string> &schedule_axes();

/// Settings of the messages of measured rings alone.
const std::vector<std::string> &message_axes();

/// Reads schedule_axes into `problem`, which is not validated. Lists of a dilated pattern are texts, such as
/// "2048,4096". Throws problem::InvalidInput with file and path.
void read_schedule_settings(const report::ObjectReader &reader, schedule::RingProblem &problem);

/// Reads message_axes.
void read_message_settings(const report::ObjectReader &reader, ring::RingOptions &options);

} // namespace ringscale::sweep
