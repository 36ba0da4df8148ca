// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace ringscale::drivers {

class Session;

inline constexpr int exit_valid = 0;
inline constexpr int exit_invalid = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_incomplete = 75;
inline constexpr int exit_watchdog = 124;

/// Rank given by the launcher's environment (hydra, Open MPI, Slurm, PMIx), 0 without one; known before MPI starts.
int launched_rank();

/// One line on standard error, from rank 0 only.
void print_failure(std::string_view where, std::string_view what);

/// Runs the session's action and turns exceptions into one line and an exit code: InvalidInput into 2, anything
/// else into 1. A rank that fails alone ends the whole job, since the others may be waiting for it.
int run_guarded(Session &session, const std::string &verb);

} // namespace ringscale::drivers
