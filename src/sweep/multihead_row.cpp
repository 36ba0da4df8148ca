// SPDX-License-Identifier: Apache-2.0
#include "sweep/multihead_row.hpp"

#include <vector>

#include "statistics/summary.hpp"
#include "sweep/row_parts.hpp"

namespace ringscale::sweep {

using report::Json;

namespace {

/// "forward" gives forward_samples_s, forward_s and forward_s_interval.
void add_samples(Json &row, const std::string &name, const std::vector<double> &samples) {
  const statistics::Interval spread = statistics::median_interval(samples);
  row[name + "_samples_s"] = samples;
  row[name + "_s"] = finite_or_null(statistics::median(samples));
  row[name + "_s_interval"] = interval(spread.low, spread.high, spread.confidence);
}

Json checks(const ring::MultiheadRun &run) {
  Json all = Json::object();
  for (const ring::TensorCheck &check : run.checks) {
    Json one = Json::object();
    one["max_error"] = finite_or_null(check.max_error);
    one["error_bound"] = finite_or_null(check.bound);
    one["largest_share_of_bound"] = finite_or_null(check.share);
    all[check.tensor] = one;
  }
  return all;
}

} // namespace

Json multihead_row(const std::string &point, const ring::MultiheadOptions &options, const ring::MultiheadRun &run) {
  const ring::RingOptions &ring = options.ring;
  Json row = common_fields({"measured", "ring", point}, ring.problem, ring.softmax, ring.kernel);
  row["layer"] = "multihead";
  row["embed_dim"] = ring::multihead_shape(options).embed_dim;
  add_schedule_fields(row, ring.problem);
  row["pass"] = "forward_and_backward";
  row["exchange"] = ring::name(ring.exchange);
  row["gathering"] = ring.collective ? ring::name(ring.gathering) : "messages";
  row["staged_on_host"] = ring.stage_on_host;
  row["seed"] = ring.seed;
  row["hops"] = run.hops;
  add_samples(row, "forward", run.forward_samples_s);
  add_samples(row, "backward", run.reduction.backward_s);
  add_samples(row, "reduction", run.reduction.reduction_s);
  add_samples(row, "backward_with_reduction", run.reduction.both_s);
  row["reduction_hidden_fraction"] = finite_or_null(run.reduction.hidden_fraction);
  row["reduction_sent_bytes"] = run.reduction.sent_bytes;
  row["gradient_compression"] = ring::name(options.compression.kind);
  row["gradient_bucket_bytes"] = options.bucket_bytes;
  row["gradient_buckets"] = run.bucket_count;
  row["verified"] = run.verified;
  row["checked_rows"] = run.checked_rows;
  row["errors"] = checks(run);
  row["blocks_met_once"] = run.blocks_once;
  row["output_checksum"] = std::to_string(run.output_checksum); // a text: 64 bits do not fit a double of other readers
  row["memory_bytes"] = by_purpose(run.memory);
  row["memory_peak_bytes"] = run.memory.total();
  row["peak_rss_bytes"] = run.peak_rss_bytes;
  row["progress"] = ring.poll_progress ? "polled" : "unpolled";
  row["ranks_per_core"] = run.ranks_per_core;
  row["threads_per_rank"] = run.threads_per_rank;
  row["verdict"] = run.valid ? "valid" : "invalid";
  row["reasons"] = run.reasons;
  return row;
}

} // namespace ringscale::sweep
