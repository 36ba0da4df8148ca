// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "machine/fleet.hpp"
#include "report/json.hpp"
#include "ring/traced_repetition.hpp"
#include "schedule/process_grid.hpp"
#include "schedule/timeline.hpp"
#include "simulator/simulation.hpp"

namespace CLI {
class App;
}

namespace ringscale::drivers {

class Session;

/// --trace, --trace-ranks and --trace-steps as typed.
struct TraceFlags {
  std::string file;
  std::string ranks; ///< empty: all
  std::string steps; ///< empty: all

  bool asked_for() const { return !file.empty(); }
};

/// Declares the flags; `what` says what a trace of the verb shows.
void add_trace_flags(CLI::App &verb, TraceFlags &flags, const std::string &what);

/// Steps that a trace can show: one more than the schedule computes in where results come home after them, or, of
/// measured rings, where heads are exchanged for tokens again.
std::int64_t simulated_steps(const schedule::RingProblem &problem);
std::int64_t measured_steps(const schedule::ProcessGrid &grid, const schedule::RingProblem &problem);

/// What to show of `ranks` ranks and `steps` steps. Throws InvalidInput for what is no choice of
/// them, and for ranks or steps chosen without --trace.
schedule::TimelineSelection selection_of(const TraceFlags &flags, std::int64_t ranks, std::int64_t steps);

/// Throws InvalidInput where the file could not be written, before any work.
void require_trace_file(const TraceFlags &flags);

/// A trace as it will be written.
struct TraceText {
  std::string text;
  std::int64_t events = 0;
};

/// The trace of a simulated pass; `machine_file` is the one on the command line.
TraceText simulated_trace(Session &session, const TraceFlags &flags, const machine::Fleet &fleet,
                          const std::string &machine_file, const simulator::SimulationOptions &options,
                          const simulator::Simulation &result);

/// Writes it into the file of --trace.
void write_trace(Session &session, const TraceFlags &flags, const TraceText &trace);

/// Writes the trace of a real run's traced repetition, beside the times of those that were not traced.
void write_measured_trace(Session &session, const TraceFlags &flags, const ring::RingOptions &options,
                          const ring::MeasuredTimeline &trace, const std::vector<double> &untraced_s);

} // namespace ringscale::drivers
