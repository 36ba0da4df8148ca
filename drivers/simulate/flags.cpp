// SPDX-License-Identifier: Apache-2.0
#include "drivers/simulate/flags.hpp"

#include <CLI/CLI.hpp>

#include <utility>

#include "drivers/flag_checks.hpp"
#include "drivers/list_flags.hpp"
#include "drivers/simulate/machine_flags.hpp"
#include "problem/invalid_input.hpp"
#include "simulator/chunk_balance.hpp"

namespace ringscale::drivers {

using problem::InvalidInput;

namespace {

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
}

/// Chunks in proportion to listed weights or to the speeds of the devices.
void resolve_chunks(SimulateFlags &flags, const machine::Fleet &fleet) {
  schedule::RingProblem &problem = flags.options.problem;
  if (flags.balance_chunks) {
    if (!flags.chunk_weights.empty()) {
      throw InvalidInput("--balance-chunks and --chunk-weights exclude each other");
    }
    flags.chunk_weights = simulator::chunk_weights_by_speed(fleet, flags.options);
  }
  if (!flags.chunk_weights.empty()) {
    problem.chunks = schedule::weighted_chunks(flags.chunk_weights, schedule::chunk_shape(problem).granule_tokens);
  }
}

/// Flags that would change nothing on these devices.
void require_effects(const SimulateFlags &flags, const machine::Fleet &fleet) {
  bool fail = flags.options.failures.device_mtbf_s.has_value();
  bool share_cores = false;
  for (std::size_t type = 0; type < fleet.types(); ++type) {
    fail = fail || fleet.machine(type).failures.has_value();
    share_cores = share_cores || fleet.machine(type).core_sharing.cores > 0;
  }
  if (flags.failures.trials_given && !fail) {
    throw InvalidInput("--failure-trials has no effect on devices that never fail: give --device-mtbf, or failures in "
                       "the machine file");
  }
  if (flags.balance_chunks && flags.chunk_weights.empty() && fleet.types() == 1 &&
      flags.options.device_speeds.empty()) {
    throw InvalidInput("--balance-chunks has no effect on devices of one type and speed; name several types in "
                       "--machine, or speeds in --device-speeds");
  }
  if (flags.options.ranks_on_node > 0 && !share_cores) {
    throw InvalidInput("--ranks-on-node has no effect: " + fleet.name() +
                       " does not say what ranks that share cores take (core_sharing, which calibrate measures)");
  }
}

/// What differs between devices and steps.
void resolve_variation(SimulateFlags &flags) {
  simulator::SimulationOptions &options = flags.options;
  options.measured_jitter = flags.jitter == "measured";
  if (!options.measured_jitter && !CLI::detail::lexical_cast(flags.jitter, options.jitter)) {
    throw InvalidInput("--jitter is '" + flags.jitter + "'; it must be a number from 0 to 0.25, or measured");
  }
  if (!flags.stragglers.empty()) {
    const Stragglers stragglers = parse_stragglers(flags.stragglers);
    options.straggler_share = stragglers.share;
    options.straggler_factor = stragglers.factor;
  }
}

} // namespace

machine::Fleet resolve(SimulateFlags &flags, std::uint64_t seed) {
  problem::AttentionProblem &attention = flags.options.problem.attention;
  if ((flags.chunk_tokens > 0) == (flags.tokens > 0)) {
    throw InvalidInput(flags.tokens > 0 ? "--tokens and --chunk-tokens exclude each other"
                                        : "one of --tokens and --chunk-tokens must be given, above 0");
  }
  constexpr std::int64_t most_devices = std::int64_t{1} << 40;
  if (flags.ring_size_given && (flags.ring_size < 1 || flags.ring_size > most_devices)) {
    throw InvalidInput("ring_size is " + std::to_string(flags.ring_size) + "; it must be between 1 and 2^40");
  }
  flags.machines = machine_entries(flags.machines);
  machine::Fleet fleet = read_fleet(flags.machines, flags.ring_size);
  flags.ring_size = fleet.devices();
  if (flags.chunk_tokens > (std::int64_t{1} << 50) / flags.ring_size) {
    throw InvalidInput("ring_size x chunk_tokens is above 2^50 tokens; make one of them smaller");
  }
  attention.tokens = flags.tokens > 0 ? flags.tokens : flags.chunk_tokens * flags.ring_size;
  attention.kv_heads = flags.kv_heads > 0 ? flags.kv_heads : attention.query_heads;
  attention.mask = problem::parse_mask(flags.mask);
  resolve_schedule(flags);
  flags.options.seed = seed;
  flags.options.engine = parse_engine(flags.engine);
  flags.options.failures = failure_options(flags.failures);
  resolve_variation(flags);
  require_effects(flags, fleet);
  resolve_chunks(flags, fleet);
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
  add_list_option(verb, "--chunk-weights", flags.chunk_weights, "Tokens of devices in proportion, one number a device");
  add_list_option(verb, "--device-speeds", options.device_speeds,
                  "Speeds of devices relative to the machine's, one number a device");
  verb.add_flag("--balance-chunks", flags.balance_chunks, "Tokens of devices in proportion to their types' speeds");
  add_pattern_flags(verb, flags.pattern, "Pattern");
  verb.add_option("--dtype", options.dtype, "Element type of a published machine; default: its first");
  verb.add_option("--speed-spread", options.speed_spread,
                  "Standard deviation of the logarithm of a device's time factor")
      ->capture_default_str();
  verb.add_option("--jitter", flags.jitter,
                  "Relative standard deviation of one step's work, or measured: drawn from the machine's quantiles")
      ->capture_default_str();
  verb.add_option("--stragglers", flags.stragglers,
                  "SHARE:FACTOR, such as 0.01:1.5: that share of devices is so much slower");
  verb.add_option("--tile-speedup", options.tile_speedup, "What-if: tiles this many times faster than the machine's")
      ->capture_default_str();
  verb.add_option("--ranks-on-node", options.ranks_on_node,
                  "Ranks that share the calibrated node's cores; 0: a core for every device")
      ->capture_default_str();
  verb.add_option("--threads", options.threads, "Threads of the simulator; 0: all cores")->capture_default_str();
  verb.add_option("--engine", flags.engine, "automatic, plain, blocked, folded (forward rings) or plan (any schedule)")
      ->capture_default_str();
  verb.add_option("--tick-bits", options.tick_bits, "A tick is the longest step / 2^N; 0 chooses")
      ->capture_default_str();
  verb.add_flag("--explain", flags.explain, "Where the time of the slowest device went");
  verb.add_option("--emit-trace", flags.trace_folder,
                  "New folder for time-independent traces that SimGrid's smpirun replays (up to 4096 devices)")
      ->check(named);
  verb.add_option("--emit-goal", flags.goal_file,
                  "New file for the schedule in GOAL, the text that LogGOPSim reads (up to 1e6 steps of devices)")
      ->check(named);
  add_trace_flags(verb, flags.trace, "what the simulated ranks do when");
  add_failure_flags(verb, flags.failures);
}

} // namespace ringscale::drivers
