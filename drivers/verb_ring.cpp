// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "drivers/failure.hpp"
#include "drivers/ring/flags.hpp"
#include "drivers/ring/multihead.hpp"
#include "drivers/session.hpp"
#include "problem/invalid_input.hpp"
#include "report/json.hpp"
#include "report/output_file.hpp"
#include "report/results_document.hpp"
#include "ring/communicator.hpp"
#include "ring/rank_recorder.hpp"
#include "ring/recovered_run.hpp"
#include "ring/ring_run.hpp"
#include "statistics/summary.hpp"
#include "sweep/multihead_row.hpp"
#include "sweep/row_parts.hpp"
#include "sweep/rows.hpp"

namespace ringscale::drivers {

namespace {

using report::Json;

Json configuration(const RingFlags &flags) {
  const ring::RingOptions &options = flags.options;
  const problem::AttentionProblem &attention = options.problem.attention;
  const schedule::ProcessGrid grid = ring::process_grid(options);
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
  sweep::add_schedule_fields(config, options.problem);
  config["data_size"] = grid.data;
  config["model_size"] = grid.model;
  config["sequence_size"] = grid.sequence;
  config["exchange"] = flags.exchange;
  config["collective"] = options.collective;
  config["gathering"] = flags.gathering;
  config["staged_on_host"] = options.stage_on_host;
  config["warmup"] = options.warmup;
  config["repetitions"] = options.repetitions;
  config["deadline_s"] = options.deadline_s;
  config["polling"] = options.poll_progress;
  config["messages_only"] = options.messages_only;
  config["verify"] = options.verify;
  config["threads"] = flags.threads;
  config["communication_limit_bytes"] = limits_of(flags.limits).communication_bytes;
  config["memory_limit_bytes"] = limits_of(flags.limits).memory_bytes;
  if (flags.checkpoint.asked_for()) {
    config["checkpoint_every_steps"] = flags.checkpoint.options.every_steps;
    config["mtbf_s"] = flags.checkpoint.options.mtbf_s;
    config["resume"] = flags.checkpoint.options.resume;
  }
  config["seed"] = options.seed;
  return config;
}

std::string with_digits(const char *format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

constexpr double mebibyte = 1024.0 * 1024.0;

std::string grid_text(const schedule::ProcessGrid &grid) {
  std::string text = "a ring of " + std::to_string(grid.ring);
  const auto add = [&](const char *name, std::int64_t ranks) {
    text += ranks > 1 ? std::string(", ") + name + " " + std::to_string(ranks) : std::string();
  };
  add("data", grid.data);
  add("model", grid.model);
  add("sequence", grid.sequence);
  return text;
}

void say_plan(Session &session, const RingFlags &flags) {
  const ring::RingOptions &options = flags.options;
  const problem::AttentionProblem &attention = options.problem.attention;
  const schedule::ProcessGrid grid = ring::process_grid(options);
  session.say("ring: " + flags.schedule + " " + flags.pass + ", " + grid_text(grid) + ", " + flags.placement +
              " placement, moving " + flags.moving + ", " + flags.softmax + " softmax, " + flags.kernel + " kernel, " +
              std::string(problem::name(options.problem.pattern.kind)) + " pattern");
  session.say("  batch " + std::to_string(attention.batch) + ", " + std::to_string(attention.tokens) + " tokens, " +
              std::to_string(attention.query_heads) + " query heads, " + std::to_string(attention.kv_heads) +
              " key/value heads of " + std::to_string(attention.head_dim) + ", mask " + flags.mask + ", " +
              flags.dtype + ", seed " + std::to_string(options.seed));
  session.say("  " + std::to_string(schedule::hop_count(options.problem)) + " hops a rank, " + flags.exchange +
              " exchange, " +
              with_digits("%.2f MiB on the rank with the most, ",
                          static_cast<double>(ring::largest_planned_memory(options)) / mebibyte) +
              std::to_string(options.warmup) + " warm-up and " + std::to_string(options.repetitions) +
              " timed repetitions, " + (options.poll_progress ? "progress polled" : "progress not polled") +
              with_digits(", deadline %g s", options.deadline_s));
  if (flags.checkpoint.asked_for()) {
    session.say(planned_text(flags.checkpoint));
  }
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
  if (run.verified && options.problem.attention.dtype != problem::DType::float32) {
    session.say(with_digits("against attention of the inputs as stored: largest error %.3g", run.max_stored_error) +
                with_digits(" (bound %.3g)", run.stored_error_bound) +
                with_digits(", of the log-sum-exp %.3g", run.max_stored_lse_error) +
                with_digits(" (bound %.3g)", run.stored_lse_error_bound));
  }
  if (run.has_gradients && run.verified) {
    const auto gradient = [&](const char *name, double error, double bound) {
      return name + with_digits(" %.3g", error) + with_digits(" (bound %.3g)", bound);
    };
    session.say(
        "largest gradient errors: " + gradient("query", run.max_gradient_error.query, run.gradient_error_bound.query) +
        gradient(", key", run.max_gradient_error.key, run.gradient_error_bound.key) +
        gradient(", value", run.max_gradient_error.value, run.gradient_error_bound.value));
  }
  if (std::isfinite(run.hidden_fraction)) {
    session.say(with_digits("messages alone %.6f s; ", statistics::median(run.messages_only_samples_s)) +
                (run.hidden_fraction >= 0.0
                     ? with_digits("%.1f %% of that hidden behind computing", 100.0 * run.hidden_fraction)
                     : std::string("not hidden: beside computing, ranks waited longer than that for each other")));
  }
  if (run.checkpoint) {
    session.say("checkpoints: " + outcome_text(*run.checkpoint));
  }
  if (run.ranks_per_core > 1) {
    session.say(std::to_string(run.ranks_per_core) +
                " ranks share a core: times are not those of ranks with their own");
  }
  for (const std::string &reason : run.reasons) {
    session.say((run.valid ? "note: " : "invalid: ") + reason);
  }
}

/// Prints the verdict and writes the document when asked; root rank only.
void finish_document(Session &session, const Json &document, const std::string &verdict) {
  session.say("verdict: " + verdict);
  if (!session.options.output.empty()) {
    const std::filesystem::path file =
        std::filesystem::path(session.options.output) / ("ring-" + document.at("run_id").get<std::string>() + ".json");
    report::write_file_exclusive(file, report::write_json(document, 2) + "\n");
    session.say("wrote " + file.string());
  }
  session.print_document(document);
}

/// Prints, and writes when asked, what the ring gave; root rank only. `options` are those that ran, which a memory
/// limit may have made other than the flags.
void report_run(Session &session, const RingFlags &flags, const ring::RingOptions &options,
                const ring::RecoveredRun &result) {
  const ring::RingRun &run = result.run;
  const std::string point =
      flags.schedule + "-" + flags.placement + "-" + std::to_string(ring::process_grid(flags.options).size());
  Json row = sweep::ring_row(point, options, run);
  sweep::add_recovery_fields(row, result);
  const std::string verdict = run.valid ? "valid" : "invalid";
  const Json document = report::results_document("ring", configuration(flags), Json::array({row}), verdict, run.reasons,
                                                 session.run_provenance());
  say_row(session, options, run);
  finish_document(session, document, verdict);
  if (run.trace) {
    write_measured_trace(session, flags.trace, flags.options, *run.trace, run.samples_s);
  }
}

/// What a traced run shows. Throws InvalidInput for runs that have no repetition to trace.
schedule::TimelineSelection trace_selection(const RingFlags &flags) {
  const schedule::ProcessGrid grid = ring::process_grid(flags.options);
  const schedule::RingProblem ring = schedule::share_of(grid, flags.options.problem, 0).ring;
  if (flags.trace.asked_for() && (flags.multihead.chosen() || flags.checkpoint.asked_for())) {
    throw problem::InvalidInput(
        "--trace shows a repetition of a plain ring; leave out --layer multihead and --checkpoint");
  }
  return selection_of(flags.trace, grid.size(), measured_steps(grid, ring));
}

void report_run(Session &session, const RingFlags &flags, const ring::MultiheadOptions &options,
                const ring::MultiheadRun &run) {
  const std::string point =
      "multihead-" + flags.schedule + "-" + flags.placement + "-" + std::to_string(options.ring.problem.ring_size);
  const std::string verdict = run.valid ? "valid" : "invalid";
  Json config = configuration(flags);
  add_multihead_configuration(config, options);
  const Json document =
      report::results_document("ring", config, Json::array({sweep::multihead_row(point, options, run)}), verdict,
                               run.reasons, session.run_provenance());
  say_multihead_run(session, options, run);
  finish_document(session, document, verdict);
}

/// `work(members)` on the ranks of the grid while the others sleep; its verdict is that of all ranks.
template <class Work> int on_members(Session &session, const RingFlags &flags, const Work &work) {
  ring::Communicator &world = session.world();
  std::string verdict;
  {
    ring::Communicator members = world.split_first(static_cast<int>(ring::process_grid(flags.options).size()));
    if (members.is_member()) {
      verdict = work(members) ? "valid" : "invalid";
    }
  }
  world.sleeping_barrier();
  world.broadcast(verdict, 0); // ranks that sat out end with the same code
  return verdict == "valid" ? exit_valid : exit_invalid;
}

int run_multihead(Session &session, const RingFlags &flags, const ring::MultiheadOptions &options) {
  session.start_kokkos(flags.threads);
  memory::require_communication_within(options.limits, ring::largest_message(options.ring), "a message of the ring");
  say_plan(session, flags);
  say_multihead_plan(session, options);
  if (session.options.dry_run) {
    return exit_valid;
  }
  if (!session.options.output.empty() && session.is_root()) {
    report::require_writable_folder(session.options.output);
  }
  return on_members(session, flags, [&](ring::Communicator &members) {
    const ring::MultiheadRun result = ring::run_multihead(members, options);
    if (session.is_root()) {
      report_run(session, flags, options, result);
    }
    return result.valid;
  });
}

int run(Session &session, RingFlags &flags) {
  refuse_document_of_dry_run(session);
  resolve(flags, session.world_size(), session.options.seed); // starts MPI: a refusal ends all ranks with one line
  const schedule::TimelineSelection shown = trace_selection(flags);
  if (flags.multihead.chosen()) {
    return run_multihead(session, flags, multihead_options(flags.multihead, flags.options, limits_of(flags.limits)));
  }
  session.start_kokkos(flags.threads);
  const memory::Limits limits = limits_of(flags.limits);
  memory::require_communication_within(limits, ring::largest_message(flags.options), "a message of the ring");
  const ring::RecoveredOptions recovered =
      ring::recover_memory(flags.options, limits, flags.limits.allow_lower_precision);
  if (flags.checkpoint.asked_for() && recovered.plan.configuration.batch_pieces > 1) {
    throw problem::InvalidInput("--memory-limit divides the batch into " +
                                std::to_string(recovered.plan.configuration.batch_pieces) +
                                " runs and --checkpoint needs one; raise the limit or use more ranks");
  }
  if (flags.trace.asked_for() && recovered.plan.configuration.batch_pieces > 1) {
    throw problem::InvalidInput("--memory-limit divides the batch into " +
                                std::to_string(recovered.plan.configuration.batch_pieces) +
                                " runs and --trace shows one; raise the limit or use more ranks");
  }
  say_plan(session, flags);
  for (const memory::RecoveryStep &step : recovered.plan.steps) {
    session.say("  over --memory-limit: " + std::string(memory::name(step.action)) +
                with_digits(", %.2f MiB", static_cast<double>(step.bytes_before) / mebibyte) +
                with_digits(" to %.2f MiB", static_cast<double>(step.bytes_after) / mebibyte) +
                (step.action == memory::RecoveryAction::lower_precision
                     ? ", tensors stored as " + std::string(problem::name(step.after.storage)) +
                           with_digits(", error bound %.3g higher", step.error_cost)
                     : std::string()));
  }
  if (session.options.dry_run) {
    return exit_valid;
  }
  if (!session.options.output.empty() && session.is_root()) {
    report::require_writable_folder(session.options.output);
  }
  if (session.is_root()) {
    require_trace_file(flags.trace);
  }
  if (flags.checkpoint.asked_for() && session.is_root()) {
    report::require_writable_folder(flags.checkpoint.options.folder);
  }
  ring::RankRecorder recorder(shown);
  ring::RecoveredOptions traced = recovered;
  traced.options.recorder = flags.trace.asked_for() ? &recorder : nullptr;
  return on_members(session, flags, [&](ring::Communicator &members) {
    const ring::RecoveredRun result = ring::run_recovered(members, flags.options, traced, limits);
    if (session.is_root()) {
      report_run(session, flags, recovered.options, result);
    }
    return result.run.valid;
  });
}

} // namespace

void add_ring_verb(CLI::App &program, Session &session) {
  const auto flags = std::make_shared<RingFlags>();
  CLI::App *verb = program.add_subcommand("ring", "Ring attention on the ranks of this job, verified (mpiexec -n P)");
  add_ring_flags(*verb, *flags);
  add_trace_flags(*verb, flags->trace, "what the ranks did in one more repetition");
  add_common_flags(*verb, session, {CommonFlag::json, CommonFlag::dry_run, CommonFlag::output, CommonFlag::seed});
  verb->callback([flags, &session] { session.action = [flags, &session] { return run(session, *flags); }; });
}

} // namespace ringscale::drivers
