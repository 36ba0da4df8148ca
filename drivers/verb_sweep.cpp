// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "drivers/failure.hpp"
#include "drivers/limit_flags.hpp"
#include "drivers/session.hpp"
#include "problem/invalid_input.hpp"
#include "report/journal.hpp"
#include "report/machine_document.hpp"
#include "report/output_file.hpp"
#include "report/results_document.hpp"
#include "ring/communicator.hpp"
#include "simulator/simulation.hpp"
#include "sweep/crew.hpp"
#include "sweep/describe.hpp"
#include "sweep/fingerprint.hpp"
#include "sweep/on_failure.hpp"
#include "sweep/plan.hpp"
#include "sweep/rows.hpp"
#include "sweep/run_points.hpp"
#include "sweep/simulated_points.hpp"
#include "sweep/stop_signal.hpp"

namespace ringscale::drivers {

namespace {

using problem::InvalidInput;
using report::Journal;
using report::Json;
using Clock = std::chrono::steady_clock;

struct SweepFlags {
  std::string experiment;
  std::string machine;
  bool resume = false;
  int threads = 0;
  std::string on_failure = "retry";
  std::optional<int> last_exit_code;
  std::string last_words;
  LimitFlags limits;
};

/// Machine files by the name that points have for them: relative to the experiment file, or empty for --machine.
std::filesystem::path machine_file(const SweepFlags &flags, const std::string &name) {
  return name.empty() ? std::filesystem::path(flags.machine)
                      : std::filesystem::path(flags.experiment).parent_path() / name;
}

/// Rank 0 of a sweep.
class Sweep {
public:
  Sweep(Session &session, const SweepFlags &flags) : session_(session), flags_(flags) {}

  int run() {
    // MPI first: a rank that ends while the others are still starting MPI leaves them, and the launcher, waiting.
    ranks_ = session_.world_size();
    prepare();
    const sweep::StopSignal signals;
    const bool complete = finish_points();
    const int code = complete ? conclude() : interrupted();
    if (ranks_ > 1) {
      crew_->dismiss(code);
    }
    return code;
  }

private:
  /// Everything that can be wrong is looked at here, before a file is made or a point runs.
  void prepare() {
    on_failure_ = sweep::parse_on_failure(flags_.on_failure);
    if (!flags_.resume && (flags_.last_exit_code || !flags_.last_words.empty())) {
      throw InvalidInput("--last-exit-code and --last-words tell how the start before ended; they need --resume");
    }
    plan_ = sweep::read_plan(flags_.experiment);
    sweep::require_within(limits_of(flags_.limits), plan_);
    folder_ = session_.options.output;
    if (folder_.empty()) {
      throw InvalidInput("--output DIR is missing: the folder for the journal and results.json");
    }
    read_machines();
    // Only what failed before may run on fewer ranks than it asks for, and only a journal knows.
    const bool may_shrink =
        flags_.resume && on_failure_ == sweep::OnFailure::shrink && std::filesystem::exists(Journal::file_in(folder_));
    if (!may_shrink) {
      sweep::require_ranks(plan_.largest_measured_ring(), ranks_);
    }
    if (std::filesystem::exists(results_file()) && !flags_.resume) {
      throw InvalidInput(results_file().string() + " exists already; name another output");
    }
    report::require_writable_folder(folder_);
    journal_.emplace(folder_, sweep::fingerprint(plan_.identity + machine_identity_),
                     flags_.resume ? Journal::Start::resume : Journal::Start::fresh);
    if (const auto failure = sweep::note_interrupted(*journal_, {flags_.last_exit_code, flags_.last_words})) {
      session_.say("failed before: " + failure->point + " on " + std::to_string(failure->ring_size) +
                   " ranks: " + failure->reason);
    }
    if (may_shrink && journal_->failures().empty()) {
      sweep::require_ranks(plan_.largest_measured_ring(), ranks_);
    }
    for (const std::string &line : sweep::describe(plan_)) {
      session_.say(line);
    }
    if (ranks_ > 1 || plan_.has(sweep::PointKind::measured) || plan_.has(sweep::PointKind::merge_error)) {
      crew_.emplace(session_.world());
      session_.start_kokkos(flags_.threads);
    }
  }

  void read_machines() {
    for (const std::string &name : plan_.machines()) {
      const std::filesystem::path file = machine_file(flags_, name);
      if (file.empty()) {
        throw InvalidInput(
            flags_.experiment +
            " has simulated points without a machine; add --machine FILE (ringscale calibrate writes one)");
      }
      const Json document = report::read_json_file(file);
      machines_.emplace(name, report::machine_from_json(document, file.string()));
      machine_identity_.append(report::write_json(document, -1));
      machine_documents_[name] = document;
    }
  }

