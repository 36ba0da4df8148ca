// SPDX-License-Identifier: Apache-2.0
#include "sweep/row_parts.hpp"

#include <cmath>
#include <vector>

namespace ringscale::sweep {

using report::Json;

Json finite_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json interval(double low, double high, double confidence) {
  Json object = Json::object();
  object["low"] = finite_or_null(low);
  object["high"] = finite_or_null(high);
  object["confidence"] = finite_or_null(confidence);
  return object;
}

Json by_purpose(const memory::MemoryByPurpose &memory) {
  Json object = Json::object();
  for (const memory::Purpose purpose : memory::all_purposes) {
    object[std::string(memory::name(purpose))] = memory[purpose];
  }
  return object;
}

Json common_fields(const Identity &identity, const schedule::RingProblem &problem, ring::SoftmaxRule softmax,
                   memory::KernelKind kernel) {
  const problem::AttentionProblem &attention = problem.attention;
  Json row = Json::object();
  row["kind"] = identity.kind;
  row["verb"] = identity.verb;
  row["point"] = identity.point;
  row["schedule"] = schedule::name(problem.schedule);
  row["placement"] = schedule::name(problem.placement);
  row["softmax"] = ring::name(softmax);
  row["kernel"] = memory::name(kernel);
  row["mask"] = problem::name(attention.mask);
  row["dtype"] = problem::name(attention.dtype);
  row["batch"] = attention.batch;
  row["tokens"] = attention.tokens;
  row["query_heads"] = attention.query_heads;
  row["kv_heads"] = attention.kv_heads;
  row["head_dim"] = attention.head_dim;
  row["ring_size"] = problem.ring_size;
  row["chunk_tokens"] = (attention.tokens + problem.ring_size - 1) / problem.ring_size;
  return row;
}

void add_schedule_fields(Json &row, const schedule::RingProblem &problem) {
  row["pass"] = schedule::name(problem.pass);
  row["moving"] = schedule::name(problem.moving);
  row["hops_travelled"] = schedule::name(problem.hops);
  row["message_layout"] = schedule::name(problem.layout);
  if (problem.schedule == schedule::Schedule::double_ring) {
    row["inner_ring_size"] = problem.inner_ring_size;
  }
  if (problem.chunks.weighted()) {
    std::vector<double> shares;
    double before = 0.0;
    for (const double sum : problem.chunks.weight_sums) {
      shares.push_back((sum - before) / problem.chunks.weight_sums.back());
      before = sum;
    }
    row["chunk_shares"] = shares;
  }
  const problem::Pattern &pattern = problem.pattern;
  row["pattern"] = problem::name(pattern.kind);
  if (pattern.kind == problem::PatternKind::dilated) {
    row["segment_lengths"] = pattern.dilated.segment_lengths;
    row["dilation_rates"] = pattern.dilated.dilation_rates;
    row["dilation_convention"] = problem::name(pattern.dilated.convention);
  } else if (pattern.kind == problem::PatternKind::block_sparse) {
    row["block_sparse"] = problem::name(pattern.block_sparse.kind);
    row["block_tokens"] = pattern.block_sparse.block_tokens;
    row["window_tokens"] = pattern.block_sparse.window_tokens;
    row["stride_blocks"] = pattern.block_sparse.stride_blocks;
  }
}

void add_recovery_fields(Json &row, const ring::RecoveredRun &run) {
  row["recovery"] = Json::array();
  for (const memory::RecoveryStep &taken : run.plan.steps) {
    Json step = Json::object();
    step["action"] = memory::name(taken.action);
    step["bytes_before"] = taken.bytes_before;
    step["bytes_after"] = taken.bytes_after;
    step["error_cost"] = finite_or_null(taken.error_cost);
    step["batch_pieces"] = taken.after.batch_pieces;
    step["dtype"] = problem::name(taken.after.storage);
    row["recovery"].push_back(step);
  }
  Json pool = Json::object();
  pool["hits"] = run.pool.hits;
  pool["misses"] = run.pool.misses;
  pool["evictions"] = run.pool.evictions;
  pool["resizes"] = run.pool.resizes;
  pool["reallocations"] = run.pool.reallocations;
  pool["advices"] = run.pool.advices;
  pool["bytes_held"] = run.pool.bytes_held;
  pool["most_bytes_held"] = run.pool.most_bytes_held;
  row["buffer_pool"] = pool;
}

Json checkpoint_fields(const ring::CheckpointReport &checkpoint) {
  Json object = Json::object();
  object["written"] = checkpoint.write_samples_s.size();
  object["bytes"] = checkpoint.bytes;
  object["write_samples_s"] = checkpoint.write_samples_s;
  object["step_samples_s"] = checkpoint.step_samples_s;
  object["resumed_from_step"] = checkpoint.resumed_from_step ? Json(*checkpoint.resumed_from_step) : Json(nullptr);
  object["every_steps"] = checkpoint.every_steps > 0 ? Json(checkpoint.every_steps) : Json(nullptr);
  object["mtbf_s"] = checkpoint.mtbf_s > 0.0 ? Json(checkpoint.mtbf_s) : Json(nullptr);
  object["young_interval_s"] = finite_or_null(checkpoint.young_interval_s);
  object["daly_interval_s"] = finite_or_null(checkpoint.daly_interval_s);
  return object;
}

} // namespace ringscale::sweep
