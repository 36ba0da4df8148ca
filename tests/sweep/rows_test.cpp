// SPDX-License-Identifier: Apache-2.0
#include "sweep/row_parts.hpp"
#include "sweep/rows.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace ringscale::sweep {
namespace {

using report::Json;

ring::RingOptions sample_options() {
  ring::RingOptions options;
  options.problem.attention.tokens = 1001;
  options.problem.attention.batch = 2;
  options.problem.ring_size = 4;
  return options;
}

ring::RingRun sample_run() {
  ring::RingRun run;
  run.samples_s = {0.2, 0.1, 0.4, 0.3, 0.25, 0.15};
  run.verified = true;
  run.max_error = 1e-7;
  run.error_bound = 1e-6;
  run.max_lse_error = 1e-7;
  run.lse_error_bound = 1e-6;
  run.memory[memory::Purpose::query] = 100;
  run.memory_peak_bytes = 100;
  run.memory_closed_form_bytes = 100;
  run.hops = 3;
  run.valid = true;
  return run;
}

const std::vector<std::string> common{"kind",     "verb",     "point",     "schedule",    "placement", "softmax",
                                      "kernel",   "mask",     "dtype",     "batch",       "tokens",    "query_heads",
                                      "kv_heads", "head_dim", "ring_size", "chunk_tokens"};

void expect_fields(const Json &row, const std::vector<std::string> &fields) {
  for (const std::string &field : fields) {
    EXPECT_TRUE(row.contains(field)) << field;
  }
}

TEST(MergeErrorRow, SumsUpItsSamples) {
  ring::MergeErrorOptions options;
  options.problem.tokens = 4096;
  options.problem.dtype = problem::DType::bfloat16;
  options.merge_dtype = problem::DType::bfloat16;
  options.merged_blocks = 16;
  ring::MergeErrorRun run;
  run.max_error_samples = {3e-3, 1e-3, 2e-3};
  run.mean_error_samples = {3e-4, 1e-4, 2e-4};
  run.total_max_error_samples = run.max_error_samples;
  run.total_mean_error_samples = run.mean_error_samples;
  run.max_lse_error_samples = run.mean_error_samples;
  run.output_rms_samples = {0.1, 0.2, 0.3};
  run.error_bound = run.total_error_bound = run.lse_error_bound = 1e-2;
  Json row = merge_error_row("p", options, run);
  expect_fields(row, common);
  EXPECT_EQ(row["kind"], "measured");
  EXPECT_EQ(row["verb"], "attention");
  EXPECT_EQ(row["merged_blocks"], 16);
  EXPECT_EQ(row["merge_dtype"], "bfloat16");
  EXPECT_EQ(row["max_error"], 3e-3);
  EXPECT_EQ(row["max_error_median"], 2e-3);
  EXPECT_EQ(row["mean_error"], 2e-4);
  EXPECT_EQ(row["mean_error_interval"]["low"], 1e-4);
  EXPECT_EQ(row["mean_error_samples"].size(), 3U);
  EXPECT_EQ(row["output_rms"], 0.2);
  EXPECT_EQ(row["verdict"], "valid");
  run.max_error_samples[1] = std::nan("");
  run.wrong_elements = 1;
  row = merge_error_row("p", options, run);
  EXPECT_TRUE(row["max_error"].is_null());
  EXPECT_TRUE(row["max_error_median"].is_null());
  EXPECT_EQ(row["verdict"], "invalid");
  EXPECT_EQ(row["reasons"].size(), 1U);
}

TEST(RingRow, HasTheFieldsThatReadersRelyOn) {
  const Json row = ring_row("p", sample_options(), sample_run());
  expect_fields(row, common);
  expect_fields(row, {"seed",
                      "hops",
                      "time_s",
                      "time_s_interval",
                      "samples_s",
                      "tokens_per_s",
                      "tokens_per_s_per_device",
                      "max_error",
                      "error_bound",
                      "max_lse_error",
                      "lse_error_bound",
                      "wrong_elements",
                      "blocks_met_once",
                      "memory_bytes",
                      "memory_peak_bytes",
                      "memory_closed_form_bytes",
                      "peak_rss_bytes",
                      "compute_s",
                      "exposed_communication_s",
                      "progress",
                      "ranks_per_core",
                      "threads_per_rank",
                      "verdict",
                      "reasons"});
  EXPECT_DOUBLE_EQ(row["time_s"].get<double>(), 0.225);
  EXPECT_DOUBLE_EQ(row["tokens_per_s"].get<double>(), 2.0 * 1001.0 / 0.225);
  EXPECT_DOUBLE_EQ(row["tokens_per_s_per_device"].get<double>(), 2.0 * 1001.0 / 0.225 / 4.0);
  EXPECT_EQ(row["time_s_interval"]["low"], 0.1);
  EXPECT_EQ(row["time_s_interval"]["high"], 0.4);
  EXPECT_EQ(row["chunk_tokens"], 251);
  EXPECT_EQ(row["memory_bytes"]["query"], 100);
  EXPECT_EQ(row["memory_bytes"].size(), memory::purpose_count);
  EXPECT_EQ(row["verdict"], "valid");
}

TEST(RingRow, TurnsNaNIntoNullAndStaysWritable) {
  ring::RingRun run = sample_run();
  run.max_error = std::nan("");
  run.valid = false;
  run.reasons = {"output is not a number"};
  const Json row = ring_row("p", sample_options(), run);
  EXPECT_TRUE(row.at("max_error").is_null());
  EXPECT_TRUE(row.at("messages_only_s").is_null()) << "nothing was measured";
  EXPECT_EQ(row["verdict"], "invalid");
  EXPECT_NO_THROW(report::write_json(row, -1));
}

TEST(RingRow, ReportsNoErrorWithoutVerification) {
  ring::RingRun run = sample_run();
  run.verified = false;
  run.max_error = 0.0;
  const Json row = ring_row("p", sample_options(), run);
  EXPECT_TRUE(row.at("max_error").is_null());
  EXPECT_TRUE(row.at("wrong_elements").is_null());
}

TEST(RingRow, HasGradientsOfABackwardPassAndWhatWasGivenUp) {
  ring::RingOptions options = sample_options();
  options.problem.pass = schedule::Pass::backward;
  options.problem.schedule = schedule::Schedule::double_ring;
  options.problem.inner_ring_size = 2;
  options.problem.chunks = schedule::weighted_chunks({1.0, 1.0, 2.0, 4.0});
  options.grid = {2, 1, 4, 2};
  ring::RecoveredRun recovered;
  recovered.run = sample_run();
  recovered.run.has_gradients = true;
  recovered.run.max_gradient_error = {1e-6, std::nan(""), 3e-6};
  recovered.run.gradient_error_bound = {1e-3, 2e-3, 3e-3};
  recovered.run.messages_only_samples_s = {0.05, 0.04, 0.06};
  recovered.run.hidden_fraction = -0.5;
  recovered.plan.steps.push_back({memory::RecoveryAction::split_batch, 1000, 500, 0.0, {false, false, 2, {}}});
  recovered.pool.hits = 3;
  Json row = ring_row("p", options, recovered.run);
  add_recovery_fields(row, recovered);
  EXPECT_EQ(row.at("pass"), "backward");
  EXPECT_EQ(row.at("inner_ring_size"), 2);
  EXPECT_EQ(row.at("chunk_shares"), Json::array({0.125, 0.125, 0.25, 0.5}));
  EXPECT_EQ(row.at("max_gradient_error").at("query"), 1e-6);
  EXPECT_TRUE(row.at("max_gradient_error").at("key").is_null());
  EXPECT_EQ(row.at("gradient_error_bound").at("value"), 3e-3);
  EXPECT_EQ(row.at("messages_only_s"), 0.05);
  EXPECT_EQ(row.at("hidden_fraction"), -0.5);
  EXPECT_EQ(row.at("sequence_size"), 2);
  EXPECT_DOUBLE_EQ(row.at("tokens_per_s").get<double>(), 16.0 * row.at("tokens_per_s_per_device").get<double>());
  EXPECT_EQ(row.at("recovery").at(0).at("action"), "split_batch");
  EXPECT_EQ(row.at("recovery").at(0).at("batch_pieces"), 2);
  EXPECT_EQ(row.at("buffer_pool").at("hits"), 3);
}

TEST(SimulationRow, HasTheFieldsThatReadersRelyOn) {
  machine::Machine machine;
  machine.name = "m";
  simulator::SimulationOptions options;
  options.problem.attention.tokens = 4096 * 8;
  options.problem.ring_size = 8;
  simulator::Simulation simulation;
  simulation.time_s = 2.0;
  simulation.time_low_s = 1.5;
  simulation.time_high_s = 2.5;
  simulation.dtype = "float32";
  simulation.hops = 56.0;
  simulation.hops_per_device = 7.0;
  simulation.result_hops_per_device = 8.0;
  simulation.result_hop_bytes = 4096.0;
  options.problem.pass = schedule::Pass::backward;
  options.device_speeds.assign(8, 2.0);
  const Json row = simulation_row("p", machine, options, simulation);
  expect_fields(row, common);
  expect_fields(row, {"machine",
                      "machine_kind",
                      "speed_spread",
                      "jitter",
                      "hops",
                      "time_s",
                      "time_s_interval",
                      "tokens_per_s",
                      "tokens_per_s_per_device",
                      "memory_bytes",
                      "memory_peak_bytes",
                      "device_memory_bytes",
                      "fits_memory",
                      "compute_s",
                      "exposed_communication_s",
                      "waiting_s",
                      "merge_s",
                      "finish_s_percentiles",
                      "wall_s",
                      "hops_per_s",
                      "hold_out_median_relative_error"});
  EXPECT_EQ(row["kind"], "simulated");
  EXPECT_EQ(row["hops"], 7);
  EXPECT_EQ(row["hops_all_devices"], 56.0);
  EXPECT_EQ(row["result_hops"], 8);
  EXPECT_EQ(row["result_hop_bytes"], 4096.0);
  EXPECT_EQ(row["pass"], "backward");
  EXPECT_EQ(row["moving"], "key_value");
  EXPECT_EQ(row["hops_travelled"], "all");
  EXPECT_EQ(row["pattern"], "dense");
  EXPECT_EQ(row["device_speeds"].size(), 8U);
  EXPECT_EQ(row["time_s_interval"]["low"], 1.5);
}

/// Each figure has a value of its own, so that none can stand in another's place.
TEST(SimulationRow, HasEachPercentileAndEachPartOfRecoveryInItsPlace) {
  machine::Machine machine;
  simulator::SimulationOptions options;
  options.problem.attention.tokens = 4096 * 8;
  options.problem.ring_size = 8;
  simulator::Simulation simulation;
  simulation.dtype = "float32";
  simulation.finish = {1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0};
  simulator::FailureEstimate failures;
  failures.expected = {11.0, 12.0, 13.0, 14.0, 15.0, 16.0};
  failures.simulated = {17, {18.0, 0.0, 0.0, 0.0, 0.0, 19.0}, 20.0, 21.0, 22.0, 23.0};
  simulation.failures = failures;
  const Json row = simulation_row("p", machine, options, simulation);
  double value = 1.0;
  for (const char *percentile : {"p0", "p5", "p25", "p50", "p75", "p95", "p100"}) {
    EXPECT_EQ(row["finish_s_percentiles"][percentile], value++) << percentile;
  }
  value = 11.0;
  for (const char *field :
       {"failures_expected", "checkpoint_s", "lost_work_s", "detection_s", "restart_s", "time_with_failures_s",
        "failure_trials", "failures_mean", "time_with_failures_s_mean", "time_with_failures_s_standard_error"}) {
    EXPECT_EQ(row[field], value++) << field;
  }
  for (const char *percentile : {"p5", "p50", "p95"}) {
    EXPECT_EQ(row["time_with_failures_s_percentiles"][percentile], value++) << percentile;
  }
  EXPECT_EQ(row["field_kinds"]["time_with_failures_s"], "analytic");
}

TEST(RingRow, OfStoredElementsHasBothErrors) {
  ring::RingOptions options = sample_options();
  options.problem.attention.dtype = problem::DType::bfloat16;
  ring::RingRun run = sample_run();
  run.verified = true;
  run.max_error = 1e-3;
  run.max_stored_error = 2e-3;
  run.stored_error_bound = 3e-3;
  run.max_stored_lse_error = 4e-3;
  run.stored_lse_error_bound = 5e-3;
  const Json row = ring_row("p", options, run);
  EXPECT_EQ(row["max_error"], 1e-3);
  EXPECT_EQ(row["max_stored_error"], 2e-3);
  EXPECT_EQ(row["stored_error_bound"], 3e-3);
  EXPECT_EQ(row["max_stored_lse_error"], 4e-3);
  EXPECT_EQ(row["stored_lse_error_bound"], 5e-3);
}

TEST(MemoryRow, SaysHowTheDesignKeepsItsQueries) {
  schedule::RingProblem problem;
  problem.attention.tokens = 8192;
  problem.ring_size = 4;
  for (const memory::MemoryModel model : memory::all_memory_models) {
    const Json row = memory_row("p", model, problem, {});
    expect_fields(row, common);
    EXPECT_EQ(row["model"], std::string(memory::name(model)));
    EXPECT_EQ(row["kind"], "analytic");
    std::int64_t total = 0;
    for (const Json &bytes : row["memory_bytes"]) {
      total += bytes.get<std::int64_t>();
    }
    EXPECT_EQ(row["memory_peak_bytes"], total);
    EXPECT_GT(total, 0);
  }
  EXPECT_EQ(memory_row("p", memory::MemoryModel::ring_replicated_queries, problem, {})["placement"],
            "replicated_queries");
  EXPECT_EQ(memory_row("p", memory::MemoryModel::ring_sharded, problem, {})["kernel"], "streamed");
  EXPECT_EQ(memory_row("p", memory::MemoryModel::serial_chunk_loop, problem, {})["schedule"], "none");
}

} // namespace
} // namespace ringscale::sweep
