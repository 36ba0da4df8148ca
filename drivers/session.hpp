// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "report/json.hpp"

namespace CLI {
class App;
}

namespace ringscale::ring {
class Communicator;
}

namespace ringscale::drivers {

/// Flags that several verbs share; a verb adds those it honours with add_common_flags.
struct CommonOptions {
  bool json = false;
  bool dry_run = false;
  std::string output;
  std::uint64_t seed = 1;
  double time_budget_s = 0.0; ///< 0: no limit
};

enum class CommonFlag { json, dry_run, output, seed, time_budget };

/// One run of the program: its arguments, the common options, and MPI and Kokkos, started when first needed and
/// ended by the destructor in the right order.
class Session {
public:
  Session(int argc, char **argv);
  ~Session();
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;

  CommonOptions options;
  /// What the verb on the command line does; returns the exit code. Set by the verb's parse callback.
  std::function<int()> action;

  const std::vector<std::string> &arguments() const { return arguments_; }

  /// All ranks of this job; the first call starts MPI.
  ring::Communicator &world();
  /// World size without starting MPI when the program was not started by a launcher.
  int world_size();
  /// True on the rank that prints and writes.
  bool is_root();

  /// Starts Kokkos with `threads` host threads; 0 means the cores of this process's affinity mask shared among the
  /// ranks of the node. Later calls have no effect.
  void start_kokkos(int threads);

  /// One line for people: on standard output, or on standard error when --json keeps that for the document.
  void say(std::string_view line);
  /// Progress: a line on standard error, only on a terminal or every 30 s in a log.
  void progress(std::string_view line);
  /// Prints the one document of a --json run.
  void print_document(const report::Json &document);

  /// Provenance of this run for result documents: arguments, build, host, MPI and Kokkos as started so far.
  report::Json run_provenance();

private:
  struct Runtime;
  std::vector<std::string> arguments_;
  std::unique_ptr<Runtime> runtime_;
};

/// "ringscale 0.1.0 (commit, Kokkos version, compiler, build type)".
std::string version_line();

void add_common_flags(CLI::App &verb, Session &session, const std::vector<CommonFlag> &flags);

/// Throws InvalidInput for --dry-run with --json in a verb whose plan is lines for people: the one document that --json
/// promises would be missing.
void refuse_document_of_dry_run(const Session &session);

/// Each verb adds its subcommand and, when chosen, sets session.action.
void add_attention_verb(CLI::App &program, Session &session);
void add_ring_verb(CLI::App &program, Session &session);
void add_calibrate_verb(CLI::App &program, Session &session);
void add_simulate_verb(CLI::App &program, Session &session);
void add_sweep_verb(CLI::App &program, Session &session);
void add_check_verb(CLI::App &program, Session &session);
void add_validate_verb(CLI::App &program, Session &session);
void add_plan_verb(CLI::App &program, Session &session);
void add_info_verb(CLI::App &program, Session &session);

} // namespace ringscale::drivers
