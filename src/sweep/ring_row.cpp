// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <string>
#include <vector>

#include "statistics/summary.hpp"
#include "sweep/row_parts.hpp"
#include "sweep/rows.hpp"

namespace ringscale::sweep {

using report::Json;

namespace {

Json median_or_null(const std::vector<double> &samples) {
  return samples.empty() ? Json(nullptr) : finite_or_null(statistics::median(samples));
}

void add_grid_fields(Json &row, const ring::RingOptions &options) {
  const schedule::ProcessGrid grid = ring::process_grid(options);
  row["data_size"] = grid.data;
  row["model_size"] = grid.model;
  row["sequence_size"] = grid.sequence;
  row["exchange"] = ring::name(options.exchange);
  row["gathering"] = options.collective ? ring::name(options.gathering) : "messages";
  row["staged_on_host"] = options.stage_on_host;
}

Json by_tensor(const problem::GradientBound &values, bool known) {
  Json object = Json::object();
  object["query"] = known ? finite_or_null(values.query) : Json(nullptr);
  object["key"] = known ? finite_or_null(values.key) : Json(nullptr);
  object["value"] = known ? finite_or_null(values.value) : Json(nullptr);
  return object;
}

Json transport_fields(const ring::TransportCounters &counters) {
  Json object = Json::object();
  object["messages_sent"] = counters.messages_sent;
  object["bytes_sent"] = counters.bytes_sent;
  object["gathers"] = counters.gathers;
  object["gathered_bytes"] = counters.gathered_bytes;
  object["requests_created"] = counters.requests_created;
  object["requests_started"] = counters.requests_started;
  object["staged_bytes"] = counters.staged_bytes;
  object["staging_pool_bytes"] = counters.staging_pool_bytes;
  return object;
}

} // namespace

Json ring_row(const std::string &point, const ring::RingOptions &options, const ring::RingRun &run) {
  const problem::AttentionProblem &attention = options.problem.attention;
  Json row = common_fields({"measured", "ring", point}, options.problem, options.softmax, options.kernel);
  add_schedule_fields(row, options.problem);
  add_grid_fields(row, options);
  row["seed"] = options.seed;
  row["hops"] = run.hops;
  row["hop_bytes"] = run.hop_bytes;
  row["hops_all_ranks"] = run.all_hops;
  row["result_hops"] = run.result_hops;
  row["result_hop_bytes"] = run.result_hop_bytes;
  const bool timed = !run.samples_s.empty();
  const double time_s = timed ? statistics::median(run.samples_s) : std::nan("");
  const double tokens_per_s = static_cast<double>(attention.batch) * static_cast<double>(attention.tokens) / time_s;
  row["time_s"] = finite_or_null(time_s);
  const statistics::Interval spread = timed ? statistics::median_interval(run.samples_s) : statistics::Interval{};
  row["time_s_interval"] = interval(spread.low, spread.high, spread.confidence);
  row["samples_s"] = run.samples_s;
  row["tokens_per_s"] = finite_or_null(tokens_per_s);
  row["tokens_per_s_per_device"] =
      finite_or_null(tokens_per_s / static_cast<double>(ring::process_grid(options).size()));
  row["compute_s"] = finite_or_null(run.compute_s);
  row["exposed_communication_s"] = finite_or_null(run.exposed_communication_s);
  row["merge_s"] = median_or_null(run.merge_samples_s);
  row["messages_only_samples_s"] = run.messages_only_samples_s;
  row["messages_only_s"] = median_or_null(run.messages_only_samples_s);
  row["hidden_fraction"] = finite_or_null(run.hidden_fraction);
  if (ring::process_grid(options).sequence > 1) {
    row["exchange_s"] = median_or_null(run.exchange_samples_s);
    row["exchanged_bytes"] = run.exchanged_bytes;
  }
  row["verified"] = run.verified;
  row["checked_rows"] = run.checked_rows;
  row["all_rows_checked"] = run.all_rows_checked;
  // Without verification there is no error to report, and 0 would read like a perfect one.
  row["max_error"] = run.verified ? finite_or_null(run.max_error) : Json(nullptr);
  row["error_bound"] = run.verified ? finite_or_null(run.error_bound) : Json(nullptr);
  row["max_lse_error"] = run.verified ? finite_or_null(run.max_lse_error) : Json(nullptr);
  row["lse_error_bound"] = run.verified ? finite_or_null(run.lse_error_bound) : Json(nullptr);
  if (attention.dtype != problem::DType::float32) {
    row["max_stored_error"] = run.verified ? finite_or_null(run.max_stored_error) : Json(nullptr);
    row["stored_error_bound"] = run.verified ? finite_or_null(run.stored_error_bound) : Json(nullptr);
    row["max_stored_lse_error"] = run.verified ? finite_or_null(run.max_stored_lse_error) : Json(nullptr);
    row["stored_lse_error_bound"] = run.verified ? finite_or_null(run.stored_lse_error_bound) : Json(nullptr);
  }
  if (run.has_gradients) {
    row["max_gradient_error"] = by_tensor(run.max_gradient_error, run.verified);
    row["gradient_error_bound"] = by_tensor(run.gradient_error_bound, run.verified);
  }
  row["wrong_elements"] = run.verified ? Json(run.wrong_elements) : Json(nullptr);
  row["blocks_met_once"] = run.blocks_once;
  row["output_checksum"] = std::to_string(run.output_checksum); // a text: 64 bits do not fit a double of other readers
  row["memory_bytes"] = by_purpose(run.memory);
  row["memory_peak_bytes"] = run.memory_peak_bytes;
  row["memory_closed_form_bytes"] = run.memory_closed_form_bytes;
  row["index_list_bytes"] = run.index_list_bytes;
  row["peak_rss_bytes"] = run.peak_rss_bytes;
  row["transport"] = transport_fields(run.transport);
  if (run.checkpoint) {
    row["checkpoint"] = checkpoint_fields(*run.checkpoint);
  }
  row["progress"] = run.poll_progress ? "polled" : "unpolled";
  row["ranks_per_core"] = run.ranks_per_core;
  row["threads_per_rank"] = run.threads_per_rank;
  row["verdict"] = run.valid ? "valid" : "invalid";
  row["reasons"] = run.reasons;
  return row;
}

} // namespace ringscale::sweep
