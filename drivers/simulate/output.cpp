// SPDX-License-Identifier: Apache-2.0
#include "drivers/simulate/output.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <vector>

#include "simulator/explanation.hpp"
#include "simulator/variation_text.hpp"
#include "sweep/simulation_fields.hpp"

namespace ringscale::drivers {

std::string shown(double value, const char *unit) {
  std::array<char, 160> text{};
  std::snprintf(text.data(), text.size(), "%.6g %s", value, unit);
  return text.data();
}

namespace {

void print_failures(Session &session, const simulator::FailureEstimate &failures) {
  const simulator::FailingRun &run = failures.run;
  const simulator::RecoveryParts &expected = failures.expected;
  session.say("failures          " + shown(expected.failures, "expected in ") +
              shown(run.work_s, "s of work, one every ") + shown(run.job_mtbf_s, "s; ") +
              shown(run.detection_s, "s to detect, ") + shown(run.restart_s, "s to restart"));
  if (failures.rule == simulator::CheckpointRule::none) {
    session.say("checkpoints       none: a failure starts the run from scratch");
  } else {
    session.say("checkpoints       every " + shown(run.interval_s, "s of work (") + simulator::name(failures.rule) +
                "), " + shown(run.checkpoint_s, "s each, ") + shown(run.segments() - 1.0, "in all"));
  }
  session.say("with failures     " + shown(expected.total_s, "s expected (analytic)"));
  const simulator::FailureTrials &trials = failures.simulated;
  if (trials.trials > 0) {
    session.say("                  " + shown(trials.p50_s, "s median, ") + shown(trials.p5_s, "s to ") +
                shown(trials.p95_s, "s in 90 % of ") + std::to_string(trials.trials) + " simulated runs");
  } else if (failures.approximate) {
    session.say("                  " + shown(failures.approximate->p50_s, "s median, ") +
                shown(failures.approximate->p5_s, "s to ") +
                shown(failures.approximate->p95_s, "s in 90 % of runs (analytic: too many failures to play them)"));
  } else {
    session.say("                  no percentiles: no runs asked for, or too many failures to play them");
  }
}

} // namespace

void print_table(Session &session, const machine::Fleet &fleet, const simulator::SimulationOptions &options,
                 const simulator::Simulation &result) {
  session.say("time              " + shown(result.time_s, "s  simulated on ") + fleet.name() + " (" +
              sweep::kind_of(fleet) + ", " + result.dtype + ")");
  if (const std::string variation = simulator::variation_text(options); !variation.empty()) {
    session.say("with              " + variation);
  }
  session.say("throughput        " + shown(result.tokens_per_s, "tokens/s in all, ") +
              shown(result.tokens_per_s_per_device, "tokens/s per device"));
  session.say("efficiency        " +
              shown(100.0 * result.efficiency, "% of the time of the average device is work; bound by ") +
              result.bound);
  session.say("memory per device " + shown(static_cast<double>(result.memory_peak_bytes) / 1e9, "GB of ") +
              shown(static_cast<double>(result.device_memory_bytes) / 1e9, "GB") +
              (result.fits_memory ? "" : ": does not fit"));
  for (const simulator::TypeMemory &type : result.memory_types) {
    if (result.memory_types.size() > 1) {
      session.say("                  " + std::to_string(type.devices) + " x " + type.machine + ": " +
                  shown(static_cast<double>(type.memory_peak_bytes) / 1e9, "GB of ") +
                  shown(static_cast<double>(type.device_memory_bytes) / 1e9, "GB") +
                  (type.fits_memory ? "" : ": does not fit"));
    }
  }
  session.say("devices finish    " + shown(result.finish.p0_s, "s first, ") + shown(result.finish.p50_s, "s median, ") +
              shown(result.finish.p100_s, "s last"));
  if (result.hold_out_points > 0) {
    session.say("error             " + shown(100.0 * result.hold_out_median_relative_error, "% median on ") +
                std::to_string(result.hold_out_points) + " real rings left out of the fit");
  } else {
    session.say("error             unknown: a machine file was written from published numbers, not calibrated");
  }
  if (result.extrapolated) {
    session.say("extrapolated      " + result.extrapolation);
  }
  if (result.result_hops > 0.0) {
    session.say("results           " + shown(result.result_hops, "messages of up to ") +
                shown(result.result_hop_bytes, "bytes, times of ") + result.time_source);
  }
  if (result.failures) {
    print_failures(session, *result.failures);
  }
  session.say("simulator         " + shown(result.hops, "hops in ") + shown(result.wall_s, "s, ") + result.engine +
              " engine");
}

void print_explanation(Session &session, const simulator::Simulation &result) {
  const simulator::Explanation explanation = simulator::explain(result);
  session.say("slowest device    rank " + std::to_string(explanation.rank) +
              (explanation.passes > 1 ? ", " + std::to_string(explanation.passes) + " passes" : ""));
  if (!std::isfinite(explanation.total_s)) {
    session.say("  no parts: the run is not expected to end");
    return;
  }
  constexpr int digits = 7;
  std::vector<double> seconds;
  std::vector<double> shares;
  for (const simulator::ExplainedPart &part : explanation.parts) {
    seconds.push_back(part.seconds);
    shares.push_back(100.0 * part.seconds / explanation.total_s);
  }
  const std::vector<std::string> times = simulator::decimals_that_add_up(seconds, explanation.total_s, digits);
  const std::vector<std::string> percentages = simulator::decimals_that_add_up(shares, 100.0, 5);
  for (std::size_t line = 0; line < times.size(); ++line) {
    const bool total = line == explanation.parts.size();
    std::array<char, 160> text{};
    std::snprintf(text.data(), text.size(), "  %-26s %18s s  %6s %%  %s",
                  total ? "total" : explanation.parts[line].name.c_str(), times[line].c_str(),
                  percentages[line].c_str(), total ? "" : explanation.parts[line].kind.c_str());
    std::string row = text.data();
    session.say(row.substr(0, row.find_last_not_of(' ') + 1));
  }
}

} // namespace ringscale::drivers
