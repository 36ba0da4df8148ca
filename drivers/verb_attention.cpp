// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include <cmath>
#include <cstdio>
#include <memory>
#include <string>

#include "drivers/attention_run.hpp"
#include "drivers/failure.hpp"
#include "drivers/flag_checks.hpp"
#include "drivers/session.hpp"
#include "problem/invalid_input.hpp"
#include "report/json.hpp"
#include "report/results_document.hpp"
#include "statistics/summary.hpp"

namespace ringscale::drivers {

namespace {

using report::Json;

struct AttentionFlags {
  AttentionOptions options;
  std::int64_t kv_heads = 0; ///< 0: as many as query heads
  std::string mask = "none";
  std::string dtype = "float32";
  std::string kernel = "streamed";
  int threads = 1;
};

/// JSON has no NaN; a missing number is said to be missing.
Json finite_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json interval(double low, double high, double confidence) {
  Json object = Json::object();
  object["low"] = low;
  object["high"] = high;
  object["confidence"] = confidence;
  return object;
}

Json configuration(const AttentionOptions &options, int threads) {
  const problem::AttentionProblem &problem = options.problem;
  Json config = Json::object();
  config["kernel"] = memory::name(options.kernel);
  config["mask"] = problem::name(problem.mask);
  config["dtype"] = problem::name(problem.dtype);
  config["batch"] = problem.batch;
  config["tokens"] = problem.tokens;
  config["query_heads"] = problem.query_heads;
  config["kv_heads"] = problem.kv_heads;
  config["head_dim"] = problem.head_dim;
  config["seed"] = options.seed;
  config["threads"] = threads;
  config["benchmark"] = options.benchmark;
  if (options.benchmark) {
    config["repetitions"] = options.repetitions;
  }
  return config;
}

void add_timing(Json &row, const AttentionOptions &options, const AttentionRun &run) {
  const double time_s = statistics::median(run.samples_s);
  const statistics::Interval spread = statistics::median_interval(run.samples_s);
  const double gflop = problem::forward_flop(options.problem) * 1e-9; // useful work: what the mask admits
  row["time_s"] = time_s;
  row["time_s_interval"] = interval(spread.low, spread.high, spread.confidence);
  row["samples_s"] = run.samples_s;
  row["calls_per_sample"] = run.calls_per_sample;
  row["tokens_per_s"] =
      static_cast<double>(options.problem.batch) * static_cast<double>(options.problem.tokens) / time_s;
  row["gflop_per_s"] = gflop / time_s;
  row["gflop_per_s_interval"] = interval(gflop / spread.high, gflop / spread.low, spread.confidence);
  row["fma_peak_gflop_per_s"] = run.fma_peak_gflop_per_s;
  row["share_of_peak"] = gflop / time_s / run.fma_peak_gflop_per_s;
  if (!run.cpu_samples_s.empty()) {
    // Beside the wall clock, since only this figure is fair to the kernel when other programs use the core.
    const double cpu_time_s = statistics::median(run.cpu_samples_s);
    row["cpu_time_s"] = cpu_time_s;
    row["share_of_peak_in_cpu_time"] = gflop / cpu_time_s / run.fma_peak_gflop_per_s;
  }
}

Json attention_row(const AttentionOptions &options, int threads, const AttentionRun &run) {
  Json row = Json::object();
  row["kind"] = "measured";
  row["verb"] = "attention";
  row["point"] = "attention";
  row["schedule"] = "none"; // one device: nothing is scheduled or placed
  row["placement"] = "none";
  row["softmax"] = "online";
  const Json config = configuration(options, threads);
  for (const char *field : {"kernel", "mask", "dtype", "batch", "tokens", "query_heads", "kv_heads", "head_dim"}) {
    row[field] = config[field];
  }
  row["ring_size"] = 1;
  row["chunk_tokens"] = options.problem.tokens;
  row["seed"] = options.seed;
  row["threads"] = threads;
  if (options.benchmark) {
    add_timing(row, options, run);
  }
  row["scores_bytes"] = run.scores_bytes;
  row["checked_rows"] = run.checked_rows;
  row["all_rows_checked"] = run.all_rows_checked;
  row["max_error"] = finite_or_null(run.max_error);
  row["error_bound"] = run.error_bound;
  row["max_lse_error"] = finite_or_null(run.max_lse_error);
  row["lse_error_bound"] = run.lse_error_bound;
  row["wrong_elements"] = run.wrong_elements;
  row["verdict"] = run.valid ? "valid" : "invalid";
  row["reasons"] = run.reasons;
  return row;
}

std::string with_digits(const char *format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

void say_plan(Session &session, const AttentionOptions &options, int threads) {
  const problem::AttentionProblem &problem = options.problem;
  session.say("attention: " + std::string(memory::name(options.kernel)) + " kernel, batch " +
              std::to_string(problem.batch) + ", " + std::to_string(problem.tokens) + " tokens, " +
              std::to_string(problem.query_heads) + " query heads, " + std::to_string(problem.kv_heads) +
              " key/value heads of " + std::to_string(problem.head_dim) + ", mask " +
              std::string(problem::name(problem.mask)) + ", " + std::string(problem::name(problem.dtype)) + ", seed " +
              std::to_string(options.seed) + ", " + std::to_string(threads) + " thread" + (threads == 1 ? "" : "s"));
}

void say_result(Session &session, const Json &row) {
  if (row.contains("time_s")) {
    session.say(
        "time " + with_digits("%.6f s, ", row["time_s"]) + with_digits("%.1f GFLOP/s of ", row["gflop_per_s"]) +
        with_digits("%.1f peak: ", row["fma_peak_gflop_per_s"]) +
        with_digits("%.1f %%", 100.0 * row["share_of_peak"].get<double>()) +
        (row.contains("share_of_peak_in_cpu_time")
             ? with_digits(" (%.1f %% in processor time)", 100.0 * row["share_of_peak_in_cpu_time"].get<double>())
             : std::string()));
  }
  session.say("largest error " +
              (row["max_error"].is_null() ? std::string("not a number") : with_digits("%.3g", row["max_error"])) +
              with_digits(", bound %.3g, ", row["error_bound"]) +
              std::to_string(row["checked_rows"].get<std::int64_t>()) +
              (row["all_rows_checked"].get<bool>() ? " rows checked (all)" : " rows checked (a seeded sample)"));
}

void resolve(AttentionFlags &flags) {
  AttentionOptions &options = flags.options;
  options.problem.kv_heads = flags.kv_heads == 0 ? options.problem.query_heads : flags.kv_heads;
  options.problem.mask = problem::parse_mask(flags.mask);
  options.problem.dtype = problem::parse_dtype(flags.dtype);
  options.kernel = memory::parse_kernel(flags.kernel);
  problem::validate(options.problem);
  constexpr int most_threads = 4096;
  if (flags.threads < 1 || flags.threads > most_threads) {
    throw problem::InvalidInput("--threads is " + std::to_string(flags.threads) + "; it must be between 1 and " +
                                std::to_string(most_threads));
  }
  constexpr int most_repetitions = 1'000'000;
  if (options.repetitions < 1 || options.repetitions > most_repetitions) {
    throw problem::InvalidInput("--repetitions is " + std::to_string(options.repetitions) +
                                "; it must be between 1 and " + std::to_string(most_repetitions));
  }
}

int show_attention(Session &session, AttentionFlags &flags) {
  flags.options.seed = session.options.seed;
  resolve(flags);
  if (session.world_size() > 1) {
    throw problem::InvalidInput("attention runs on one device and was started on " +
                                std::to_string(session.world_size()) +
                                " ranks; start it without mpiexec, or use 'ringscale ring'");
  }
  say_plan(session, flags.options, flags.threads);
  if (session.options.dry_run) {
    return exit_valid;
  }
  session.start_kokkos(flags.threads);
  const AttentionRun run = run_attention(flags.options);
  const Json row = attention_row(flags.options, flags.threads, run);
  say_result(session, row);
  for (const std::string &reason : run.reasons) {
    session.say(reason);
  }
  const std::string verdict = run.valid ? "valid" : "invalid";
  session.say("verdict: " + verdict);
  session.print_document(report::results_document("attention", configuration(flags.options, flags.threads),
                                                  Json::array({row}), verdict, run.reasons, session.run_provenance()));
  return run.valid ? exit_valid : exit_invalid;
}

} // namespace

void add_attention_verb(CLI::App &program, Session &session) {
  CLI::App *verb = program.add_subcommand("attention", "Run, verify and time an attention kernel on one device");
  const auto flags = std::make_shared<AttentionFlags>();
  problem::AttentionProblem &problem = flags->options.problem;
  verb->add_option("--tokens", problem.tokens, "Query and key tokens")->required();
  verb->add_option("--batch", problem.batch, "Batch entries")->capture_default_str();
  verb->add_option("--query-heads", problem.query_heads, "Query heads")->capture_default_str();
  verb->add_option("--kv-heads", flags->kv_heads, "Key/value heads; as many as query heads when not given")
      ->check(at_least_one);
  verb->add_option("--head-dim", problem.head_dim, "Elements of a head")->capture_default_str();
  verb->add_option("--mask", flags->mask, "none or causal")->capture_default_str();
  verb->add_option("--dtype", flags->dtype, "float32")->capture_default_str();
  verb->add_option("--kernel", flags->kernel, "streamed or materialised")->capture_default_str();
  verb->add_option("--threads", flags->threads, "Host threads")->capture_default_str();
  verb->add_flag("--benchmark", flags->options.benchmark,
                 "Time the kernel and measure the multiply-add peak beside it");
  verb->add_option("--repetitions", flags->options.repetitions, "Timed samples of --benchmark")->capture_default_str();
  add_common_flags(*verb, session, {CommonFlag::json, CommonFlag::dry_run, CommonFlag::seed});
  verb->callback([flags, &session] { session.action = [flags, &session] { return show_attention(session, *flags); }; });
}

} // namespace ringscale::drivers
