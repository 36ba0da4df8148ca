// SPDX-License-Identifier: Apache-2.0
#include "drivers/attention/row.hpp"

#include <cmath>
#include <cstdio>

#include "statistics/summary.hpp"

namespace ringscale::drivers {

namespace {

using report::Json;

/// JSON has no NaN; a missing number is said to be missing.
Json finite_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json interval(double low, double high, double confidence) {
  Json object = Json::object();
  object["low"] = low;
  object["high"] = high;
  object["confidence"] = confidence;
  return object;
}

void add_pattern(Json &object, const AttentionOptions &options) {
  const problem::Pattern &pattern = options.pattern;
  object["pattern"] = problem::name(pattern.kind);
  if (pattern.kind == problem::PatternKind::dilated) {
    object["segment_lengths"] = pattern.dilated.segment_lengths;
    object["dilation_rates"] = pattern.dilated.dilation_rates;
    object["dilation_convention"] = problem::name(pattern.dilated.convention);
  }
  if (pattern.kind != problem::PatternKind::block_sparse) {
    return;
  }
  const problem::BlockSparsePattern &sparse = pattern.block_sparse;
  object["block_sparse"] = problem::name(sparse.kind);
  object["block_tokens"] = sparse.block_tokens;
  if (sparse.kind != problem::BlockSparseKind::adaptive) {
    object["window_tokens"] = sparse.window_tokens;
  } else {
    object["kept_blocks"] = sparse.kept_blocks;
  }
  if (sparse.kind == problem::BlockSparseKind::dilated || sparse.kind == problem::BlockSparseKind::hierarchical) {
    object["stride_blocks"] = sparse.stride_blocks;
  }
}

void add_timing(Json &row, const AttentionOptions &options, const AttentionRun &run) {
  const AttentionTiming &timing = *run.timing;
  const double time_s = statistics::median(timing.samples_s);
  const statistics::Interval spread = statistics::median_interval(timing.samples_s);
  const double gflop = run.work.flop * 1e-9; // useful work: what mask and pattern admit
  row["time_s"] = time_s;
  row["time_s_interval"] = interval(spread.low, spread.high, spread.confidence);
  row["samples_s"] = timing.samples_s;
  row["calls_per_sample"] = timing.calls_per_sample;
  row["tokens_per_s"] =
      static_cast<double>(options.problem.batch) * static_cast<double>(options.problem.tokens) / time_s;
  row["gflop_per_s"] = gflop / time_s;
  row["gflop_per_s_interval"] = interval(gflop / spread.high, gflop / spread.low, spread.confidence);
  row["fma_peak_gflop_per_s"] = timing.fma_peak_gflop_per_s;
  row["share_of_peak"] = gflop / time_s / timing.fma_peak_gflop_per_s;
  if (!timing.cpu_samples_s.empty()) {
    // Beside the wall clock, since only this figure is fair to the kernel when other programs use the core.
    const double cpu_time_s = statistics::median(timing.cpu_samples_s);
    const statistics::Interval cpu_spread = statistics::median_interval(timing.cpu_samples_s);
    row["cpu_time_s"] = cpu_time_s;
    row["cpu_samples_s"] = timing.cpu_samples_s;
    row["share_of_peak_in_cpu_time"] = gflop / cpu_time_s / timing.fma_peak_gflop_per_s;
    row["share_of_peak_in_cpu_time_interval"] =
        interval(gflop / cpu_spread.high / timing.fma_peak_gflop_per_s,
                 gflop / cpu_spread.low / timing.fma_peak_gflop_per_s, cpu_spread.confidence);
  }
}

void add_checks(Json &row, const Verification &verification) {
  row["checked_rows"] = verification.checked_rows;
  row["checked_keys"] = verification.checked_keys;
  row["all_rows_checked"] = verification.all_rows_checked;
  std::int64_t wrong_elements = 0;
  Json errors = Json::object();
  for (const ResultCheck &check : verification.results) {
    wrong_elements += check.wrong_elements;
    // The output's names are those of every other row; the gradients are listed by name.
    if (check.name == "output") {
      row["max_error"] = finite_or_null(check.max_error);
      row["error_bound"] = finite_or_null(check.error_bound);
    } else if (check.name == "log_sum_exp") {
      row["max_lse_error"] = finite_or_null(check.max_error);
      row["lse_error_bound"] = finite_or_null(check.error_bound);
    } else {
      errors[check.name] = Json::object();
      errors[check.name]["max_error"] = finite_or_null(check.max_error);
      errors[check.name]["error_bound"] = finite_or_null(check.error_bound);
    }
  }
  if (!errors.empty()) {
    row["gradient_errors"] = errors;
  }
  row["wrong_elements"] = wrong_elements;
  row["verdict"] = verification.valid ? "valid" : "invalid";
  row["reasons"] = verification.reasons;
}

std::string with_digits(const char *format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string error_line(const std::string &name, const Json &error, const Json &bound) {
  return "largest " + name + " error " + (error.is_null() ? std::string("not a number") : with_digits("%.3g", error)) +
         (bound.is_null() ? std::string(", no bound") : with_digits(", bound %.3g", bound));
}

} // namespace

Json attention_configuration(const AttentionOptions &options, int threads) {
  const problem::AttentionProblem &problem = options.problem;
  Json config = Json::object();
  config["kernel"] = memory::name(options.kernel);
  config["pass"] = name(options.pass);
  config["mask"] = problem::name(problem.mask);
  add_pattern(config, options);
  config["dtype"] = problem::name(problem.dtype);
  config["batch"] = problem.batch;
  config["tokens"] = problem.tokens;
  config["key_tokens"] = options.key_tokens;
  config["query_heads"] = problem.query_heads;
  config["kv_heads"] = problem.kv_heads;
  config["head_dim"] = problem.head_dim;
  config["query_position_begin"] = options.query_position_begin;
  config["dropout"] = options.dropout_probability;
  config["data"] = options.files.given() ? "files" : "synthetic";
  config["seed"] = options.seed;
  config["threads"] = threads;
  config["benchmark"] = options.benchmark;
  if (options.benchmark) {
    config["repetitions"] = options.repetitions;
  }
  return config;
}

Json attention_row(const AttentionOptions &options, int threads, const AttentionRun &run) {
  Json row = Json::object();
  row["kind"] = "measured";
  row["verb"] = "attention";
  row["point"] = "attention";
  row["schedule"] = "none"; // one device: nothing is scheduled or placed
  row["placement"] = "none";
  row["softmax"] = "online";
  const Json config = attention_configuration(options, threads);
  for (const char *field : {"kernel", "pass", "mask"}) {
    row[field] = config[field];
  }
  add_pattern(row, options);
  for (const char *field :
       {"dtype", "batch", "tokens", "key_tokens", "query_heads", "kv_heads", "head_dim", "dropout", "data"}) {
    row[field] = config[field];
  }
  row["ring_size"] = 1;
  row["chunk_tokens"] = options.problem.tokens;
  row["seed"] = options.seed;
  row["threads"] = threads;
  row["arithmetic"] = run.arithmetic;
  row["pairs"] = run.pairs;
  row["flop"] = run.work.flop;
  row["read_bytes"] = run.work.read_bytes;
  row["written_bytes"] = run.work.written_bytes;
  // A causal mask that admits nothing leaves nothing to be sparse of.
  const double all_pairs = dense_pairs(options);
  row["density"] = all_pairs == 0.0 ? 1.0 : run.pairs / all_pairs;
  if (run.quality) {
    row["captured_mass_mean"] = finite_or_null(run.quality->mass.mean);
    row["captured_mass_minimum"] = finite_or_null(run.quality->mass.minimum);
    row["dense_output_difference_largest"] = finite_or_null(run.quality->difference.largest);
    row["dense_output_difference_relative"] = finite_or_null(run.quality->difference.relative);
  }
  if (run.timing) {
    add_timing(row, options, run);
  }
  row["workspace_bytes"] = run.workspace_bytes;
  row["scores_bytes"] = run.scores_bytes;
  add_checks(row, run.verification);
  return row;
}

std::string plan_line(const AttentionOptions &options, int threads) {
  const problem::AttentionProblem &problem = options.problem;
  std::string pattern(problem::name(options.pattern.kind));
  if (options.pattern.kind == problem::PatternKind::block_sparse) {
    pattern = "block-sparse " + std::string(problem::name(options.pattern.block_sparse.kind));
  }
  return "attention: " + std::string(memory::name(options.kernel)) + " kernel, " + std::string(name(options.pass)) +
         ", " + pattern + ", batch " + std::to_string(problem.batch) + ", " + std::to_string(problem.tokens) +
         " tokens" +
         (options.key_tokens == problem.tokens ? std::string()
                                               : " against " + std::to_string(options.key_tokens) + " keys") +
         ", " + std::to_string(problem.query_heads) + " query heads, " + std::to_string(problem.kv_heads) +
         " key/value heads of " + std::to_string(problem.head_dim) + ", mask " +
         std::string(problem::name(problem.mask)) + ", " + std::string(problem::name(problem.dtype)) + ", " +
         (options.files.given() ? std::string("data of yours") : "seed " + std::to_string(options.seed)) + ", " +
         std::to_string(threads) + " thread" + (threads == 1 ? "" : "s");
}

std::vector<std::string> result_lines(const Json &row) {
  std::vector<std::string> lines;
  if (row.contains("time_s")) {
    lines.push_back(
        "time " + with_digits("%.6f s, ", row["time_s"]) + with_digits("%.1f GFLOP/s of ", row["gflop_per_s"]) +
        with_digits("%.1f peak: ", row["fma_peak_gflop_per_s"]) +
        with_digits("%.1f %%", 100.0 * row["share_of_peak"].get<double>()) +
        (row.contains("share_of_peak_in_cpu_time")
             ? with_digits(" (%.1f %% in processor time)", 100.0 * row["share_of_peak_in_cpu_time"].get<double>())
             : std::string()));
  }
  if (row.contains("captured_mass_mean") && row["captured_mass_mean"].is_number()) {
    lines.push_back(with_digits("density %.4f, ", row["density"]) +
                    with_digits("captured attention mass %.4f on average, ", row["captured_mass_mean"]) +
                    with_digits("%.4f at least, ", row["captured_mass_minimum"]) +
                    with_digits("output %.4f of the dense one away", row["dense_output_difference_relative"]));
  }
  lines.push_back(error_line("output", row["max_error"], row["error_bound"]) + ", " +
                  std::to_string(row["checked_rows"].get<std::int64_t>()) +
                  (row["all_rows_checked"].get<bool>() ? " rows checked (all)" : " rows checked (a seeded sample)"));
  if (row.contains("gradient_errors")) {
    for (const auto &[name, error] : row["gradient_errors"].items()) {
      lines.push_back(error_line(name, error["max_error"], error["error_bound"]));
    }
  }
  return lines;
}

} // namespace ringscale::drivers
