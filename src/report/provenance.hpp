// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "report/json.hpp"

namespace ringscale::report {

/// The program that runs: fixed at build time.
struct BuildFacts {
  std::string version;    ///< of the project, "0.1.0"
  std::string commit;     ///< git hash, "-dirty" when tracked files differ from it, "unknown" outside a repository
  std::string build_type; ///< CMake's
  std::string compiler;   ///< id and version
  std::string flags;      ///< language flags, with those that Kokkos adds
  std::string kokkos_version;
};
BuildFacts build_facts();

/// "ringscale 0.1.0 (commit ..., Release, GNU 12.2.0, Kokkos 4.7.0)"
std::string version_line();

/// What only the libraries of a running program know; the drivers fill it, because this room links neither.
/// Empty texts and zeros mean "not started in this run".
struct RuntimeFacts {
  std::string kokkos_version;
  std::string execution_space;
  int concurrency = 0;
  std::string mpi_library;
  int ranks = 0;
};

/// Name and start of one run, taken when the program starts.
struct RunIdentity {
  std::string run_id; ///< start time and 48 random bits: unique without a registry
  std::string started_utc;
};
RunIdentity begin_run();

/// Where a document comes from: run_id, start and end (now), arguments, build, libraries, host, clock and the
/// allow-listed environment. Call it after parsing, when the arguments have been accepted.
Json provenance(const RunIdentity &run, const std::vector<std::string> &arguments, const RuntimeFacts &runtime);

/// The build part alone, for --version and `info`.
Json build_document();

} // namespace ringscale::report
