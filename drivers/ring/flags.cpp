// SPDX-License-Identifier: Apache-2.0
#include "drivers/ring/flags.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>

#include "drivers/flag_checks.hpp"
#include "drivers/list_flags.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::drivers {

namespace {

void require_between(const char *flag, double value, double low, double high) {
  if (!(value >= low && value <= high)) {
    char text[160];
    std::snprintf(text, sizeof text, "%s is %g; it must be between %g and %g", flag, value, low, high);
    throw problem::InvalidInput(text);
  }
}

void add_layer_flags(CLI::App &verb, RingFlags &flags) {
  problem::AttentionProblem &attention = flags.options.problem.attention;
  verb.add_option("--tokens", attention.tokens, "Query and key tokens in all")->required();
  verb.add_option("--batch", attention.batch, "Batch entries")->capture_default_str();
  verb.add_option("--query-heads", attention.query_heads, "Query heads")->capture_default_str();
  verb.add_option("--kv-heads", flags.kv_heads, "Key/value heads; as many as query heads when not given")
      ->check(at_least_one);
  verb.add_option("--head-dim", attention.head_dim, "Elements of a head")->capture_default_str();
  verb.add_option("--mask", flags.mask, "none or causal")->capture_default_str();
  verb.add_option("--dtype", flags.dtype, "float32, or bfloat16: dense forward passes, stored and sent in two bytes")
      ->capture_default_str();
  verb.add_option("--pass", flags.pass, "forward, or backward: the gradients, timed alone")->capture_default_str();
  verb.add_option("--softmax", flags.softmax, "online, or the negative control per_chunk")->capture_default_str();
  verb.add_option("--kernel", flags.kernel, "streamed or materialised")->capture_default_str();
  add_pattern_flags(verb, flags.pattern, "Pattern");
}

void add_schedule_flags(CLI::App &verb, RingFlags &flags) {
  ring::RingOptions &options = flags.options;
  const std::string group = "Schedule";
  verb.add_option("--schedule", flags.schedule,
                  "ring, bidirectional_ring, double_ring, all_gather, ulysses (heads for tokens), or the negative "
                  "control local_only")
      ->capture_default_str()
      ->group(group);
  verb.add_option("--ring-size", flags.ring_size,
                  "Ranks of a ring; all ranks of the job that the other levels leave when not given")
      ->check(at_least_one)
      ->group(group);
  verb.add_option("--inner-ring-size", options.problem.inner_ring_size, "double_ring: ranks of an inner ring")
      ->capture_default_str()
      ->group(group);
  verb.add_option("--placement", flags.placement, "contiguous, zigzag, striped or replicated_queries")
      ->capture_default_str()
      ->group(group);
  add_list_option(verb, "--chunk-weights", flags.chunk_weights, "Chunks in proportion to these speeds, one a ring rank")
      ->group(group);
  verb.add_option("--moving", flags.moving, "What travels: key_value or query")->capture_default_str()->group(group);
  verb.add_option("--hops", flags.hops, "all, or needed: blocks stop where nobody further admits them")
      ->capture_default_str()
      ->group(group);
  const std::string levels = "Process grid: data x model x ring x sequence";
  verb.add_option("--data-size", options.grid.data, "Ranks that divide the batch")
      ->capture_default_str()
      ->check(at_least_one)
      ->group(levels);
  verb.add_option("--model-size", options.grid.model, "Ranks that divide the heads")
      ->capture_default_str()
      ->check(at_least_one)
      ->group(levels);
  verb.add_option("--sequence-size", options.grid.sequence,
                  "Ranks that divide a ring rank's tokens, and exchange heads for tokens (Ulysses)")
      ->capture_default_str()
      ->check(at_least_one)
      ->group(levels);
}

void add_message_flags(CLI::App &verb, RingFlags &flags) {
  ring::RingOptions &options = flags.options;
  const std::string group = "Messages";
  verb.add_option("--message-layout", flags.layout,
                  "stored_packed: keys and values in one message as kernels read them; separate: one message each; "
                  "copied: copied into a message buffer before each hop")
      ->capture_default_str()
      ->group(group);
  verb.add_option("--exchange", flags.exchange, "nonblocking, blocking, persistent or one_sided")
      ->capture_default_str()
      ->group(group);
  verb.add_flag("--collective", options.collective, "all_gather by MPI's collective, not by messages between pairs")
      ->group(group);
  verb.add_option("--gathering", flags.gathering, "--collective: nonblocking or blocking")
      ->capture_default_str()
      ->group(group);
  verb.add_flag("--stage-on-host", options.stage_on_host, "Copy messages through host memory")->group(group);
  verb.add_option("--deadline", options.deadline_s, "Seconds any wait for a peer may take; then exit code 124")
      ->capture_default_str()
      ->group(group);
  verb.add_flag("--no-polling", flags.no_polling, "Do not move messages on between slices of work")->group(group);
  add_limit_flags(verb, flags.limits, {LimitFlag::communication, LimitFlag::memory, LimitFlag::lower_precision});
}

/// Ulysses is a ring of one with a sequence level, so it is a word of this flag and no schedule.
schedule::Schedule parse_schedule_flag(const std::string &word) {
  if (word == "ulysses") {
    return schedule::Schedule::ring;
  }
  try {
    return schedule::parse_schedule(word);
  } catch (const problem::InvalidInput &error) {
    throw problem::InvalidInput(std::string(error.what()) + ", or ulysses");
  }
}

void resolve_grid(RingFlags &flags, std::int64_t ranks) {
  ring::RingOptions &options = flags.options;
  schedule::ProcessGrid &grid = options.grid;
  const bool ulysses = flags.schedule == "ulysses";
  if (ulysses) {
    if (flags.ring_size > 1) {
      throw problem::InvalidInput("--schedule ulysses has no ring, so --ring-size must be 1; for both, use --schedule "
                                  "ring with --sequence-size");
    }
    flags.ring_size = 1;
    grid.sequence = grid.sequence > 1 ? grid.sequence : std::max<std::int64_t>(1, ranks / (grid.data * grid.model));
  }
  const std::int64_t others = grid.data * grid.model * grid.sequence;
  if (others > ranks) {
    throw problem::InvalidInput("data x model x sequence is " + std::to_string(others) + "; this job has " +
                                std::to_string(ranks) + " ranks, start it with mpiexec -n " + std::to_string(others) +
                                " or more");
  }
  grid.ring = flags.ring_size == 0 ? ranks / others : flags.ring_size;
  if (grid.size() > ranks) {
    throw problem::InvalidInput("--ring-size is " + std::to_string(flags.ring_size) + "; this job has " +
                                std::to_string(ranks) + " ranks, start it with mpiexec -n " +
                                std::to_string(grid.size()) + " or use 'ringscale simulate'");
  }
  options.problem.ring_size = grid.ring;
}

} // namespace

