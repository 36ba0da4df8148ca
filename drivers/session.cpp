// SPDX-License-Identifier: Apache-2.0
#include "drivers/session.hpp"

#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <Kokkos_Core.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <iostream>
#include <optional>

#include "drivers/failure.hpp"
#include "drivers/flag_checks.hpp"
#include "problem/invalid_input.hpp"
#include "report/provenance.hpp"
#include "ring/communicator.hpp"

namespace ringscale::drivers {

namespace {

constexpr auto log_progress_interval = std::chrono::seconds(30);

int cores_of_this_process() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  return sched_getaffinity(0, sizeof mask, &mask) == 0 ? std::max(1, CPU_COUNT(&mask)) : 1;
}

/// The launcher's word for the number of ranks; 1 without a launcher.
int launched_size() {
  for (const char *name : {"PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    if (const char *value = std::getenv(name); value != nullptr && *value != '\0') {
      return std::max(1, std::atoi(value));
    }
  }
  return 1;
}

} // namespace

struct Session::Runtime {
  std::optional<ring::MpiEnvironment> mpi;
  std::optional<ring::Communicator> world;
  bool kokkos_is_ours = false;
  report::RunIdentity identity = report::begin_run();
  std::chrono::steady_clock::time_point last_progress{};
};

Session::Session(int argc, char **argv) : arguments_(argv, argv + argc), runtime_(std::make_unique<Runtime>()) {}

Session::~Session() {
  if (runtime_->kokkos_is_ours) {
    Kokkos::finalize();
  }
  if (runtime_->world) {
    // All ranks end MPI together, and those that are done first sleep till then. MPICH before 4.2 over TCP may wait for
    // ever when a rank ends while another one still closes its connections (pmodels/mpich pull request 6596).
    try {
      runtime_->world->sleeping_barrier();
      runtime_->world->barrier("before the end");
    } catch (const std::exception &) { // the results are out; MPI says by itself what is wrong
    }
  }
  // The communicator is freed before MPI ends.
  runtime_->world.reset();
  runtime_->mpi.reset();
}

ring::Communicator &Session::world() {
  if (!runtime_->world) {
    runtime_->mpi.emplace();
    runtime_->world.emplace(ring::Communicator::world());
  }
  return *runtime_->world;
}

int Session::world_size() { return runtime_->world || launched_size() > 1 ? world().size() : 1; }

bool Session::is_root() { return runtime_->world ? runtime_->world->rank() == 0 : launched_rank() == 0; }

void Session::start_kokkos(int threads) {
  if (Kokkos::is_initialized()) {
    return;
  }
  if (threads <= 0) {
    const int ranks = world_size() > 1 ? world().ranks_on_node() : 1;
    threads = std::max(1, cores_of_this_process() / ranks);
  }
  Kokkos::initialize(Kokkos::InitializationSettings().set_num_threads(threads).set_disable_warnings(true));
  runtime_->kokkos_is_ours = true;
}

void Session::say(std::string_view line) {
  if (is_root()) {
    (options.json ? std::cerr : std::cout) << line << '\n' << std::flush;
  }
}

void Session::progress(std::string_view line) {
  if (!is_root()) {
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (isatty(STDERR_FILENO) == 0 && now - runtime_->last_progress < log_progress_interval) {
    return;
  }
  runtime_->last_progress = now;
  std::cerr << line << '\n' << std::flush;
}

void Session::print_document(const report::Json &document) {
  if (is_root() && options.json) {
    std::cout << report::write_json(document, 2) << '\n' << std::flush;
  }
}

report::Json Session::run_provenance() {
  report::RuntimeFacts facts;
  if (Kokkos::is_initialized()) {
    const int version = KOKKOS_VERSION;
    facts.kokkos_version = std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
                           std::to_string(version % 100);
    facts.execution_space = Kokkos::DefaultExecutionSpace::name();
    facts.concurrency = Kokkos::DefaultExecutionSpace().concurrency();
  }
  if (runtime_->world) {
    facts.mpi_library = ring::MpiEnvironment::library_version();
    facts.ranks = runtime_->world->size();
  }
  return report::provenance(runtime_->identity, arguments_, facts);
}

std::string version_line() {
  const report::BuildFacts facts = report::build_facts();
  return "ringscale " + facts.version + " (" + facts.commit + ", Kokkos " + facts.kokkos_version + ", " +
         facts.compiler + ", " + facts.build_type + ")";
}

void refuse_document_of_dry_run(const Session &session) {
  if (session.options.dry_run && session.options.json) {
    throw problem::InvalidInput("--dry-run prints the plan for people and makes no document; leave out --json");
  }
}

void add_common_flags(CLI::App &verb, Session &session, const std::vector<CommonFlag> &flags) {
  CommonOptions &options = session.options;
  for (const CommonFlag flag : flags) {
    switch (flag) {
    case CommonFlag::json:
      verb.add_flag("--json", options.json, "One JSON document on standard output, all else on standard error");
      break;
    case CommonFlag::dry_run:
      verb.add_flag("--dry-run", options.dry_run, "Print the resolved plan and stop");
      break;
    case CommonFlag::output:
      verb.add_option("--output", options.output, "Folder for result files")->check(named);
      break;
    case CommonFlag::seed:
      verb.add_option("--seed", options.seed, "Seed of synthetic data and random numbers")
          ->capture_default_str()
          ->check(seed_number);
      break;
    case CommonFlag::time_budget:
      verb.add_option("--time-budget", options.time_budget_s,
                      "Seconds after which no new point starts (exit 75, resumable); 0 is no limit");
      break;
    }
  }
}

} // namespace ringscale::drivers
