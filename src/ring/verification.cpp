// SPDX-License-Identifier: Apache-2.0
#include "ring/verification.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "problem/counter_random.hpp"
#include "ring/reference_rows.hpp"
#include "ring/sampling.hpp"

namespace ringscale::ring {

using problem::AttentionProblem;
using problem::TokenSet;
using schedule::RingProblem;

namespace {

constexpr std::uint64_t sample_stream = 0x726F7773; // keeps the sample apart from the data's streams

double difference(double value, double reference) {
  // Equal infinities agree; their difference would be NaN.
  return value == reference ? 0.0 : std::abs(value - reference);
}

} // namespace

std::vector<std::int64_t> rows_to_check(const RingOptions &options, std::int64_t rank) {
  const RingProblem &problem = options.problem;
  const AttentionProblem &attention = problem.attention;
  const TokenSet queries = query_tokens(problem.placement, attention.tokens, problem.ring_size, rank);
  const std::int64_t count = queries.count();
  const double row_flop = problem::forward_flop(attention, static_cast<double>(attention.tokens));
  if (row_flop * static_cast<double>(count) <= all_rows_flop) {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
    std::iota(rows.begin(), rows.end(), std::int64_t{0});
    return rows;
  }
  std::set<std::int64_t> rows{0, queries.first.count - 1, std::min(queries.first.count, count - 1), count - 1};
  const auto wanted =
      std::min<std::int64_t>(count, std::max<std::int64_t>(8, static_cast<std::int64_t>(sampled_rows_flop / row_flop)));
  for (std::uint64_t draw = 0; static_cast<std::int64_t>(rows.size()) < wanted; ++draw) {
    const double uniform =
        problem::random_uniform(options.seed, sample_stream + static_cast<std::uint64_t>(rank), draw);
    rows.insert(static_cast<std::int64_t>(uniform * static_cast<double>(count)));
  }
  return {rows.begin(), rows.end()};
}

problem::ErrorBound ring_error_bound(const RingOptions &options) {
  const RingProblem &problem = options.problem;
  const AttentionProblem &attention = problem.attention;
  const int spans = key_tokens(problem.placement, attention.tokens, problem.ring_size, 0).span_count();
  return problem::attention_error_bound(attention.dtype, attention.tokens, attention.head_dim,
                                        step_count(problem) * spans, problem::synthetic_magnitude(attention.head_dim));
}

RowCheck check_rows(const RingOptions &options, std::int64_t rank, kernels::ConstTensor4 output,
                    kernels::ConstTensor3 log_sum_exp) {
  const RingProblem &problem = options.problem;
  const AttentionProblem &attention = problem.attention;
  const TokenSet queries = query_tokens(problem.placement, attention.tokens, problem.ring_size, rank);
  const std::vector<std::int64_t> rows = rows_to_check(options, rank);
  std::vector<std::int64_t> positions;
  for (const std::int64_t row : rows) {
    positions.push_back(queries.position(row));
  }
  const ReferenceRows reference = reference_rows(attention, options.seed, positions);
  const auto host_output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), output);
  const auto host_lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), log_sum_exp);
  const problem::ErrorBound bound = ring_error_bound(options);

  RowCheck check;
  check.checked_rows = static_cast<std::int64_t>(rows.size()) * attention.batch;
  check.all_rows = static_cast<std::int64_t>(rows.size()) == queries.count();
  for (std::int64_t batch = 0; batch < attention.batch; ++batch) {
    for (std::size_t index = 0; index < rows.size(); ++index) {
      for (std::int64_t head = 0; head < attention.query_heads; ++head) {
        for (std::int64_t dim = 0; dim < attention.head_dim; ++dim) {
          const double error = difference(host_output(batch, rows[index], head, dim),
                                          reference.output(attention, batch, index, head, dim));
          raise_to(check.max_error, error);
          check.wrong_elements += !(error <= bound.output) ? 1 : 0;
        }
        if (options.softmax == SoftmaxRule::online) {
          const double error =
              difference(host_lse(batch, rows[index], head), reference.log_sum_exp(attention, batch, index, head));
          raise_to(check.max_lse_error, error);
          check.wrong_elements += !(error <= bound.log_sum_exp) ? 1 : 0;
        }
      }
    }
  }
  return check;
}

} // namespace ringscale::ring
