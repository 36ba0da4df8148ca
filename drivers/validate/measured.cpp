// SPDX-License-Identifier: Apache-2.0
#include "drivers/validate/measured.hpp"

#include <CLI/CLI.hpp>

#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "drivers/calibration_run.hpp"
#include "drivers/failure.hpp"
#include "drivers/host_load.hpp"
#include "drivers/session.hpp"
#include "drivers/validate/held_out_report.hpp"
#include "problem/invalid_input.hpp"
#include "report/machine_document.hpp"
#include "report/output_file.hpp"
#include "report/results_document.hpp"
#include "ring/communicator.hpp"
#include "simulator/held_out_rings.hpp"

namespace ringscale::drivers {

namespace {

using report::Json;

/// Where this run writes, checked before anything is measured.
struct Files {
  std::filesystem::path results;
  std::filesystem::path machine; ///< of a calibration made here
};

Files files_of(Session &session, const MeasuredFlags &flags) {
  Files files;
  const std::filesystem::path folder = session.options.output;
  if (folder.empty()) {
    return files;
  }
  files.results = folder / "validate-measured.json";
  files.machine = flags.machine.empty() ? folder / "validate-machine.json" : std::filesystem::path();
  if (session.is_root() && !session.options.dry_run) {
    report::require_writable_folder(folder);
    for (const std::filesystem::path &file : {files.results, files.machine}) {
      if (!file.empty()) {
        report::require_new_file(file);
      }
    }
  }
  return files;
}

/// On every rank, so that a bad file ends them all.
machine::Machine given_machine(const MeasuredFlags &flags) {
  const machine::Machine machine = report::read_machine_file(flags.machine);
  if (machine.kind != "measured") {
    throw problem::InvalidInput(flags.machine + ": kind is '" + machine.kind +
                                "'; validate --measured needs a machine that calibrate wrote on this host");
  }
  return machine;
}

void write_documents(Session &session, const Files &files, const machine::Machine &machine, bool calibrated,
                     const Json &results, const Json &provenance) {
  if (files.results.empty()) {
    return;
  }
  if (calibrated) {
    Json document = report::machine_to_json(machine);
    document["provenance"] = provenance;
    report::write_file_exclusive(files.machine, report::write_json(document, 2) + "\n");
    session.say("wrote " + files.machine.string());
  }
  report::write_file_exclusive(files.results, report::write_json(results, 2) + "\n");
  session.say("wrote " + files.results.string());
}

} // namespace

void add_measured_flags(CLI::App &verb, MeasuredFlags &flags) {
  CLI::Option *measured = verb.add_flag("--measured", flags.measured,
                                        "Calibrates on some real rings of this job and predicts others; needs mpiexec");
  verb.add_option("--machine", flags.machine, "--measured: a machine calibrated on this host, instead of a new one")
      ->needs(measured);
  verb.add_flag("--quick", flags.quick, "--measured: small rings, few rounds; seconds instead of minutes")
      ->needs(measured);
  verb.add_option("--rounds", flags.rounds, "--measured: times that every tile and ring is measured")
      ->check(CLI::Range(1, 1000))
      ->needs(measured);
  verb.add_option(
          "--typical", flags.typical,
          "--measured: what stands for the samples of a tile or ring: median, or fastest on a host that others use")
      ->capture_default_str()
      ->check(CLI::IsMember({"median", "fastest"}))
      ->needs(measured);
  verb.add_option("--threads", flags.threads, "--measured: host threads per rank")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024))
      ->needs(measured);
}

int run_measured(Session &session, const MeasuredFlags &flags) {
  ring::Communicator &world = session.world();
  CalibrationPlan plan = validation_plan(world.size(), flags.quick);
  plan.rounds = flags.rounds > 0 ? flags.rounds : plan.rounds;
  plan.typical = flags.typical == "fastest" ? statistics::Typical::fastest : statistics::Typical::median;
  const bool calibrates = flags.machine.empty();
  const machine::Machine given = calibrates ? machine::Machine() : given_machine(flags);
  const Files files = files_of(session, flags);
  world.barrier("before a validation"); // nobody measures when the root has refused
  session.say("validate: " + std::to_string(world.size()) + " ranks, " + std::to_string(world.cores_on_node()) +
              " cores; " + (calibrates ? std::string() : "machine " + given.name + " as it stands; ") + describe(plan));
  if (session.options.dry_run) {
    return exit_valid;
  }
  session.start_kokkos(flags.threads);
  const HostLoad load(world);
  const Calibrated run = calibrates ? run_calibration(session, world, plan, default_machine_name())
                                    : Calibrated{given, run_held_out_rings(session, world, plan)};
  const double others_share = load.others_share();
  if (!session.is_root()) {
    return exit_valid;
  }
  const std::vector<simulator::HeldOutRing> rings = simulator::predict_held_out(run.machine, run.held_out);
  print_held_out(session, rings);
  std::array<char, 96> others{};
  std::snprintf(others.data(), others.size(), "other processes took %.0f %% of this host's processors meanwhile",
                100.0 * others_share);
  session.say(others.data());
  std::vector<std::string> reasons;
  for (const simulator::HeldOutRing &ring : rings) {
    if (!std::isfinite(ring.relative_error)) {
      reasons.push_back(describe(ring.measured.options.problem) + ": its error is no number");
    }
  }
  Json config = Json::object();
  config["mode"] = "measured";
  config["machine_file"] = calibrates ? files.machine.string() : flags.machine;
  config["quick"] = flags.quick;
  config["rounds"] = plan.rounds;
  config["typical"] = flags.typical;
  config["fitted_rings"] = run.machine.hold_out.size();
  config["fitted_median_relative_error"] = run.machine.hold_out_median_relative_error;
  config["others_processor_share"] = std::isfinite(others_share) ? Json(others_share) : Json(nullptr);
  config["summary"] = held_out_summary(rings);
  const Json provenance = session.run_provenance();
  const bool valid = reasons.empty();
  const Json results = report::results_document("validate", config, held_out_rows(run.machine, rings),
                                                valid ? "valid" : "invalid", reasons, provenance);
  write_documents(session, files, run.machine, calibrates, results, provenance);
  session.say(valid ? "verdict valid: every ring was measured and predicted" : "verdict invalid: " + reasons.front());
  session.print_document(results);
  return valid ? exit_valid : exit_invalid;
}

} // namespace ringscale::drivers
