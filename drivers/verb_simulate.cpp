// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "drivers/failure.hpp"
#include "drivers/flag_checks.hpp"
#include "drivers/pattern_flags.hpp"
#include "drivers/session.hpp"
#include "drivers/simulator_processes.hpp"
#include "problem/invalid_input.hpp"
#include "report/machine_document.hpp"
#include "report/output_file.hpp"
#include "report/results_document.hpp"
#include "simulator/simulation.hpp"
#include "simulator/smpi_trace.hpp"
#include "sweep/rows.hpp"

namespace ringscale::drivers {

namespace {

using problem::InvalidInput;
using report::Json;

struct SimulateFlags {
  std::string machine;
  std::int64_t ring_size = 1;
  std::int64_t chunk_tokens = 0;
  std::int64_t tokens = 0;
  std::int64_t kv_heads = 0;
  std::string mask = "none";
  std::string placement = "contiguous";
  std::string schedule = "ring";
  std::int64_t inner_ring_size = 0; ///< 0: not given
  std::string moving = "key_value";
  std::string pass = "forward";
  std::string hops = "all";
  std::string message_layout = "stored_packed";
  std::vector<double> chunk_weights;
  PatternFlags pattern;
  std::string engine = "automatic";
  std::string trace_folder;
  bool explain = false;
  simulator::SimulationOptions options;
};

simulator::Engine parse_engine(const std::string &word) {
  for (const auto &[name, engine] :
       {std::pair{"automatic", simulator::Engine::automatic}, std::pair{"plain", simulator::Engine::plain},
        std::pair{"blocked", simulator::Engine::blocked}, std::pair{"folded", simulator::Engine::folded},
        std::pair{"plan", simulator::Engine::plan}}) {
    if (word == name) {
      return engine;
    }
  }
  throw InvalidInput("engine '" + word + "' is unknown; one of: automatic, plain, blocked, folded, plan");
}

/// Everything of the schedule but the shape of attention.
void resolve_schedule(SimulateFlags &flags) {
  schedule::RingProblem &problem = flags.options.problem;
  problem.placement = schedule::parse_placement(flags.placement);
  problem.schedule = schedule::parse_schedule(flags.schedule);
  problem.moving = schedule::parse_moving(flags.moving);
  problem.pass = schedule::parse_pass(flags.pass);
  problem.hops = schedule::parse_hops(flags.hops);
  problem.layout = schedule::parse_message_layout(flags.message_layout);
  problem.pattern = resolve(flags.pattern);
  problem.ring_size = flags.ring_size;
  const bool inner_rings = problem.schedule == schedule::Schedule::double_ring;
  if (inner_rings != (flags.inner_ring_size > 0)) {
    throw InvalidInput(inner_rings ? "--schedule double_ring needs --inner-ring-size, the ranks of an inner ring"
                                   : "--inner-ring-size has no effect without --schedule double_ring");
  }
  problem.inner_ring_size = inner_rings ? flags.inner_ring_size : 1;
  if (!flags.chunk_weights.empty()) {
    problem.chunks = schedule::weighted_chunks(flags.chunk_weights, schedule::chunk_shape(problem).granule_tokens);
  }
}

void resolve(SimulateFlags &flags, const Session &session) {
  problem::AttentionProblem &attention = flags.options.problem.attention;
  if ((flags.chunk_tokens > 0) == (flags.tokens > 0)) {
    throw InvalidInput(flags.tokens > 0 ? "--tokens and --chunk-tokens exclude each other"
                                        : "one of --tokens and --chunk-tokens must be given, above 0");
  }
  constexpr std::int64_t most_devices = std::int64_t{1} << 40;
  if (flags.ring_size < 1 || flags.ring_size > most_devices) {
    throw InvalidInput("ring_size is " + std::to_string(flags.ring_size) + "; it must be between 1 and 2^40");
  }
  if (flags.chunk_tokens > (std::int64_t{1} << 50) / flags.ring_size) {
    throw InvalidInput("ring_size x chunk_tokens is above 2^50 tokens; make one of them smaller");
  }
  attention.tokens = flags.tokens > 0 ? flags.tokens : flags.chunk_tokens * flags.ring_size;
  attention.kv_heads = flags.kv_heads > 0 ? flags.kv_heads : attention.query_heads;
  attention.mask = problem::parse_mask(flags.mask);
  resolve_schedule(flags);
  flags.options.seed = session.options.seed;
  flags.options.engine = parse_engine(flags.engine);
  simulator::validate(flags.options);
}

std::string shown(double value, const char *unit) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.6g %s", value, unit);
  return text.data();
}

void print_table(Session &session, const machine::Machine &machine, const simulator::Simulation &result) {
  session.say("time              " + shown(result.time_s, "s  simulated on ") + machine.name + " (" + machine.kind +
              ", " + result.dtype + ")");
  session.say("throughput        " + shown(result.tokens_per_s, "tokens/s in all, ") +
              shown(result.tokens_per_s_per_device, "tokens/s per device"));
  session.say("efficiency        " +
              shown(100.0 * result.efficiency, "% of the time of the average device is work; bound by ") +
              result.bound);
  session.say("memory per device " + shown(static_cast<double>(result.memory_peak_bytes) / 1e9, "GB of ") +
              shown(static_cast<double>(result.device_memory_bytes) / 1e9, "GB") +
              (result.fits_memory ? "" : ": does not fit"));
  session.say("devices finish    " + shown(result.finish.p0_s, "s first, ") + shown(result.finish.p50_s, "s median, ") +
              shown(result.finish.p100_s, "s last"));
  if (result.hold_out_points > 0) {
    session.say("error             " + shown(100.0 * result.hold_out_median_relative_error, "% median on ") +
                std::to_string(result.hold_out_points) + " real rings left out of the fit");
  } else {
    session.say("error             unknown: this machine file was written from published numbers, not calibrated");
  }
  if (result.extrapolated) {
    session.say("extrapolated      " + result.extrapolation);
  }
  if (result.result_hops > 0.0) {
    session.say("results           " + shown(result.result_hops, "messages of up to ") +
                shown(result.result_hop_bytes, "bytes, times of ") + result.time_source);
  }
  session.say("simulator         " + shown(result.hops, "hops in ") + shown(result.wall_s, "s, ") + result.engine +
              " engine");
}

void explain(Session &session, const simulator::Breakdown &part) {
  session.say("slowest device    rank " + std::to_string(part.rank));
  const auto line = [&](const char *name, double seconds) {
    std::array<char, 96> text{};
    std::snprintf(text.data(), text.size(), "  %-26s %14.6g s  %6.2f %%", name, seconds,
                  100.0 * seconds / part.total_s);
    session.say(text.data());
  };
  line("compute", part.compute_s);
  line("merge", part.merge_s);
  line("fixed per step", part.fixed_s);
  line("exposed communication", part.exposed_communication_s);
  line("waiting for neighbours", part.waiting_s);
  line("total", part.total_s);
}

int run(Session &session, SimulateFlags &flags) {
  resolve(flags, session);
  const machine::Machine machine = report::read_machine_file(flags.machine);
  std::optional<SimulatorProcesses> processes;
  if (session.world_size() > 1) {
    processes.emplace(session.world());
    const int share = session.world().cores_on_node() / session.world().ranks_on_node();
    flags.options.threads = flags.options.threads > 0 ? flags.options.threads : std::max(1, share);
  }
  if (!session.is_root()) {
    if (!session.options.dry_run) {
      simulator::help_simulate(machine, flags.options, *processes);
    }
    return exit_valid;
  }
  const auto &attention = flags.options.problem.attention;
  session.say("simulate: " + std::to_string(flags.ring_size) + " devices of " + machine.name + ", " +
              std::to_string(attention.tokens) + " tokens, " + std::to_string(attention.query_heads) + " x " +
              std::to_string(attention.head_dim) + " heads (" + std::to_string(attention.kv_heads) +
              " key/value), mask " + flags.mask + ", " + flags.placement + " " + flags.schedule + ", " + flags.pass +
              ", moving " + flags.moving + ", hops " + flags.hops + ", pattern " + flags.pattern.kind +
              ", speed spread " + shown(flags.options.speed_spread, "") + "jitter " + shown(flags.options.jitter, "") +
              "seed " + std::to_string(flags.options.seed));
  if (session.options.dry_run) {
    return exit_valid;
  }
  const std::filesystem::path folder = session.options.output;
  if (!folder.empty()) {
    report::require_writable_folder(folder);
  }
  if (!flags.trace_folder.empty()) {
    const std::string command = simulator::write_smpi_trace(machine, flags.options, flags.trace_folder);
    session.say("wrote " + flags.trace_folder + "; replay: " + command);
  }
  const simulator::Simulation result = simulator::simulate(machine, flags.options, processes ? &*processes : nullptr);
  const std::string point = "simulate-" + machine.name + "-" + std::to_string(flags.ring_size);
  Json rows = Json::array();
  rows.push_back(sweep::simulation_row(point, machine, flags.options, result));
  Json config = Json::object();
  config["machine_file"] = flags.machine;
  config["threads"] = flags.options.threads;
  config["engine"] = flags.engine;
  if (!flags.chunk_weights.empty()) {
    config["chunk_weights"] = flags.chunk_weights;
  }
  const Json document = report::results_document("simulate", config, rows, "valid", {}, session.run_provenance());
  print_table(session, machine, result);
  if (flags.explain) {
    explain(session, result.slowest);
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
  simulator::SimulationOptions &options = flags->options;
  CLI::App *verb = program.add_subcommand("simulate", "A virtual ring of any size from a machine file");
  verb->add_option("--machine", flags->machine, "Machine file: written by calibrate, or one of experiments/machines")
      ->required();
  verb->add_option("--ring-size", flags->ring_size, "Devices in the ring")->required();
  verb->add_option("--chunk-tokens", flags->chunk_tokens, "Tokens per device");
  verb->add_option("--tokens", flags->tokens, "Tokens in all, instead of --chunk-tokens");
  verb->add_option("--batch", options.problem.attention.batch, "Batch entries")->capture_default_str();
  verb->add_option("--query-heads", options.problem.attention.query_heads, "Query heads")->capture_default_str();
  verb->add_option("--kv-heads", flags->kv_heads, "Key/value heads; default: as many as query heads");
  verb->add_option("--head-dim", options.problem.attention.head_dim, "Width of a head")->capture_default_str();
  verb->add_option("--mask", flags->mask, "none or causal")->capture_default_str();
  verb->add_option("--placement", flags->placement, "contiguous, zigzag, striped or replicated_queries")
      ->capture_default_str();
  verb->add_option("--schedule", flags->schedule, "ring, bidirectional_ring, double_ring, all_gather or local_only")
      ->capture_default_str();
  verb->add_option("--inner-ring-size", flags->inner_ring_size, "double_ring: ranks of an inner ring, such as a node")
      ->check(at_least_one);
  verb->add_option("--moving", flags->moving, "key_value, or query with partial results behind")->capture_default_str();
  verb->add_option("--pass", flags->pass, "forward or backward")->capture_default_str();
  verb->add_option("--hops", flags->hops, "all, or needed: a block stops at the last rank that admits one of its pairs")
      ->capture_default_str();
  verb->add_option("--message-layout", flags->message_layout,
                   "stored_packed, separate (keys and values each) or copied (before every hop)")
      ->capture_default_str();
  verb->add_option("--chunk-weights", flags->chunk_weights, "Tokens of devices in proportion, one number a device")
      ->delimiter(',');
  verb->add_option("--device-speeds", options.device_speeds,
                   "Speeds of devices relative to the machine's, one number a device")
      ->delimiter(',');
  add_pattern_flags(*verb, flags->pattern, "Pattern");
  verb->add_option("--dtype", options.dtype, "Element type of a published machine; default: its first");
  verb->add_option("--speed-spread", options.speed_spread,
                   "Standard deviation of the logarithm of a device's time factor")
      ->capture_default_str();
  verb->add_option("--jitter", options.jitter, "Relative standard deviation of one step's work")->capture_default_str();
  verb->add_option("--ranks-on-node", options.ranks_on_node,
                   "Ranks that share the calibrated node's cores; 0: a core for every device")
      ->capture_default_str();
  verb->add_option("--threads", options.threads, "Threads of the simulator; 0: all cores")->capture_default_str();
  verb->add_option("--engine", flags->engine,
                   "automatic, plain, blocked, folded (forward rings) or plan (any schedule)")
      ->capture_default_str();
  verb->add_option("--tick-bits", options.tick_bits, "A tick is the longest step / 2^N; 0 chooses")
      ->capture_default_str();
  verb->add_flag("--explain", flags->explain, "Where the time of the slowest device went");
  verb->add_option("--emit-trace", flags->trace_folder,
                   "New folder for time-independent traces that SimGrid's smpirun replays (up to 4096 devices)");
  add_common_flags(*verb, session, {CommonFlag::json, CommonFlag::dry_run, CommonFlag::output, CommonFlag::seed});
  verb->callback([flags, &session] { session.action = [flags, &session] { return run(session, *flags); }; });
}

} // namespace ringscale::drivers
