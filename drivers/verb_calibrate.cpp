// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include <Kokkos_Core.hpp>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "drivers/calibration_run.hpp"
#include "drivers/failure.hpp"
#include "drivers/session.hpp"
#include "problem/invalid_input.hpp"
#include "report/machine_document.hpp"
#include "report/output_file.hpp"
#include "report/results_document.hpp"
#include "ring/communicator.hpp"
#include "statistics/summary.hpp"

namespace ringscale::drivers {

namespace {

using problem::InvalidInput;
using report::Json;

struct CalibrateFlags {
  std::string name;
  bool quick = false;
  int threads = 1;
};

Json communication_row(const machine::MessageSample &sample) {
  const statistics::Interval interval = statistics::median_interval(sample.samples_s);
  Json row = Json::object();
  row["kind"] = "measured";
  row["verb"] = "calibrate";
  row["point"] = sample.pattern + "-" + std::to_string(sample.ranks) + "-" + std::to_string(sample.messages) + "x-" +
                 std::to_string(sample.message_bytes);
  row["pattern"] = sample.pattern;
  row["ranks"] = sample.ranks;
  row["messages"] = sample.messages;
  row["message_bytes"] = sample.message_bytes;
  row["time_s"] = sample.time_s;
  row["time_s_interval"] = {{"low", interval.low}, {"high", interval.high}, {"confidence", interval.confidence}};
  row["samples_s"] = sample.samples_s;
  return row;
}

std::string percent(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f %%", 100.0 * share);
  return text.data();
}

void print_summary(Session &session, const machine::Machine &machine) {
  for (const machine::HoldOut &point : machine.hold_out) {
    std::array<char, 160> line{};
    std::snprintf(line.data(), line.size(),
                  "  P=%-3lld %7lld tokens %-6s %-11s %s measured %.4g s, predicted %.4g s, %+.1f %%",
                  static_cast<long long>(point.ring_size), static_cast<long long>(point.tokens), point.mask.c_str(),
                  point.placement.c_str(), point.shares_cores ? "shared cores," : "own cores,   ", point.measured_s,
                  point.predicted_s, 100.0 * point.relative_error);
    session.say(line.data());
  }
  session.say("rings left out of the fit: median error " + percent(machine.hold_out_median_relative_error) +
              ", largest " + percent(machine.hold_out_max_relative_error) + " over " +
              std::to_string(machine.hold_out.size()) + " rings");
}

int run(Session &session, const CalibrateFlags &flags) {
  refuse_document_of_dry_run(session);
  const std::filesystem::path folder = session.options.output.empty() ? "machines" : session.options.output;
  ring::Communicator &world = session.world();
  const std::string name = flags.name.empty() ? default_machine_name() : flags.name;
  if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
          std::string::npos ||
      name.starts_with('.')) {
    throw InvalidInput("--name '" + name + "' is no file name; use letters, digits, '-', '_' and '.'");
  }
  const std::filesystem::path machine_file = folder / (name + ".json");
  const std::filesystem::path rows_file = folder / (name + "-rows.json");
  if (session.is_root()) {
    for (const std::filesystem::path &file : {machine_file, rows_file}) {
      if (std::filesystem::exists(file)) {
        throw InvalidInput(file.string() + " exists already; give another --name or --output");
      }
    }
    if (!session.options.dry_run) {
      std::error_code error;
      std::filesystem::create_directories(folder, error);
      report::require_writable_folder(folder);
    }
  }
  world.barrier("before calibration"); // nobody measures when the root has refused
  const CalibrationPlan plan = calibration_plan(world.size(), flags.quick);
  session.say("calibrate: machine " + name + " on " + std::to_string(world.size()) + " ranks, " +
              std::to_string(world.cores_on_node()) + " cores; " + describe(plan));
  if (session.options.dry_run) {
    return exit_valid;
  }
  session.start_kokkos(flags.threads);
  const auto begin = std::chrono::steady_clock::now();
  const machine::Machine machine = run_calibration(session, world, plan, name).machine;
  if (!session.is_root()) {
    return exit_valid;
  }
  const double wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  print_summary(session, machine);
  const Json provenance = session.run_provenance();
  Json document = report::machine_to_json(machine);
  document["provenance"] = provenance;
  Json rows = Json::array();
  for (const machine::MessageSample &sample : machine.messages) {
    rows.push_back(communication_row(sample));
  }
  Json config = Json::object();
  config["machine_file"] = machine_file.string();
  config["quick"] = flags.quick;
  config["wall_s"] = wall_s;
  config["hold_out_median_relative_error"] = machine.hold_out_median_relative_error;
  config["hold_out_max_relative_error"] = machine.hold_out_max_relative_error;
  const Json results = report::results_document("calibrate", config, rows, "valid", {}, provenance);
  report::write_file_exclusive(machine_file, report::write_json(document, 2) + "\n");
  report::write_file_exclusive(rows_file, report::write_json(results, 2) + "\n");
  session.say("wrote " + machine_file.string() + " and " + rows_file.string());
  session.print_document(results);
  return exit_valid;
}

} // namespace

void add_calibrate_verb(CLI::App &program, Session &session) {
  auto flags = std::make_shared<CalibrateFlags>();
  CLI::App *verb = program.add_subcommand(
      "calibrate", "Measures tiles, merges, links, overlap and small rings on this job; writes a machine file");
  verb->add_option("--name", flags->name, "Name of the machine; default: the host's");
  verb->add_flag("--quick", flags->quick, "Fewer sizes and repetitions: about a minute on two cores");
  verb->add_option("--threads", flags->threads, "Host threads per rank")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  add_common_flags(*verb, session, {CommonFlag::json, CommonFlag::dry_run, CommonFlag::output});
  verb->callback([flags, &session] { session.action = [flags, &session] { return run(session, *flags); }; });
}

} // namespace ringscale::drivers
