// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "drivers/failure.hpp"
#include "drivers/flag_checks.hpp"
#include "drivers/session.hpp"
#include "problem/invalid_input.hpp"
#include "report/json.hpp"
#include "report/output_file.hpp"
#include "report/results_document.hpp"
#include "ring/communicator.hpp"
#include "ring/ring_run.hpp"
#include "statistics/summary.hpp"
#include "sweep/rows.hpp"

namespace ringscale::drivers {

namespace {

using report::Json;

struct RingFlags {
  ring::RingOptions options;
  std::int64_t ring_size = 0; ///< 0: all ranks of the job
  std::int64_t kv_heads = 0;  ///< 0: as many as query heads
  std::string mask = "none";
  std::string placement = "contiguous";
  std::string schedule = "ring";
  std::string softmax = "online";
  std::string kernel = "streamed";
  std::string dtype = "float32";
  int threads = 0;
  bool no_polling = false;
  bool no_verify = false;
};

void require_between(const char *flag, double value, double low, double high) {
  if (!(value >= low && value <= high)) {
    char text[160];
    std::snprintf(text, sizeof text, "%s is %g; it must be between %g and %g", flag, value, low, high);
    throw problem::InvalidInput(text);
  }
}

/// Turns words into values and checks everything that can be checked before a rank starts to work.
void resolve(RingFlags &flags, Session &session) {
  const std::int64_t ranks = session.world_size(); // starts MPI, so that a refusal ends all ranks with one line
  ring::RingOptions &options = flags.options;
  problem::AttentionProblem &attention = options.problem.attention;
  attention.kv_heads = flags.kv_heads == 0 ? attention.query_heads : flags.kv_heads;
  attention.mask = problem::parse_mask(flags.mask);
  attention.dtype = problem::parse_dtype(flags.dtype);
  ring::require_supported(attention.dtype);
  options.problem.placement = schedule::parse_placement(flags.placement);
  options.problem.schedule = schedule::parse_schedule(flags.schedule);
  options.softmax = ring::parse_softmax(flags.softmax);
  options.kernel = memory::parse_kernel(flags.kernel);
  options.poll_progress = !flags.no_polling;
  options.verify = !flags.no_verify;
  options.seed = session.options.seed;
  options.fault = ring::fault_from_environment();
  require_between("--repetitions", options.repetitions, 1, 1e6);
  require_between("--warmup", options.warmup, 0, 1e6);
  require_between("--deadline", options.deadline_s, 1e-3, 1e9);
  require_between("--threads", flags.threads, 0, 4096);
  options.problem.ring_size = flags.ring_size == 0 ? ranks : flags.ring_size;
  if (options.problem.ring_size > ranks) {
    throw problem::InvalidInput("--ring-size is " + std::to_string(flags.ring_size) + "; this job has " +
                                std::to_string(ranks) + " ranks, start it with mpiexec -n " +
                                std::to_string(flags.ring_size) + " or use 'ringscale simulate'");
  }
  schedule::validate(options.problem);
}

Json configuration(const RingFlags &flags) {
  const ring::RingOptions &options = flags.options;
  const problem::AttentionProblem &attention = options.problem.attention;
  Json config = Json::object();
  config["schedule"] = flags.schedule;
  config["placement"] = flags.placement;
  config["softmax"] = flags.softmax;
  config["kernel"] = flags.kernel;
  config["mask"] = flags.mask;
  config["dtype"] = flags.dtype;
  config["batch"] = attention.batch;
  config["tokens"] = attention.tokens;
  config["query_heads"] = attention.query_heads;
  config["kv_heads"] = attention.kv_heads;
  config["head_dim"] = attention.head_dim;
  config["ring_size"] = options.problem.ring_size;
  config["warmup"] = options.warmup;
  config["repetitions"] = options.repetitions;
  config["deadline_s"] = options.deadline_s;
  config["polling"] = options.poll_progress;
  config["verify"] = options.verify;
  config["threads"] = flags.threads;
  config["seed"] = options.seed;
  return config;
}

std::string with_digits(const char *format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

constexpr double mebibyte = 1024.0 * 1024.0;

void say_plan(Session &session, const RingFlags &flags) {
  const ring::RingOptions &options = flags.options;
  const problem::AttentionProblem &attention = options.problem.attention;
  session.say("ring: " + flags.schedule + " over " + std::to_string(options.problem.ring_size) + " ranks, " +
              flags.placement + " placement, " + flags.softmax + " softmax, " + flags.kernel + " kernel");
  session.say("  batch " + std::to_string(attention.batch) + ", " + std::to_string(attention.tokens) + " tokens, " +
              std::to_string(attention.query_heads) + " query heads, " + std::to_string(attention.kv_heads) +
              " key/value heads of " + std::to_string(attention.head_dim) + ", mask " + flags.mask + ", " +
              flags.dtype + ", seed " + std::to_string(options.seed));
  const std::int64_t rank = memory::rank_with_most_memory(options.problem);
  const memory::MemoryByPurpose planned = ring::planned_memory(options, rank);
  session.say("  " + std::to_string(schedule::hop_count(options.problem)) + " hops a rank, " +
              with_digits("%.2f MiB on the rank with the most, ", static_cast<double>(planned.total()) / mebibyte) +
              std::to_string(options.warmup) + " warm-up and " + std::to_string(options.repetitions) +
              " timed repetitions, " + (options.poll_progress ? "progress polled" : "progress not polled") +
              with_digits(", deadline %g s", options.deadline_s));
}

void say_row(Session &session, const ring::RingOptions &options, const ring::RingRun &run) {
  const double time_s = statistics::median(run.samples_s);
  const statistics::Interval spread = statistics::median_interval(run.samples_s);
  const auto tokens =
      static_cast<double>(options.problem.attention.batch) * static_cast<double>(options.problem.attention.tokens);
  session.say("      time_s  interval_s (confidence)           tokens/s   compute_s   exposed_s  memory_MiB");
  std::array<char, 200> line{};
  std::snprintf(line.data(), line.size(), "%12.6f  [%.6f, %.6f] (%.1f %%) %14.1f %11.6f %11.6f %11.2f", time_s,
                spread.low, spread.high, 100.0 * spread.confidence, tokens / time_s, run.compute_s,
                run.exposed_communication_s, static_cast<double>(run.memory_peak_bytes) / mebibyte);
  session.say(line.data());
  if (run.verified) {
    session.say(with_digits("largest error %.3g", run.max_error) + with_digits(" (bound %.3g)", run.error_bound) +
                (options.softmax == ring::SoftmaxRule::online
                     ? with_digits(", of the log-sum-exp %.3g", run.max_lse_error) +
                           with_digits(" (bound %.3g)", run.lse_error_bound)
                     : std::string()) +
                ", " + std::to_string(run.checked_rows) +
                (run.all_rows_checked ? " rows checked (all)" : " rows checked (a seeded sample)"));
  }
  if (run.ranks_per_core > 1) {
    session.say(std::to_string(run.ranks_per_core) +
                " ranks share a core: times are not those of ranks with their own");
  }
  for (const std::string &reason : run.reasons) {
    session.say((run.valid ? "note: " : "invalid: ") + reason);
  }
}

/// Prints, and writes when asked, what the ring gave; root rank only.
void report_run(Session &session, const RingFlags &flags, const ring::RingRun &run) {
  const std::string point =
      flags.schedule + "-" + flags.placement + "-" + std::to_string(flags.options.problem.ring_size);
  const Json rows = Json::array({sweep::ring_row(point, flags.options, run)});
  const std::string verdict = run.valid ? "valid" : "invalid";
  const Json document =
      report::results_document("ring", configuration(flags), rows, verdict, run.reasons, session.run_provenance());
  say_row(session, flags.options, run);
  session.say("verdict: " + verdict);
  if (!session.options.output.empty()) {
    const std::filesystem::path file =
        std::filesystem::path(session.options.output) / ("ring-" + document.at("run_id").get<std::string>() + ".json");
    report::write_file_exclusive(file, report::write_json(document, 2) + "\n");
    session.say("wrote " + file.string());
  }
  session.print_document(document);
}

int run(Session &session, RingFlags &flags) {
  resolve(flags, session);
  session.start_kokkos(flags.threads);
  say_plan(session, flags);
  if (session.options.dry_run) {
    return exit_valid;
  }
  if (!session.options.output.empty() && session.is_root()) {
    report::require_writable_folder(session.options.output);
  }
  ring::Communicator &world = session.world();
  std::string verdict;
  {
    ring::Communicator members = world.split_first(static_cast<int>(flags.options.problem.ring_size));
    if (members.is_member()) {
      const ring::RingRun result = ring::run_ring(members, flags.options);
      if (session.is_root()) {
        report_run(session, flags, result);
      }
      verdict = result.valid ? "valid" : "invalid";
    }
  }
  world.sleeping_barrier();
  world.broadcast(verdict, 0); // ranks that sat out end with the same code
  return verdict == "valid" ? exit_valid : exit_invalid;
}

} // namespace

void add_ring_verb(CLI::App &program, Session &session) {
  const auto flags = std::make_shared<RingFlags>();
  ring::RingOptions &options = flags->options;
  problem::AttentionProblem &attention = options.problem.attention;
  CLI::App *verb = program.add_subcommand("ring", "Ring attention on the ranks of this job, verified (mpiexec -n P)");
  verb->add_option("--tokens", attention.tokens, "Query and key tokens in all")->required();
  verb->add_option("--batch", attention.batch, "Batch entries")->capture_default_str();
  verb->add_option("--query-heads", attention.query_heads, "Query heads")->capture_default_str();
  verb->add_option("--kv-heads", flags->kv_heads, "Key/value heads; as many as query heads when not given")
      ->check(at_least_one);
  verb->add_option("--head-dim", attention.head_dim, "Elements of a head")->capture_default_str();
  verb->add_option("--mask", flags->mask, "none or causal")->capture_default_str();
  verb->add_option("--placement", flags->placement, "contiguous, zigzag, striped or replicated_queries")
      ->capture_default_str();
  verb->add_option("--schedule", flags->schedule, "ring, or the negative control local_only")->capture_default_str();
  verb->add_option("--softmax", flags->softmax, "online, or the negative control per_chunk")->capture_default_str();
  verb->add_option("--kernel", flags->kernel, "streamed or materialised")->capture_default_str();
  verb->add_option("--dtype", flags->dtype, "float32")->capture_default_str();
  verb->add_option("--ring-size", flags->ring_size, "Ranks of the ring; all ranks of the job when not given")
      ->check(at_least_one);
  verb->add_option("--repetitions", options.repetitions, "Timed repetitions")->capture_default_str();
  verb->add_option("--warmup", options.warmup, "Repetitions before the timed ones")->capture_default_str();
  verb->add_option("--deadline", options.deadline_s, "Seconds any wait for a peer may take; then exit code 124")
      ->capture_default_str();
  verb->add_option("--threads", flags->threads, "Host threads a rank; 0 shares the cores among the ranks")
      ->capture_default_str();
  verb->add_flag("--no-polling", flags->no_polling, "Do not move messages on between slices of work");
  verb->add_flag("--no-verify", flags->no_verify, "Do not compare with the double-precision reference");
  add_common_flags(*verb, session, {CommonFlag::json, CommonFlag::dry_run, CommonFlag::output, CommonFlag::seed});
  verb->callback([flags, &session] { session.action = [flags, &session] { return run(session, *flags); }; });
}

} // namespace ringscale::drivers
