// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "machine/fleet.hpp"
#include "report/json.hpp"
#include "ring/traced_repetition.hpp"
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

/// What to show of `ranks` ranks and of a schedule with `steps` steps. Throws InvalidInput for what is no choice of
/// them, and for ranks or steps chosen without --trace.
schedule::TimelineSelection selection_of(const TraceFlags &flags, std::int64_t ranks, std::int64_t steps);

/// Throws InvalidInput where the file could not be written, before any work.
void require_trace_file(const TraceFlags &flags);

/// Writes the trace of a simulated pass; `machine_file` is the one on the command line.
void write_simulated_trace(Session &session, const TraceFlags &flags, const machine::Fleet &fleet,
                           const std::string &machine_file, const simulator::SimulationOptions &options,
                           const simulator::Simulation &result);

/// Writes the trace of a real run's traced repetition, beside the times of those that were not traced.
void write_measured_trace(Session &session, const TraceFlags &flags, const ring::RingOptions &options,
                          const ring::MeasuredTimeline &trace, const std::vector<double> &untraced_s);

} // namespace ringscale::drivers
