// SPDX-License-Identifier: Apache-2.0
#include "drivers/trace_flags.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>

#include "drivers/flag_checks.hpp"
#include "drivers/session.hpp"
#include "machine/machine.hpp"
#include "problem/invalid_input.hpp"
#include "report/output_file.hpp"
#include "report/trace_document.hpp"
#include "schedule/process_grid.hpp"
#include "simulator/ring_timeline.hpp"

namespace ringscale::drivers {

using problem::InvalidInput;
using report::Json;
using schedule::Timeline;
using schedule::TimelineMessage;
using schedule::TimelineSelection;
using schedule::TimelineSlice;

namespace {

/// Processes of simulated ranks are numbered beyond those of measured ones, so that both open together.
constexpr std::int64_t first_measured_process = 1;
constexpr std::int64_t first_simulated_process = 1'000'001;
/// And so are messages.
constexpr std::int64_t first_measured_message = 1;
constexpr std::int64_t first_simulated_message = 1'000'000'001;

/// Events of one kind in a document.
class Writer {
public:
  Writer(std::string kind, std::int64_t first_process, std::int64_t first_message)
      : kind_(std::move(kind)), first_process_(first_process), first_message_(first_message) {}

  std::string text(const Timeline &timeline, const Json &other) {
    for (const std::int64_t rank : timeline.ranks) {
      document_.add(report::TraceProcess{first_process_ + rank, "rank " + std::to_string(rank) + " (" + kind_ + ")",
                                         2 * rank + (kind_ == "simulated" ? 1 : 0)});
    }
    for (const TimelineSlice &slice : timeline.slices) {
      add(slice);
    }
    for (std::size_t index = 0; index < timeline.messages.size(); ++index) {
      add(timeline, timeline.messages[index], index);
    }
    return document_.text(other);
  }
  std::int64_t event_count() const { return document_.event_count(); }

private:
  void add(const TimelineSlice &slice) {
    Json arguments = Json::object();
    arguments["kind"] = kind_;
    arguments["step"] = slice.step;
    if (slice.owner >= 0) {
      arguments["owner"] = slice.owner;
    }
    if (slice.pairs >= 0.0) {
      arguments["pairs"] = slice.pairs;
    }
    document_.add(report::TraceSlice{first_process_ + slice.rank, schedule::name(slice.activity),
                                     schedule::category(slice.activity), slice.begin_s, slice.end_s},
                  arguments);
  }

  void add(const Timeline &timeline, const TimelineMessage &message, std::size_t index) {
    const auto shown = [&](std::int64_t rank) {
      return std::binary_search(timeline.ranks.begin(), timeline.ranks.end(), rank);
    };
    Json arguments = Json::object();
    arguments["kind"] = kind_;
    arguments["from"] = message.from;
    arguments["to"] = message.to;
    arguments["owner"] = message.owner;
    arguments["bytes"] = message.bytes;
    arguments["channel"] = message.channel;
    arguments["departure_step"] = message.departure_step;
    arguments["until_step"] = message.until_step;
    document_.add(report::TraceMessage{first_message_ + static_cast<std::int64_t>(index),
                                       message.is_result ? "result" : "block", first_process_ + message.from,
                                       first_process_ + message.to, shown(message.from), shown(message.to),
                                       message.begin_s, message.end_s},
                  arguments);
  }

