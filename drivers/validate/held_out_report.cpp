// SPDX-License-Identifier: Apache-2.0
#include "drivers/validate/held_out_report.hpp"

#include <array>
#include <cstdio>
#include <functional>
#include <map>

#include "drivers/ring_settings.hpp"
#include "drivers/session.hpp"
#include "sweep/row_parts.hpp"

namespace ringscale::drivers {

namespace {

using report::Json;
using simulator::HeldOutErrors;
using simulator::HeldOutRing;
using sweep::finite_or_null;

std::string percent(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f %%", 100.0 * share);
  return text.data();
}

Json errors_to_json(const HeldOutErrors &errors) {
  Json object = Json::object();
  object["rings"] = errors.rings;
  object["median_error"] = finite_or_null(errors.median);
  object["percentile_90_error"] = finite_or_null(errors.percentile_90);
  object["worst_error"] = finite_or_null(errors.worst);
  object["median_signed_error"] = finite_or_null(errors.median_signed);
  object["covered_share"] = finite_or_null(errors.covered_share);
  object["confidence"] = finite_or_null(errors.confidence);
  return object;
}

/// Rings that are alike in what the error may depend on.
std::string group_of(const HeldOutRing &ring) {
  const schedule::RingProblem &problem = ring.measured.options.problem;
  std::string group = std::string(ring.shares_cores ? "shared cores, " : "own cores, ") +
                      std::string(schedule::name(problem.schedule)) + ", " + std::string(schedule::name(problem.pass));
  if (problem.moving == schedule::Moving::query) {
    group += ", moving queries";
  }
  if (problem.hops == schedule::Hops::needed) {
    group += ", needed hops";
  }
  return group;
}

std::map<std::string, std::vector<HeldOutRing>> groups_of(const std::vector<HeldOutRing> &rings) {
  std::map<std::string, std::vector<HeldOutRing>> groups;
  for (const HeldOutRing &ring : rings) {
    groups[group_of(ring)].push_back(ring);
  }
  return groups;
}

std::string sentence(const std::string &what, const HeldOutErrors &errors) {
  return what + ": median error " + percent(errors.median) + ", 90th percentile " + percent(errors.percentile_90) +
         ", worst " + percent(errors.worst) + ", bias " + percent(errors.median_signed) + " over " +
         std::to_string(errors.rings) + " rings; intervals of " + percent(errors.confidence) + " confidence hold " +
         percent(errors.covered_share);
}

std::string goal(const char *what, double error, double bound) {
  return std::string(what) + " " + percent(error) + (error <= bound ? " within " : " NOT within ") + percent(bound);
}

} // namespace

Json held_out_rows(const machine::Machine &machine, const std::vector<HeldOutRing> &rings) {
  Json rows = Json::array();
  for (const HeldOutRing &ring : rings) {
    const schedule::RingProblem &problem = ring.measured.options.problem;
    Json row = sweep::common_fields({"simulated", "validate", "held-out: " + describe(problem)}, problem,
                                    ring::SoftmaxRule::online, memory::KernelKind::streamed);
    sweep::add_schedule_fields(row, problem);
    row["ranks_on_node"] = ring.measured.options.ranks_on_node;
    row["shares_cores"] = ring.shares_cores;
    row["machine"] = machine.name;
    row["machine_kind"] = machine.kind;
    Json measured = Json::object();
    measured["kind"] = "measured";
    measured["time_s"] = finite_or_null(ring.measured_s);
    measured["time_s_interval"] =
        sweep::interval(ring.measured_interval.low, ring.measured_interval.high, ring.measured_interval.confidence);
    measured["samples_s"] = Json::array();
    for (const double sample : ring.measured.samples_s) {
      measured["samples_s"].push_back(finite_or_null(sample));
    }
    row["measured"] = measured;
    Json predicted = Json::object();
    predicted["kind"] = "simulated";
    predicted["time_s"] = finite_or_null(ring.predicted.time_s);
    predicted["time_s_interval"] =
        sweep::interval(ring.predicted.time_low_s, ring.predicted.time_high_s, ring.predicted.time_confidence);
    predicted["time_source"] = ring.predicted.time_source;
    predicted["extrapolation"] = ring.predicted.extrapolation;
    row["predicted"] = predicted;
    row["relative_error"] = finite_or_null(ring.relative_error);
    row["covered"] = ring.covered;
    rows.push_back(row);
  }
  return rows;
}

Json held_out_summary(const std::vector<HeldOutRing> &rings) {
  const HeldOutErrors own = summarise_errors(of_kind(rings, false));
  const HeldOutErrors shared = summarise_errors(of_kind(rings, true));
  Json summary = Json::object();
  summary["own_cores"] = errors_to_json(own);
  summary["shared_cores"] = errors_to_json(shared);
  summary["goals"] = {{"median_error", median_error_goal},
                      {"percentile_90_error", percentile_90_error_goal},
                      {"median_met", own.median <= median_error_goal},
                      {"percentile_90_met", own.percentile_90 <= percentile_90_error_goal}};
  summary["groups"] = Json::object();
  for (const auto &[group, members] : groups_of(rings)) {
    summary["groups"][group] = errors_to_json(summarise_errors(members));
  }
  return summary;
}

void print_held_out(Session &session, const std::vector<HeldOutRing> &rings) {
  for (const HeldOutRing &ring : rings) {
    std::array<char, 256> line{};
    std::snprintf(line.data(), line.size(), "  %-72s measured %.4g s, simulated %.4g s (%.4g to %.4g), %+.1f %%%s",
                  (describe(ring.measured.options.problem) + (ring.shares_cores ? ", shared cores" : "")).c_str(),
                  ring.measured_s, ring.predicted.time_s, ring.predicted.time_low_s, ring.predicted.time_high_s,
                  100.0 * ring.relative_error, ring.covered ? "" : ", outside");
    session.say(line.data());
  }
  for (const auto &[group, members] : groups_of(rings)) {
    session.say(sentence(group, summarise_errors(members)));
  }
  const HeldOutErrors own = summarise_errors(of_kind(rings, false));
  const HeldOutErrors shared = summarise_errors(of_kind(rings, true));
  if (own.rings > 0) {
    session.say(sentence("ranks with cores of their own", own));
    session.say("goal: " + goal("median", own.median, median_error_goal) + ", " +
                goal("90th percentile", own.percentile_90, percentile_90_error_goal));
  }
  if (shared.rings > 0) {
    session.say(sentence("more ranks than cores", shared));
  }
  if (own.rings > 0 && shared.rings > 0) {
    session.say("sharing cores costs " + percent(shared.median - own.median) + " of median error, " +
                percent(shared.percentile_90 - own.percentile_90) + " at the 90th percentile");
  }
}

} // namespace ringscale::drivers
