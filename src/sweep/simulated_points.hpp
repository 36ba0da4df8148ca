// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "simulator/process_group.hpp"
#include "sweep/device_groups.hpp"
#include "sweep/point.hpp"

namespace ringscale::sweep {

/// Types of devices of a simulated point, in the order of ranks; one of the empty name for the command line's machine.
std::vector<DeviceGroupFile> groups_of(const Point &point);

/// Machines by the names that points have for them.
using Machines = std::map<std::string, machine::Machine>;

/// Of an object of machine documents; `source` opens messages.
Machines machines_of(const report::Json &documents, const std::string &source);

/// Simulates a point with `threads` (0: all cores; no figure depends on them), with `processes` together with those
/// that help_simulated_row. Throws InvalidInput naming the point.
report::Json simulated_row(const Point &point, const Machines &machines, int threads,
                           simulator::ProcessGroup *processes = nullptr);
void help_simulated_row(const Point &point, const Machines &machines, int threads, simulator::ProcessGroup &processes);

/// Whether `ranks` ranks had better divide the ring of this point than take it for one of many: every step of every
/// device is computed by the blocked engine, and they are many.
bool is_divided(const Point &point, int ranks);

} // namespace ringscale::sweep