  std::string kind_;
  std::int64_t first_process_;
  std::int64_t first_message_;
  report::TraceDocument document_;
};

Json other_data(const std::string &kind, const Timeline &timeline, double time_s, const TimelineSelection &selection,
                std::int64_t steps) {
  Json other = Json::object();
  other["schema"] = "ringscale.trace";
  other["schema_version"] = 1;
  other["kind"] = kind;
  other["time_s"] = time_s;
  other["ranks"] = timeline.ranks;
  other["first_step"] = selection.first_step;
  other["last_step"] = std::min(selection.last_step, steps - 1);
  return other;
}

TraceText text_of(Session &session, Writer &writer, const Timeline &timeline, Json other) {
  other["provenance"] = session.run_provenance();
  std::string text = writer.text(timeline, other);
  return {std::move(text), writer.event_count()};
}

} // namespace

void add_trace_flags(CLI::App &verb, TraceFlags &flags, const std::string &what) {
  verb.add_option("--trace", flags.file, "New file for a trace that Perfetto opens: " + what)->check(named);
  verb.add_option("--trace-ranks", flags.ranks, "Ranks in the trace, such as 0-3,17 (default all)");
  verb.add_option("--trace-steps", flags.steps, "Steps in the trace, such as 5 or 0-7 (default all)");
}

TimelineSelection selection_of(const TraceFlags &flags, std::int64_t ranks, std::int64_t steps) {
  if (!flags.asked_for() && !(flags.ranks.empty() && flags.steps.empty())) {
    throw InvalidInput("--trace-ranks and --trace-steps have no effect without --trace");
  }
  TimelineSelection selection;
  if (flags.ranks.empty()) {
    const std::string all = ranks == 1 ? "0" : "0-" + std::to_string(ranks - 1);
    selection.ranks = flags.asked_for() ? schedule::parse_number_list("--trace without --trace-ranks", all, ranks)
                                        : std::vector<std::int64_t>{};
  } else {
    selection.ranks = schedule::parse_number_list("--trace-ranks", flags.ranks, ranks);
  }
  if (!flags.steps.empty()) {
    const std::vector<std::int64_t> chosen = schedule::parse_number_list("--trace-steps", flags.steps, steps);
    selection.first_step = chosen.front();
    selection.last_step = chosen.back();
    if (selection.last_step - selection.first_step + 1 != static_cast<std::int64_t>(chosen.size())) {
      throw InvalidInput("--trace-steps: '" + flags.steps + "' leaves steps out; write one range, such as 0-7");
    }
  }
  return selection;
}

std::int64_t simulated_steps(const schedule::RingProblem &problem) {
  return schedule::step_count(problem) + (schedule::has_results(problem) ? 1 : 0);
}

std::int64_t measured_steps(const schedule::ProcessGrid &grid, const schedule::RingProblem &problem) {
  const bool heads_come_back = grid.sequence > 1;
  return schedule::step_count(problem) + (heads_come_back || schedule::has_results(problem) ? 1 : 0);
}

void require_trace_file(const TraceFlags &flags) {
  if (flags.asked_for()) {
    report::require_new_file(flags.file);
  }
}

void write_trace(Session &session, const TraceFlags &flags, const TraceText &trace) {
  report::write_file_exclusive(flags.file, trace.text);
  session.say("wrote " + flags.file + ", " + std::to_string(trace.events) +
              " events; open it in https://ui.perfetto.dev");
}

TraceText simulated_trace(Session &session, const TraceFlags &flags, const machine::Fleet &fleet,
                          const std::string &machine_file, const simulator::SimulationOptions &options,
                          const simulator::Simulation &result) {
  const std::int64_t steps = simulated_steps(options.problem);
  const TimelineSelection selection = selection_of(flags, options.problem.ring_size, steps);
  const Timeline timeline = simulator::ring_timeline(fleet, options, result, selection);
  Json other = other_data("simulated", timeline, result.time_s, selection, steps);
  Json simulated = Json::object();
  // One type that was not measured makes the whole answer rest on published numbers.
  std::string kind = "measured";
  for (std::size_t type = 0; type < fleet.types(); ++type) {
    kind = fleet.machine(type).kind == "measured" ? kind : fleet.machine(type).kind;
  }
  simulated["machine_file"] = machine_file;
  simulated["machine"] = fleet.name();
  simulated["machine_kind"] = kind;
  simulated["ring_size"] = options.problem.ring_size;
  simulated["engine"] = result.engine;
  simulated["tick_s"] = result.tick_s;
  simulated["seed"] = options.seed;
  simulated["speed_spread"] = options.speed_spread;
  simulated["jitter"] = options.jitter;
  simulated["measured_jitter"] = options.measured_jitter;
  simulated["straggler_share"] = options.straggler_share;
  simulated["straggler_factor"] = options.straggler_factor;
  simulated["tile_speedup"] = options.tile_speedup;
  other["simulated"] = simulated;
  Writer writer("simulated", first_simulated_process, first_simulated_message);
  return text_of(session, writer, timeline, other);
}

void write_measured_trace(Session &session, const TraceFlags &flags, const ring::RingOptions &options,
                          const ring::MeasuredTimeline &trace, const std::vector<double> &untraced_s) {
  const schedule::ProcessGrid grid = ring::process_grid(options);
  const std::int64_t steps = measured_steps(grid, schedule::share_of(grid, options.problem, 0).ring);
  const TimelineSelection selection = selection_of(flags, grid.size(), steps);
  Json other = other_data("measured", trace.timeline, trace.time_s, selection, steps);
  Json measured = Json::object();
  measured["ring_size"] = grid.ring;
  measured["seed"] = options.seed;
  measured["repetition"] = "one more after the timed repetitions, which are not traced";
  measured["untraced_samples_s"] = untraced_s;
  measured["reversed_messages"] = trace.reversed_messages;
  Json clocks = Json::array();
  for (const ring::TracedRank &rank : trace.ranks) {
    Json clock = Json::object();
    clock["rank"] = rank.rank;
    clock["begin_s"] = rank.begin_s;
    clock["end_s"] = rank.end_s;
    clock["clock_offset_s"] = rank.clock_offset_s;
    clock["clock_uncertainty_s"] = rank.clock_uncertainty_s;
    clock["polls_left_out"] = rank.polls_left_out;
    clocks.push_back(clock);
  }
  measured["ranks"] = clocks;
  other["measured"] = measured;
  Writer writer("measured", first_measured_process, first_measured_message);
  write_trace(session, flags, text_of(session, writer, trace.timeline, other));
}

} // namespace ringscale::drivers
