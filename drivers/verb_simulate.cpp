// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "drivers/failure.hpp"
#include "drivers/session.hpp"
#include "drivers/simulate/flags.hpp"
#include "drivers/simulate/output.hpp"
#include "drivers/simulate/output_targets.hpp"
#include "drivers/trace_flags.hpp"
#include "problem/invalid_input.hpp"
#include "report/output_file.hpp"
#include "report/results_document.hpp"
#include "simulator/goal_schedule.hpp"
#include "simulator/simulation.hpp"
#include "simulator/smpi_trace.hpp"
#include "sweep/rows.hpp"
#include "sweep/simulator_processes.hpp"

namespace ringscale::drivers {

namespace {

using report::Json;

/// Files of machines as typed, in one line.
std::string machine_files(const SimulateFlags &flags) {
  std::string files;
  for (const std::string &file : flags.machines) {
    files += (files.empty() ? "" : ",") + file;
  }
  return files;
}

int run(Session &session, SimulateFlags &flags) {
  refuse_document_of_dry_run(session);
  const machine::Fleet fleet = resolve(flags, session.options.seed);
  std::optional<sweep::SimulatorProcesses> processes;
  if (session.world_size() > 1) {
    processes.emplace(session.world());
    const int share = session.world().cores_on_node() / session.world().ranks_on_node();
    flags.options.threads = flags.options.threads > 0 ? flags.options.threads : std::max(1, share);
  }
  if (!session.is_root()) {
    if (!session.options.dry_run) {
      simulator::help_simulate(fleet, flags.options, *processes);
    }
    return exit_valid;
  }
  std::string point = "simulate-" + fleet.name() + "-" + std::to_string(flags.ring_size);
  std::replace(point.begin(), point.end(), ':', '-'); // it names a file
  const std::filesystem::path folder = session.options.output;
  require_output_targets(flags, folder, point + ".json");
  if (!flags.trace_folder.empty()) {
    simulator::require_smpi_ring_size(flags.ring_size);
  }
  const auto &attention = flags.options.problem.attention;
  session.say("simulate: " + std::to_string(flags.ring_size) + " devices of " + fleet.name() + ", " +
              std::to_string(attention.tokens) + " tokens, " + std::to_string(attention.query_heads) + " x " +
              std::to_string(attention.head_dim) + " heads (" + std::to_string(attention.kv_heads) +
              " key/value), mask " + flags.mask + ", " + flags.placement + " " + flags.schedule + ", " + flags.pass +
              ", moving " + flags.moving + ", hops " + flags.hops + ", pattern " + flags.pattern.kind +
              ", speed spread " + shown(flags.options.speed_spread, "") + "jitter " + flags.settings.jitter + " seed " +
              std::to_string(flags.options.seed));
  if (session.options.dry_run) {
    return exit_valid;
  }
  // Whatever can be refused comes first: a run that is refused leaves no file of it behind.
  const std::string goal = flags.goal_file.empty() ? "" : simulator::goal_schedule(fleet, flags.options);
  const simulator::Simulation result = simulator::simulate(fleet, flags.options, processes ? &*processes : nullptr);
  const TraceText trace = flags.trace.asked_for() ? simulated_trace(session, flags.trace, fleet, machine_files(flags),
                                                                    flags.options, result)
                                                  : TraceText();
  if (!folder.empty()) {
    report::require_writable_folder(folder);
  }
  if (!flags.goal_file.empty()) {
    report::write_file_exclusive(flags.goal_file, goal);
    session.say("wrote " + flags.goal_file);
  }
  if (!flags.trace_folder.empty()) {
    const std::string command = simulator::write_smpi_trace(fleet, flags.options, flags.trace_folder);
    session.say("wrote " + flags.trace_folder + "; replay: " + command);
  }
  if (flags.trace.asked_for()) {
    write_trace(session, flags.trace, trace);
  }
  Json rows = Json::array();
  rows.push_back(sweep::simulation_row(point, fleet, flags.options, result));
  Json config = Json::object();
  config["machine_file"] = flags.machines.size() == 1 ? Json(flags.machines[0]) : Json(flags.machines);
  config["threads"] = flags.options.threads;
  config["engine"] = flags.settings.engine;
  if (!flags.settings.chunk_weights.empty()) {
    config["chunk_weights"] = flags.settings.chunk_weights;
  }
  const Json document = report::results_document("simulate", config, rows, "valid", {}, session.run_provenance());
  print_table(session, fleet, flags.options, result);
  if (flags.explain) {
    print_explanation(session, result);
  }
  if (!folder.empty()) {
    const std::filesystem::path file = folder / (point + ".json");
    report::write_file_exclusive(file, report::write_json(document, 2) + "\n");
    session.say("wrote " + file.string());
  }
  session.print_document(document);
  return exit_valid;
}

} // namespace

void add_simulate_verb(CLI::App &program, Session &session) {
  auto flags = std::make_shared<SimulateFlags>();
  CLI::App *verb = program.add_subcommand("simulate", "A virtual ring of any size from a machine file");
  add_simulate_flags(*verb, *flags);
  add_common_flags(*verb, session, {CommonFlag::json, CommonFlag::dry_run, CommonFlag::output, CommonFlag::seed});
  verb->callback([flags, &session] { session.action = [flags, &session] { return run(session, *flags); }; });
}

} // namespace ringscale::drivers