void add_ring_flags(CLI::App &verb, RingFlags &flags) {
  ring::RingOptions &options = flags.options;
  add_layer_flags(verb, flags);
  add_schedule_flags(verb, flags);
  add_multihead_flags(verb, flags.multihead);
  add_message_flags(verb, flags);
  add_checkpoint_flags(verb, flags.checkpoint);
  verb.add_option("--repetitions", options.repetitions, "Timed repetitions")
      ->each([&flags](const std::string &) { flags.repetitions_given = true; })
      ->capture_default_str();
  verb.add_option("--warmup", options.warmup, "Repetitions before the timed ones")
      ->each([&flags](const std::string &) { flags.warmup_given = true; })
      ->capture_default_str();
  verb.add_option("--threads", flags.threads, "Host threads a rank; 0 shares the cores among the ranks")
      ->capture_default_str();
  verb.add_flag("--no-messages-only", flags.no_messages_only,
                "Do not time the messages alone, which the hidden fraction needs");
  verb.add_flag("--no-verify", flags.no_verify, "Do not compare with the double-precision reference");
}

namespace {

/// Flags that would change nothing, or hide that a control is wrong.
void require_effect(const RingFlags &flags) {
  const ring::RingOptions &options = flags.options;
  if (options.problem.inner_ring_size != 1 && options.problem.schedule != schedule::Schedule::double_ring) {
    throw problem::InvalidInput("--inner-ring-size has no effect without --schedule double_ring");
  }
  if (options.gathering != ring::RingOptions().gathering && !options.collective) {
    throw problem::InvalidInput("--gathering has no effect without --collective");
  }
  if (flags.no_messages_only && flags.multihead.chosen()) {
    throw problem::InvalidInput("--no-messages-only has no effect on --layer multihead, whose messages are never timed "
                                "alone");
  }
  if (options.softmax != ring::SoftmaxRule::online && !options.verify) {
    throw problem::InvalidInput("--softmax per_chunk is wrong on purpose, which only the comparison shows; leave out "
                                "--no-verify");
  }
}

} // namespace

void resolve(RingFlags &flags, std::int64_t ranks, std::uint64_t seed) {
  ring::RingOptions &options = flags.options;
  schedule::RingProblem &problem = options.problem;
  problem::AttentionProblem &attention = problem.attention;
  attention.kv_heads = flags.kv_heads == 0 ? attention.query_heads : flags.kv_heads;
  attention.mask = problem::parse_mask(flags.mask);
  attention.dtype = problem::parse_dtype(flags.dtype);
  problem.placement = schedule::parse_placement(flags.placement);
  problem.schedule = parse_schedule_flag(flags.schedule);
  problem.moving = schedule::parse_moving(flags.moving);
  problem.pass = schedule::parse_pass(flags.pass);
  problem.hops = schedule::parse_hops(flags.hops);
  problem.layout = schedule::parse_message_layout(flags.layout);
  problem.pattern = resolve(flags.pattern);
  if (!flags.chunk_weights.empty()) {
    problem.chunks = schedule::weighted_chunks(flags.chunk_weights);
  }
  options.softmax = ring::parse_softmax(flags.softmax);
  options.kernel = memory::parse_kernel(flags.kernel);
  options.exchange = ring::parse_exchange(flags.exchange);
  options.gathering = ring::parse_gathering(flags.gathering);
  options.poll_progress = !flags.no_polling;
  options.messages_only = !flags.no_messages_only;
  options.verify = !flags.no_verify;
  options.seed = seed;
  options.fault = ring::fault_from_environment();
  require_between("--repetitions", options.repetitions, 1, 1e6);
  require_between("--warmup", options.warmup, 0, 1e6);
  require_between("--deadline", options.deadline_s, 1e-3, 1e9);
  require_between("--threads", flags.threads, 0, 4096);
  const bool repeats =
      (flags.repetitions_given && options.repetitions != 1) || (flags.warmup_given && options.warmup != 0);
  resolve(flags.checkpoint, repeats, options);
  if (flags.checkpoint.asked_for() && flags.multihead.chosen()) {
    throw problem::InvalidInput("--checkpoint does not go with --layer multihead; only attention alone is written");
  }
  require_effect(flags);
  resolve_grid(flags, ranks);
  ring::validate(options);
  resolve(flags.multihead);
}

} // namespace ringscale::drivers