  bool finish_points() {
    const auto finished = journal_->entries().size();
    if (finished == plan_.points.size()) {
      return true;
    }
    if (finished > 0) {
      session_.say("resuming: " + std::to_string(finished) + " points are finished already");
    }
    journal_->append_run(session_.run_provenance());
    const Clock::time_point start = Clock::now();
    sweep::PointHooks hooks;
    hooks.run = [this](const sweep::Point &point) {
      Json row = row_of(point);
      session_.say(sweep::summary_line(row));
      return row;
    };
    if (ranks_ > 1) {
      hooks.simulate = [this](std::span<const sweep::Point *const> points) { return simulate_on_all(points); };
    }
    hooks.stop = [this, start] {
      const double budget = session_.options.time_budget_s;
      if (const char *signal = sweep::StopSignal::received(); signal != nullptr) {
        stopped_by_ = signal;
      } else if (budget > 0.0 && std::chrono::duration<double>(Clock::now() - start).count() >= budget) {
        stopped_by_ = "the time budget";
      }
      return !stopped_by_.empty();
    };
    std::size_t left_out = 0;
    hooks.attempt = [this, &left_out](const sweep::Point &point) {
      sweep::Decision decision = sweep::decide(point, *journal_, on_failure_, ranks_);
      if (!decision.why.empty()) {
        session_.say((decision.attempt ? "shrunk: " : "left out: ") + point.id + " " + decision.why);
      }
      left_out += decision.attempt ? 0 : 1;
      return std::move(decision.attempt);
    };
    hooks.note = [this](std::size_t done, std::size_t total, const sweep::Point &point) {
      session_.progress("point " + std::to_string(done + 1) + " of " + std::to_string(total) + ": " + point.id);
    };
    const bool complete = sweep::run_points(plan_, *journal_, hooks);
    if (!complete && stopped_by_.empty()) {
      stopped_by_ = std::to_string(left_out) + " points that failed before";
    }
    return complete;
  }

  /// A number of points that takes some tenths of a second, so that a signal or the time budget is heard in time.
  std::vector<Json> simulate_on_all(std::span<const sweep::Point *const> points) {
    constexpr std::size_t most_at_once = 4096;
    constexpr double short_s = 0.2;
    constexpr double long_s = 1.0;
    const auto ranks = static_cast<std::size_t>(ranks_);
    points_at_once_ = std::clamp(points_at_once_, ranks, most_at_once);
    const Clock::time_point start = Clock::now();
    std::vector<Json> rows =
        crew_->simulate(points.first(std::min(points.size(), points_at_once_)), machine_documents_);
    const double took_s = std::chrono::duration<double>(Clock::now() - start).count();
    points_at_once_ = took_s < short_s ? 2 * points_at_once_ : took_s > long_s ? points_at_once_ / 2 : points_at_once_;
    for (const Json &row : rows) {
      session_.say(sweep::summary_line(row));
    }
    return rows;
  }

  Json row_of(const sweep::Point &point) {
    switch (point.kind) {
    case sweep::PointKind::measured:
      return sweep::ring_row(point.id, point.ring, crew_->measure(point));
    case sweep::PointKind::simulated:
      return sweep::simulated_row(point, machines_, 0);
    case sweep::PointKind::analytic:
      return sweep::memory_row(point.id, point.model, point.problem(), point.footprint);
    case sweep::PointKind::merge_error:
      return sweep::merge_error_row(point.id, point.merge_error, ring::measure_merge_error(point.merge_error));
    }
    throw InvalidInput("unknown kind of point");
  }

  /// Writes results.json once; a second --resume of a finished sweep only tells how it ended.
  int conclude() {
    const Json rows = sweep::rows_in_order(plan_, *journal_);
    const std::vector<std::string> reasons = sweep::invalid_points(rows);
    Json document = report::results_document("sweep", config(), rows, reasons.empty() ? "valid" : "invalid", reasons,
                                             session_.run_provenance());
    document["runs"] = journal_->runs();
    const bool written = std::filesystem::exists(results_file());
    if (!written) {
      report::write_file_exclusive(results_file(), report::write_json(document, 2) + "\n");
    }
    session_.print_document(document);
    for (const std::string &reason : reasons) {
      session_.say("invalid: " + reason);
    }
    session_.say("verdict: " + std::string(reasons.empty() ? "valid" : "invalid") + ", " +
                 std::to_string(plan_.points.size()) + " points");
    session_.say((written ? "complete already: " : "wrote ") + results_file().string());
    session_.say("journal " + Journal::file_in(folder_).string());
    return reasons.empty() ? exit_valid : exit_invalid;
  }

