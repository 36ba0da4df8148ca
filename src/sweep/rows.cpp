// SPDX-License-Identifier: Apache-2.0
#include "sweep/rows.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "statistics/summary.hpp"
#include "sweep/row_parts.hpp"
#include "sweep/simulation_fields.hpp"

namespace ringscale::sweep {

namespace {

using report::Json;

/// What a design of memory_model.hpp does, in the words of the other rows.
struct Design {
  bool is_ring;
  bool replicates_queries;
  memory::KernelKind kernel;
};

Design design_of(memory::MemoryModel model) {
  using memory::KernelKind;
  using memory::MemoryModel;
  switch (model) {
  case MemoryModel::ring_sharded:
    return {true, false, KernelKind::streamed};
  case MemoryModel::ring_sharded_materialised:
    return {true, false, KernelKind::materialised};
  case MemoryModel::ring_replicated_queries:
    return {true, true, KernelKind::streamed};
  case MemoryModel::ring_replicated_queries_materialised:
    return {true, true, KernelKind::materialised};
  case MemoryModel::ideal_sharded:
    return {false, false, KernelKind::streamed};
  case MemoryModel::divided_key_value_materialised:
    return {false, true, KernelKind::materialised};
  case MemoryModel::serial_chunk_loop:
  case MemoryModel::block_diagonal_chunk_loop:
  case MemoryModel::single_device_materialised:
    return {false, false, KernelKind::materialised};
  }
  return {false, false, KernelKind::streamed};
}

} // namespace

Json simulation_row(const std::string &point, const machine::Machine &machine,
                    const simulator::SimulationOptions &options, const simulator::Simulation &simulation) {
  return simulation_row(point, machine::Fleet(machine, options.problem.ring_size), options, simulation);
}

Json simulation_row(const std::string &point, const machine::Fleet &fleet, const simulator::SimulationOptions &options,
                    const simulator::Simulation &simulation) {
  Json row =
      common_fields({"simulated", "simulate", point}, options.problem, ring::SoftmaxRule::online, options.kernel);
  add_schedule_fields(row, options.problem);
  if (!options.device_speeds.empty()) {
    row["device_speeds"] = options.device_speeds;
  }
  row["time_source"] = simulation.time_source;
  row["dtype"] = simulation.dtype; // a published machine computes in its own
  row["seed"] = options.seed;
  row["machine"] = fleet.name();
  row["machine_kind"] = kind_of(fleet);
  row["speed_spread"] = options.speed_spread;
  row["jitter"] = options.jitter;
  add_what_if_fields(row, options, simulation);
  row["hops"] = static_cast<std::int64_t>(simulation.hops_per_device);
  row["hops_all_devices"] = simulation.hops;
  row["result_hops"] = static_cast<std::int64_t>(simulation.result_hops_per_device);
  row["result_hops_all_devices"] = simulation.result_hops;
  row["result_hop_bytes"] = simulation.result_hop_bytes;
  row["hop_bytes"] = simulation.hop_bytes;
  row["hop_s"] = finite_or_null(simulation.hop_s);
  row["time_s"] = finite_or_null(simulation.time_s);
  row["time_s_interval"] = interval(simulation.time_low_s, simulation.time_high_s, simulation.time_confidence);
  row["tokens_per_s"] = finite_or_null(simulation.tokens_per_s);
  row["tokens_per_s_per_device"] = finite_or_null(simulation.tokens_per_s_per_device);
  row["efficiency"] = finite_or_null(simulation.efficiency);
  row["bound"] = simulation.bound;
  row["compute_s"] = finite_or_null(simulation.slowest.compute_s);
  row["merge_s"] = finite_or_null(simulation.slowest.merge_s);
  row["fixed_s"] = finite_or_null(simulation.slowest.fixed_s);
  row["exposed_communication_s"] = finite_or_null(simulation.slowest.exposed_communication_s);
  row["waiting_s"] = finite_or_null(simulation.slowest.waiting_s);
  Json finish = Json::object();
  finish["p0"] = finite_or_null(simulation.finish.p0_s);
  finish["p5"] = finite_or_null(simulation.finish.p5_s);
  finish["p25"] = finite_or_null(simulation.finish.p25_s);
  finish["p50"] = finite_or_null(simulation.finish.p50_s);
  finish["p75"] = finite_or_null(simulation.finish.p75_s);
  finish["p95"] = finite_or_null(simulation.finish.p95_s);
  finish["p100"] = finite_or_null(simulation.finish.p100_s);
  row["finish_s_percentiles"] = finish;
  row["memory_bytes"] = by_purpose(simulation.memory);
  row["memory_peak_bytes"] = simulation.memory_peak_bytes;
  row["device_memory_bytes"] = simulation.device_memory_bytes;
  row["fits_memory"] = simulation.fits_memory;
  row["extrapolated"] = simulation.extrapolated;
  row["extrapolation"] = simulation.extrapolation;
  row["hold_out_median_relative_error"] = finite_or_null(simulation.hold_out_median_relative_error);
  row["hold_out_points"] = simulation.hold_out_points;
  row["engine"] = simulation.engine;
  row["tick_s"] = finite_or_null(simulation.tick_s);
  row["steps_computed"] = simulation.steps_computed;
  row["wall_s"] = finite_or_null(simulation.wall_s);
  row["hops_per_s"] = finite_or_null(simulation.hops_per_s);
  if (simulation.failures) {
    add_failure_fields(row, *simulation.failures);
  }
  add_field_kinds(row);
  return row;
}

Json memory_row(const std::string &point, memory::MemoryModel model, const schedule::RingProblem &problem,
                const memory::KernelFootprint &footprint) {
  const Design design = design_of(model);
  schedule::RingProblem shown = problem;
  if (design.replicates_queries) {
    shown.placement = schedule::Placement::replicated_queries;
  } else if (problem.placement == schedule::Placement::replicated_queries) {
    shown.placement = schedule::Placement::contiguous;
  }
  Json row = common_fields({"analytic", "memory", point}, shown, ring::SoftmaxRule::online, design.kernel);
  if (!design.is_ring) {
    row["schedule"] = "none";
  }
  row["model"] = memory::name(model);
  row["key_tile_tokens"] = footprint.key_tile_tokens;
  row["workspace_bytes"] = footprint.workspace_bytes;
  const memory::MemoryByPurpose memory = memory::model_memory(model, problem, footprint);
  row["memory_bytes"] = by_purpose(memory);
  row["memory_peak_bytes"] = memory.total();
  return row;
}

Json merge_error_row(const std::string &point, const ring::MergeErrorOptions &options, const ring::MergeErrorRun &run) {
  schedule::RingProblem one_device;
  one_device.attention = options.problem;
  Json row = common_fields({"measured", "attention", point}, one_device, ring::SoftmaxRule::online,
                           memory::KernelKind::streamed);
  row["schedule"] = "none"; // one device: nothing is scheduled or placed
  row["placement"] = "none";
  row["seed"] = options.seed;
  row["threads"] = run.threads;
  row["pass"] = "forward";
  row["pattern"] = "dense";
  row["arithmetic"] = options.problem.dtype == problem::DType::float32 ? "float32" : "converted to float32";
  row["query_tokens"] = options.query_tokens;
  row["merged_blocks"] = options.merged_blocks;
  row["merge_dtype"] = problem::name(options.merge_dtype);
  const auto largest = [](const std::vector<double> &samples) {
    double most = 0.0;
    for (const double sample : samples) {
      most = std::isnan(sample) || sample > most ? sample : most;
    }
    return most;
  };
  row["max_error"] = finite_or_null(largest(run.max_error_samples));
  row["error_bound"] = run.error_bound;
  row["total_max_error"] = finite_or_null(largest(run.total_max_error_samples));
  row["total_error_bound"] = run.total_error_bound;
  row["max_lse_error"] = finite_or_null(largest(run.max_lse_error_samples));
  row["lse_error_bound"] = run.lse_error_bound;
  row["wrong_elements"] = run.wrong_elements;
  const auto add_samples = [&](const std::string &name, const std::vector<double> &samples) {
    const bool finite =
        std::all_of(samples.begin(), samples.end(), [](double sample) { return std::isfinite(sample); });
    const statistics::Interval spread =
        finite ? statistics::median_interval(samples) : statistics::Interval{std::nan(""), std::nan(""), std::nan("")};
    row[name + "_median"] = finite ? Json(statistics::median(samples)) : Json(nullptr);
    row[name + "_interval"] = interval(spread.low, spread.high, spread.confidence);
    row[name + "_samples"] = Json::array();
    for (const double sample : samples) {
      row[name + "_samples"].push_back(finite_or_null(sample));
    }
  };
  add_samples("max_error", run.max_error_samples);
  add_samples("mean_error", run.mean_error_samples);
  add_samples("total_max_error", run.total_max_error_samples);
  add_samples("total_mean_error", run.total_mean_error_samples);
  row["output_rms"] = finite_or_null(statistics::median(run.output_rms_samples));
  row["mean_error"] = row["mean_error_median"];
  row["total_mean_error"] = row["total_mean_error_median"];
  std::vector<std::string> reasons;
  if (run.wrong_elements != 0) {
    reasons.push_back(std::to_string(run.wrong_elements) + " elements are beyond their bound, or not numbers");
  }
  row["verdict"] = reasons.empty() ? "valid" : "invalid";
  row["reasons"] = reasons;
  return row;
}

} // namespace ringscale::sweep
