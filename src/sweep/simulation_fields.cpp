// SPDX-License-Identifier: Apache-2.0
#include "sweep/simulation_fields.hpp"

#include "sweep/row_parts.hpp"

namespace ringscale::sweep {

using report::Json;

void add_failure_fields(Json &row, const simulator::FailureEstimate &failures) {
  const simulator::FailingRun &run = failures.run;
  const bool writes = failures.rule != simulator::CheckpointRule::none;
  row["passes"] = failures.passes;
  row["device_mtbf_s"] = failures.device_mtbf_s;
  row["job_mtbf_s"] = run.job_mtbf_s;
  row["failure_detection_s"] = run.detection_s;
  row["failure_restart_s"] = run.restart_s;
  row["checkpoint_rule"] = simulator::name(failures.rule);
  row["checkpoint_interval_s"] = writes ? Json(run.interval_s) : Json(nullptr);
  row["one_checkpoint_s"] = writes ? Json(run.checkpoint_s) : Json(nullptr);
  row["device_checkpoint_bytes"] = failures.checkpoint_bytes;
  const simulator::RecoveryParts &expected = failures.expected;
  row["failures_expected"] = finite_or_null(expected.failures);
  row["checkpoint_s"] = finite_or_null(expected.checkpoint_s);
  row["lost_work_s"] = finite_or_null(expected.lost_work_s);
  row["detection_s"] = finite_or_null(expected.detection_s);
  row["restart_s"] = finite_or_null(expected.restart_s);
  row["time_with_failures_s"] = finite_or_null(expected.total_s);
  const simulator::FailureTrials &trials = failures.simulated;
  row["failure_trials"] = trials.trials;
  const auto add_percentiles = [&](double p5_s, double p50_s, double p95_s) {
    Json percentiles = Json::object();
    percentiles["p5"] = p5_s;
    percentiles["p50"] = p50_s;
    percentiles["p95"] = p95_s;
    row["time_with_failures_s_percentiles"] = percentiles;
  };
  if (failures.approximate) {
    add_percentiles(failures.approximate->p5_s, failures.approximate->p50_s, failures.approximate->p95_s);
  }
  if (trials.trials > 0) {
    add_percentiles(trials.p5_s, trials.p50_s, trials.p95_s);
    row["time_with_failures_s_mean"] = trials.mean.total_s;
    row["time_with_failures_s_standard_error"] = trials.standard_error_s;
    row["failures_mean"] = trials.mean.failures;
  }
}

std::string kind_of(const machine::Fleet &fleet) {
  for (std::size_t type = 0; type < fleet.types(); ++type) {
    if (fleet.machine(type).kind != "measured") {
      return fleet.machine(type).kind;
    }
  }
  return "measured";
}

void add_what_if_fields(Json &row, const simulator::SimulationOptions &options,
                        const simulator::Simulation &simulation) {
  if (simulation.memory_types.size() > 1) {
    row["device_types"] = Json::array();
    for (const simulator::TypeMemory &type : simulation.memory_types) {
      Json entry = Json::object();
      entry["machine"] = type.machine;
      entry["machine_kind"] = type.machine_kind;
      entry["devices"] = type.devices;
      entry["memory_peak_bytes"] = type.memory_peak_bytes;
      entry["device_memory_bytes"] = type.device_memory_bytes;
      entry["fits_memory"] = type.fits_memory;
      row["device_types"].push_back(entry);
    }
  }
  if (options.straggler_share > 0.0) {
    row["straggler_share"] = options.straggler_share;
    row["straggler_factor"] = options.straggler_factor;
  }
  if (options.measured_jitter) {
    row["measured_jitter"] = true;
  }
  if (options.tile_speedup != 1.0) {
    row["tile_speedup"] = options.tile_speedup;
  }
}

void add_field_kinds(Json &row) {
  Json kinds = Json::object();
  for (const char *field :
       {"hop_bytes", "result_hop_bytes", "hop_s", "memory_bytes", "memory_peak_bytes", "fits_memory", "device_types",
        "tile_speedup", "job_mtbf_s", "one_checkpoint_s", "checkpoint_interval_s", "failures_expected", "checkpoint_s",
        "lost_work_s", "detection_s", "restart_s", "time_with_failures_s"}) {
    if (row.contains(field)) {
      kinds[field] = "analytic";
    }
  }
  // Percentiles of runs that were not played are those of a closed form.
  if (row.contains("time_with_failures_s_percentiles") && row["failure_trials"] == 0) {
    kinds["time_with_failures_s_percentiles"] = "analytic";
  }
  row["field_kinds"] = kinds;
}

} // namespace ringscale::sweep
