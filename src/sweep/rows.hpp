// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "machine/fleet.hpp"
#include "machine/machine.hpp"
#include "memory/closed_form.hpp"
#include "memory/memory_model.hpp"
#include "report/json.hpp"
#include "ring/merge_error.hpp"
#include "ring/ring_run.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::sweep {

/// Result rows, made here and nowhere else, so that every verb's documents agree; docs/formats.md names each field
/// with its unit. `point` is the row's id within its document. Numbers that are not finite become null, and the row's
/// reasons say why.

/// A ring measured on real ranks. `hops` are the messages each rank sends.
report::Json ring_row(const std::string &point, const ring::RingOptions &options, const ring::RingRun &run);

/// A ring simulated on `machine`. `hops` are the block messages of the device that sends most, `hops_all_devices` those
/// of all; `result_hops` the same of partial results.
report::Json simulation_row(const std::string &point, const machine::Machine &machine,
                            const simulator::SimulationOptions &options, const simulator::Simulation &simulation);
/// The same on several types of devices: `machine` names them with their numbers, `device_types` lists each.
report::Json simulation_row(const std::string &point, const machine::Fleet &fleet,
                            const simulator::SimulationOptions &options, const simulator::Simulation &simulation);

/// Memory of the device with the most under a named design, in closed form. Designs that are no ring of this program
/// carry schedule "none".
report::Json memory_row(const std::string &point, memory::MemoryModel model, const schedule::RingProblem &problem,
                        const memory::KernelFootprint &footprint);

/// What merging left of the accuracy: a row of verb `attention`, on one device. `max_error` is the largest of all
/// samples, `mean_error` the median over samples of the mean over elements.
report::Json merge_error_row(const std::string &point, const ring::MergeErrorOptions &options,
                             const ring::MergeErrorRun &run);

} // namespace ringscale::sweep