  int interrupted() {
    const std::size_t finished = journal_->entries().size();
    Json document = Json::object();
    document["schema"] = "ringscale.progress";
    document["schema_version"] = 1;
    document["verdict"] = "incomplete";
    document["stopped_by"] = stopped_by_;
    document["finished_points"] = finished;
    document["points"] = plan_.points.size();
    document["journal"] = Journal::file_in(folder_).string();
    session_.print_document(document);
    session_.say("verdict: incomplete, stopped by " + stopped_by_ + " after " + std::to_string(finished) + " of " +
                 std::to_string(plan_.points.size()) + " points; the same command with --resume goes on");
    return exit_incomplete;
  }

  Json config() const {
    Json config = Json::object();
    config["experiment_file"] = flags_.experiment;
    config["experiment"] = plan_.experiment;
    config["identity"] = plan_.identity;
    config["machines"] = Json::array();
    for (const auto &[name, machine] : machines_) {
      Json entry = Json::object();
      entry["name"] = machine.name;
      entry["kind"] = machine.kind;
      entry["file"] = machine_file(flags_, name).string();
      config["machines"].push_back(std::move(entry));
    }
    return config;
  }

  std::filesystem::path results_file() const { return folder_ / "results.json"; }

  Session &session_;
  const SweepFlags &flags_;
  sweep::Plan plan_;
  sweep::Machines machines_;
  Json machine_documents_ = Json::object();
  std::string machine_identity_;
  std::size_t points_at_once_ = 1; ///< that all ranks together simulate
  std::filesystem::path folder_;
  int ranks_ = 1;
  sweep::OnFailure on_failure_ = sweep::OnFailure::retry;
  std::optional<sweep::Crew> crew_;
  std::optional<Journal> journal_;
  std::string stopped_by_;
};

int show_plan(Session &session, const SweepFlags &flags) {
  if (!session.is_root()) {
    return exit_valid;
  }
  const sweep::Plan plan = sweep::read_plan(flags.experiment);
  sweep::require_within(limits_of(flags.limits), plan);
  for (const std::string &line : sweep::describe(plan)) {
    session.say(line);
  }
  if (plan.machines().contains("") && flags.machine.empty()) {
    session.say("simulated points need --machine FILE");
  }
  if (const std::int64_t ranks = plan.largest_measured_ring(); ranks > 1) {
    session.say("measured points need mpiexec -n " + std::to_string(ranks));
  }
  session.print_document(sweep::plan_document(plan));
  return exit_valid;
}

int run_sweep(Session &session, const SweepFlags &flags) {
  if (session.options.dry_run) {
    return show_plan(session, flags);
  }
  if (session.is_root()) {
    return Sweep(session, flags).run();
  }
  // Signals go to every rank of a job; rank 0 alone decides when to stop.
  const sweep::StopSignal signals;
  sweep::Crew crew(session.world());
  session.start_kokkos(flags.threads);
  return crew.serve();
}

} // namespace

void add_sweep_verb(CLI::App &program, Session &session) {
  CLI::App *verb = program.add_subcommand("sweep", "Run an experiment file: measured, simulated and analytic points");
  auto flags = std::make_shared<SweepFlags>();
  verb->add_option("experiment", flags->experiment, "Experiment file (docs/formats.md)")->required();
  verb->add_option("--machine", flags->machine, "Machine file for simulated points");
  verb->add_flag("--resume", flags->resume, "Go on with the journal in the output folder");
  verb->add_option("--on-failure", flags->on_failure,
                   "What to do about a measured point that failed at an earlier start: retry, stop (leave it out, exit "
                   "75) or shrink (run it on fewer ranks)")
      ->capture_default_str();
  verb->add_option("--last-exit-code", flags->last_exit_code, "Exit code of the start before, for the journal")
      ->check(CLI::Range(0, 255));
  verb->add_option("--last-words", flags->last_words, "Last line of the start before, for the journal");
  add_limit_flags(*verb, flags->limits, {LimitFlag::communication, LimitFlag::memory});
  verb->add_option("--threads", flags->threads, "Host threads of each rank; 0: its share of the cores")
      ->capture_default_str()
      ->check(CLI::Range(0, 4096));
  add_common_flags(*verb, session,
                   {CommonFlag::json, CommonFlag::dry_run, CommonFlag::output, CommonFlag::time_budget});
  verb->callback([&session, flags] { session.action = [&session, flags] { return run_sweep(session, *flags); }; });
}

} // namespace ringscale::drivers
