// SPDX-License-Identifier: Apache-2.0
#include "ring/verification.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "kernels/attention_low_precision.hpp"
#include "problem/counter_random.hpp"
#include "ring/block.hpp"
#include "ring/reference_rows.hpp"
#include "ring/sampling.hpp"
#include "ring/slice.hpp"

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

std::vector<std::int64_t> positions_of(const TokenSet &tokens, const std::vector<std::int64_t> &rows) {
  std::vector<std::int64_t> positions;
  for (const std::int64_t row : rows) {
    positions.push_back(tokens.position(row));
  }
  return positions;
}

/// Groups of a dilated pattern may admit a pair several times.
std::int64_t most_multiplicity(const RingProblem &problem) {
  return problem.pattern.kind == problem::PatternKind::dilated
             ? static_cast<std::int64_t>(problem.pattern.dilated.segment_lengths.size())
             : 1;
}

std::int64_t span_pairs(const RingProblem &problem) {
  return step_count(problem) * lane_count(problem) * keys_of(problem, 0).span_count() * most_multiplicity(problem);
}

/// Largest and number of differences between rows of a tensor and of a reference [batch, rows, heads, head_dim].
struct Difference {
  double largest = 0.0;
  std::int64_t wrong = 0;
};
Difference compare(kernels::ConstTensor4 tensor, const std::vector<std::int64_t> &rows,
                   const std::vector<double> &reference, double bound) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), tensor);
  Difference found;
  std::size_t place = 0;
  for (std::size_t batch = 0; batch < host.extent(0); ++batch) {
    for (const std::int64_t row : rows) {
      for (std::size_t head = 0; head < host.extent(2); ++head) {
        for (std::size_t dim = 0; dim < host.extent(3); ++dim) {
          const double error = difference(host(batch, row, head, dim), reference[place++]);
          raise_to(found.largest, error);
          found.wrong += !(error <= bound) ? 1 : 0;
        }
      }
    }
  }
  return found;
}

/// The same of the numbers [batch, rows, heads] that rows have.
Difference compare(kernels::ConstTensor3 numbers, const std::vector<std::int64_t> &rows, const RowNumbers &reference,
                   double bound) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), numbers);
  Difference found;
  std::size_t place = 0;
  for (std::size_t batch = 0; batch < host.extent(0); ++batch) {
    for (const std::int64_t row : rows) {
      for (std::size_t head = 0; head < host.extent(2); ++head) {
        const double error = difference(host(batch, row, head), reference[place++]);
        raise_to(found.largest, error);
        found.wrong += !(error <= bound) ? 1 : 0;
      }
    }
  }
  return found;
}

} // namespace

std::vector<std::int64_t> rows_to_check(const RingOptions &options, std::int64_t rank, const TokenSet &tokens) {
  const std::int64_t count = tokens.count();
  const double row_flop = LayerReference::row_flop(options.problem.attention);
  if (row_flop * static_cast<double>(count) <= all_rows_flop) {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
    std::iota(rows.begin(), rows.end(), std::int64_t{0});
    return rows;
  }
  std::set<std::int64_t> rows{0, tokens.first.count - 1, std::min(tokens.first.count, count - 1), count - 1};
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
  const AttentionProblem &attention = options.problem.attention;
  return problem::attention_error_bound(attention.dtype, attention.tokens * most_multiplicity(options.problem),
                                        attention.head_dim, span_pairs(options.problem),
                                        problem::synthetic_magnitude(attention.head_dim));
}

problem::ErrorBound stored_error_bound(const RingOptions &options) {
  const AttentionProblem &attention = options.problem.attention;
  problem::DataMagnitude magnitude = problem::synthetic_magnitude(attention.head_dim);
  const double growth = 1.0 + problem::unit_roundoff(attention.dtype); // rounding may have lengthened them
  magnitude.max_value *= growth;
  magnitude.max_query_norm *= growth;
  magnitude.max_key_norm *= growth;
  problem::Roundings roundings;
  roundings.weights = stores_bfloat16(options.problem) && kernels::has_native_bfloat16() ? problem::DType::bfloat16
                                                                                         : problem::DType::float32;
  return problem::attention_error_bound(roundings, attention.tokens * most_multiplicity(options.problem),
                                        attention.head_dim, span_pairs(options.problem), magnitude);
}

