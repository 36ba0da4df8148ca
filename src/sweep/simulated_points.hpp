// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "sweep/device_groups.hpp"
#include "sweep/point.hpp"

namespace ringscale::sweep {

/// Types of devices of a simulated point, in the order of ranks; one of the empty name for the command line's machine.
std::vector<DeviceGroupFile> groups_of(const Point &point);

/// Machines by the names that points have for them.
using Machines = std::map<std::string, machine::Machine>;

/// Simulates a point with `threads` (0: all cores; no figure depends on them). Throws InvalidInput naming the point.
report::Json simulated_row(const Point &point, const Machines &machines, int threads);

} // namespace ringscale::sweep
