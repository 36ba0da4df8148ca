// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "report/json.hpp"

namespace ringscale::report {

/// "2026-07-24T09:30:00Z"
std::string utc_now();

/// Whether an environment variable may stand in a document: thread, MPI, network and Slurm settings that change
/// times. An allow-list, because environments hold passwords.
bool environment_variable_allowed(const std::string &name);

/// The allowed variables that are set, in alphabetical order.
Json allowed_environment();

/// Smallest step of the monotonic clock seen over some thousand readings, in seconds.
double measured_clock_resolution_s();

/// host, cpu_model, cores_in_affinity_mask, cores_online, memory_bytes, load_average (1, 5, 15 minutes),
/// frequency_governor (null where it cannot be read), operating_system.
Json host_facts();

} // namespace ringscale::report