RowCheck check_rows(const RingOptions &options, std::int64_t rank, const TokenSet &queries,
                    kernels::ConstTensor4 output, kernels::ConstTensor3 log_sum_exp) {
  const RingProblem &problem = options.problem;
  const AttentionProblem &attention = problem.attention;
  const std::vector<std::int64_t> rows = rows_to_check(options, rank, queries);
  const std::vector<std::int64_t> positions = positions_of(queries, rows);
  RowCheck check;
  check.checked_rows = static_cast<std::int64_t>(rows.size()) * attention.batch;
  check.all_rows = static_cast<std::int64_t>(rows.size()) == queries.count();
  const bool has_lse = options.softmax != SoftmaxRule::per_chunk && log_sum_exp.size() > 0;
  const auto compare_all = [&](const std::vector<double> &outputs, const RowNumbers &log_sum_exps,
                               const problem::ErrorBound &bound, double &max_error, double &max_lse_error) {
    const Difference found = compare(output, rows, outputs, bound.output);
    max_error = found.largest;
    check.wrong_elements += found.wrong;
    if (has_lse) {
      const Difference of_lse = compare(log_sum_exp, rows, log_sum_exps, bound.log_sum_exp);
      max_lse_error = of_lse.largest;
      check.wrong_elements += of_lse.wrong;
    }
  };
  if (problem.pattern.kind == problem::PatternKind::dense) {
    const ReferenceRows reference = reference_rows(attention, options.seed, positions, 8192, options.origin);
    compare_all(reference.outputs, reference.log_sum_exps, ring_error_bound(options), check.max_error,
                check.max_lse_error);
  } else {
    std::vector<double> outputs;
    RowNumbers log_sum_exps;
    LayerReference(options, false).forward(positions, outputs, log_sum_exps);
    compare_all(outputs, log_sum_exps, ring_error_bound(options), check.max_error, check.max_lse_error);
  }
  if (stores_bfloat16(problem)) {
    const ReferenceRows stored =
        reference_rows(attention, options.seed, positions, 8192, options.origin, attention.dtype);
    compare_all(stored.outputs, stored.log_sum_exps, stored_error_bound(options), check.max_stored_error,
                check.max_stored_lse_error);
  }
  return check;
}

bool computes_joint_rows(const RingOptions &options) {
  const AttentionProblem &attention = options.problem.attention;
  return LayerReference::row_flop(attention) * static_cast<double>(attention.tokens) <= all_rows_flop;
}

GradientCheck check_gradients(const RingOptions &options, std::int64_t rank, const TokenSet &queries,
                              const TokenSet &keys, const LayerReference &reference, const JointRows &rows,
                              kernels::ConstTensor4 query_gradient, kernels::ConstTensor4 key_gradient,
                              kernels::ConstTensor4 value_gradient) {
  const RingProblem &problem = options.problem;
  const AttentionProblem &attention = problem.attention;
  const std::vector<std::int64_t> query_rows = rows_to_check(options, rank, queries);
  const std::vector<std::int64_t> key_rows = rows_to_check(options, rank, keys);
  std::vector<double> of_query;
  std::vector<double> of_key;
  std::vector<double> of_value;
  problem::GradientMagnitude magnitude;
  reference.query_gradients(positions_of(queries, query_rows), rows, of_query, magnitude);
  reference.key_value_gradients(positions_of(keys, key_rows), rows, of_key, of_value, magnitude);

  const problem::ErrorBound forward = ring_error_bound(options);
  problem::GivenError given;
  given.log_sum_exp = forward.log_sum_exp;
  given.output_dot = forward.output * reference.largest_gradient_row_sum() +
                     problem::unit_roundoff(problem::DType::float32) * magnitude.output_dot;
  const std::int64_t repeats = most_multiplicity(problem);
  // Every pair of spans adds a sum, and so does every slice of query rows.
  const int threads = kernels::ExecutionSpace().concurrency();
  const std::int64_t slices =
      queries_of(problem, 0).count() /
          backward_slice(attention, queries.first.count, keys.first.count, threads, options.slices).rows +
      1;
  GradientCheck check;
  check.bound = problem::gradient_error_bound(attention.dtype, attention.tokens * repeats,
                                              attention.tokens * repeats * (attention.query_heads / attention.kv_heads),
                                              attention.head_dim, span_pairs(problem) * queries.span_count() * slices,
                                              magnitude, given);
  check.checked_rows = static_cast<std::int64_t>(query_rows.size() + key_rows.size()) * attention.batch;
  check.all_rows = static_cast<std::int64_t>(query_rows.size()) == queries.count() &&
                   static_cast<std::int64_t>(key_rows.size()) == keys.count();
  const Difference query = compare(query_gradient, query_rows, of_query, check.bound.query);
  const Difference key = compare(key_gradient, key_rows, of_key, check.bound.key);
  const Difference value = compare(value_gradient, key_rows, of_value, check.bound.value);
  check.max_error = {query.largest, key.largest, value.largest};
  check.wrong_elements = query.wrong + key.wrong + value.wrong;
  return check;
}

} // namespace ringscale::ring
