// SPDX-License-Identifier: Apache-2.0
#include "drivers/simulate/flags.hpp"

#include <CLI/CLI.hpp>

#include <optional>
#include <utility>

#include "drivers/flag_checks.hpp"
#include "drivers/list_flags.hpp"
#include "problem/invalid_input.hpp"
#include "report/machine_document.hpp"
#include "sweep/device_groups.hpp"

namespace ringscale::drivers {

using problem::InvalidInput;

namespace {

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
}

machine::Fleet read_fleet(const std::vector<sweep::DeviceGroupFile> &files) {
  std::vector<machine::DeviceGroup> groups;
  for (const sweep::DeviceGroupFile &group : files) {
    groups.push_back({report::read_machine_file(group.file), group.devices});
  }
  return machine::Fleet(std::move(groups));
}

/// Adds the flags of a list of settings, each by the type of its member.
class FlagAdder {
public:
  explicit FlagAdder(CLI::App &verb) : verb_(verb) {}

  void operator()(const sweep::SettingName &name, bool &value) const { verb_.add_flag(name.flag, value, name.help); }
  template <class Value> void operator()(const sweep::SettingName &name, Value &value) const {
    finish(name, verb_.add_option(name.flag, value, name.help)->capture_default_str());
  }
  template <class Value> void operator()(const sweep::SettingName &name, std::optional<Value> &value) const {
    finish(name, verb_.add_option(name.flag, value, name.help));
  }
  void operator()(const sweep::SettingName &name, std::string &value) const {
    CLI::Option *option = verb_.add_option(name.flag, value, name.help);
    finish(name, value.empty() ? option : option->capture_default_str());
  }
  void operator()(const sweep::SettingName &name, std::vector<double> &values) const {
    finish(name, add_list_option(verb_, name.flag, values, name.help));
  }

private:
  static void finish(const sweep::SettingName &name, CLI::Option *option) {
    if (*name.group != '\0') {
      option->group(name.group);
    }
    if (name.low == 1.0) {
      option->check(at_least_one);
    }
  }

  CLI::App &verb_;
};

} // namespace

machine::Fleet resolve(SimulateFlags &flags, std::uint64_t seed) {
  problem::AttentionProblem &attention = flags.options.problem.attention;
  if (flags.chunk_tokens < 0 || flags.tokens < 0 || (flags.chunk_tokens > 0) == (flags.tokens > 0)) {
    throw InvalidInput(flags.chunk_tokens > 0 && flags.tokens > 0
                           ? "--tokens and --chunk-tokens exclude each other"
                           : "one of --tokens and --chunk-tokens must be given, above 0");
  }
  constexpr std::int64_t most_devices = std::int64_t{1} << 40;
  if (flags.ring_size_given && (flags.ring_size < 1 || flags.ring_size > most_devices)) {
    throw InvalidInput("ring_size is " + std::to_string(flags.ring_size) + "; it must be between 1 and 2^40");
  }
  flags.machines = sweep::machine_entries(flags.machines);
  machine::Fleet fleet = read_fleet(sweep::device_groups(flags.machines, flags.ring_size, "--machine", "--ring-size"));
  flags.ring_size = fleet.devices();
  if (flags.chunk_tokens > (std::int64_t{1} << 50) / flags.ring_size) {
    throw InvalidInput("ring_size x chunk_tokens is above 2^50 tokens; make one of them smaller");
  }
  attention.tokens = flags.tokens > 0 ? flags.tokens : flags.chunk_tokens * flags.ring_size;
  attention.kv_heads = flags.kv_heads > 0 ? flags.kv_heads : attention.query_heads;
  attention.mask = problem::parse_mask(flags.mask);
  resolve_schedule(flags);
  flags.options.seed = seed;
  sweep::apply(flags.settings, sweep::Spelling::flags, flags.options);
  sweep::apply_to_devices(flags.settings, sweep::Spelling::flags, fleet, flags.options);
  simulator::validate(flags.options);
  selection_of(flags.trace, flags.ring_size, simulated_steps(flags.options.problem));
  return fleet;
}

void add_simulate_flags(CLI::App &verb, SimulateFlags &flags) {
  simulator::SimulationOptions &options = flags.options;
  verb.add_option(
          "--machine", flags.machines,
          "Machine file: written by calibrate, or one of experiments/machines; several as FILE:COUNT,FILE:COUNT "
          "make a ring of several types of devices, in this order")
      ->required();
  verb.add_option("--ring-size", flags.ring_size,
                  "Devices in the ring; default: those that --machine FILE:COUNT counts")
      ->each([&flags](const std::string &) { flags.ring_size_given = true; });
  verb.add_option("--chunk-tokens", flags.chunk_tokens, "Tokens per device");
  verb.add_option("--tokens", flags.tokens, "Tokens in all, instead of --chunk-tokens");
  verb.add_option("--batch", options.problem.attention.batch, "Batch entries")->capture_default_str();
  verb.add_option("--query-heads", options.problem.attention.query_heads, "Query heads")->capture_default_str();
  verb.add_option("--kv-heads", flags.kv_heads, "Key/value heads; default: as many as query heads")
      ->check(at_least_one);
  verb.add_option("--head-dim", options.problem.attention.head_dim, "Width of a head")->capture_default_str();
  verb.add_option("--mask", flags.mask, "none or causal")->capture_default_str();
  verb.add_option("--placement", flags.placement, "contiguous, zigzag, striped or replicated_queries")
      ->capture_default_str();
  verb.add_option("--schedule", flags.schedule, "ring, bidirectional_ring, double_ring, all_gather or local_only")
      ->capture_default_str();
  verb.add_option("--inner-ring-size", flags.inner_ring_size, "double_ring: ranks of an inner ring, such as a node")
      ->check(at_least_one);
  verb.add_option("--moving", flags.moving, "key_value, or query with partial results behind")->capture_default_str();
  verb.add_option("--pass", flags.pass, "forward or backward")->capture_default_str();
  verb.add_option("--hops", flags.hops, "all, or needed: a block stops at the last rank that admits one of its pairs")
      ->capture_default_str();
  verb.add_option("--message-layout", flags.message_layout,
                  "stored_packed, separate (keys and values each) or copied (before every hop)")
      ->capture_default_str();
  add_pattern_flags(verb, flags.pattern, "Pattern");
  verb.add_option("--dtype", options.dtype, "Element type of a published machine; default: its first");
  verb.add_option("--threads", options.threads, "Threads of the simulator; 0: all cores")->capture_default_str();
  sweep::visit_settings(flags.settings, FlagAdder(verb));
  verb.add_flag("--explain", flags.explain, "Where the time of the slowest device went");
  verb.add_option("--emit-trace", flags.trace_folder,
                  "New folder for time-independent traces that SimGrid's smpirun replays (up to 4096 devices)")
      ->check(named);
  verb.add_option("--emit-goal", flags.goal_file,
                  "New file for the schedule in GOAL, the text that LogGOPSim reads (up to 1e6 steps of devices)")
      ->check(named);
  add_trace_flags(verb, flags.trace, "what the simulated ranks do when");
}

} // namespace ringscale::drivers
