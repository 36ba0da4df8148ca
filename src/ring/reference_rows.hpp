// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "problem/attention_problem.hpp"
#include "ring/ring_options.hpp"

namespace ringscale::ring {

/// Attention of some query rows in double precision on the host: outputs [batch, rows, query_heads, head_dim] and
/// log-sum-exps [batch, rows, query_heads].
struct ReferenceRows {
  std::int64_t row_count = 0;
  std::vector<double> outputs;
  std::vector<double> log_sum_exps;

  double output(const problem::AttentionProblem &attention, std::int64_t batch, std::size_t row, std::int64_t head,
                std::int64_t dim) const {
    return outputs[static_cast<std::size_t>(
        ((batch * row_count + static_cast<std::int64_t>(row)) * attention.query_heads + head) * attention.head_dim +
        dim)];
  }
  double log_sum_exp(const problem::AttentionProblem &attention, std::int64_t batch, std::size_t row,
                     std::int64_t head) const {
    return log_sum_exps[static_cast<std::size_t>(
        (batch * row_count + static_cast<std::int64_t>(row)) * attention.query_heads + head)];
  }
};

/// The rows at `positions` (ascending) of synthetic data from `origin` on, of dense attention over all keys that the
/// mask admits. Keys and values are made in pieces of `piece_tokens`, so a long sequence is never held whole; pieces
/// are joined in double precision. `stored` rounds query, key and value to that dtype first (float32, bfloat16 or
/// float16).
ReferenceRows reference_rows(const problem::AttentionProblem &attention, std::uint64_t seed,
                             const std::vector<std::int64_t> &positions, std::int64_t piece_tokens = 8192,
                             const TensorOrigin &origin = {}, problem::DType stored = problem::DType::float32);

} // namespace ringscale::ring
