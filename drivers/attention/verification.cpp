// SPDX-License-Identifier: Apache-2.0
#include "drivers/attention/verification.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include "kernels/dropout.hpp"
#include "kernels/reference_rows.hpp"
#include "problem/counter_random.hpp"
#include "problem/error_bound.hpp"

namespace ringscale::drivers {

namespace {

using kernels::ExecutionSpace;
using kernels::MemorySpace;
using Double4 = Kokkos::View<double ****, Kokkos::LayoutRight, MemorySpace>;
using Double3 = Kokkos::View<double ***, Kokkos::LayoutRight, MemorySpace>;
using Times3 = Kokkos::View<std::uint8_t ***, Kokkos::LayoutRight, MemorySpace>;
using Positions = std::vector<std::int64_t>;

// Reference work that takes a few seconds on one core; beyond it, rows are sampled.
constexpr double most_reference_flop = 2e10;
constexpr std::int64_t fewest_checked_rows = 8;

/// All positions below `tokens`, or as many distinct ones as there is time for: first, last and random ones.
Positions positions_to_check(std::int64_t tokens, double flop_per_row, std::uint64_t seed) {
  const auto affordable = static_cast<std::int64_t>(std::min(most_reference_flop / flop_per_row, 1e15));
  const std::int64_t count = std::clamp(affordable, std::min(fewest_checked_rows, tokens), tokens);
  Positions positions;
  if (count == tokens) {
    positions.resize(static_cast<std::size_t>(tokens));
    std::iota(positions.begin(), positions.end(), 0);
    return positions;
  }
  std::set<std::int64_t> chosen{0, tokens - 1};
  constexpr std::uint64_t sample_stream = 0x726F7773; // a stream of its own, apart from the tensors
  for (std::uint64_t draw = 0; static_cast<std::int64_t>(chosen.size()) < count; ++draw) {
    chosen.insert(static_cast<std::int64_t>(problem::random_uniform(seed, sample_stream, draw) *
                                            static_cast<double>(tokens)));
  }
  positions.assign(chosen.begin(), chosen.end());
  return positions;
}

/// The rows of `tensor` at `positions`.
Owned4 gather(const Owned4 &tensor, const Positions &positions) {
  if (positions.size() == tensor.extent(1)) {
    return tensor;
  }
  const Owned4 rows("ringscale::checked_rows", tensor.extent(0), positions.size(), tensor.extent(2), tensor.extent(3));
  for (std::size_t row = 0; row < positions.size(); ++row) {
    Kokkos::deep_copy(Kokkos::subview(rows, Kokkos::ALL, row, Kokkos::ALL, Kokkos::ALL),
                      Kokkos::subview(tensor, Kokkos::ALL, positions[row], Kokkos::ALL, Kokkos::ALL));
  }
  return rows;
}

Owned1 dropout_factors(const AttentionOptions &options, const Positions &queries, const Positions &keys) {
  const problem::AttentionProblem &shape = options.problem;
  const Owned1 factors("ringscale::dropout_factors",
                       static_cast<std::size_t>(shape.batch * shape.query_heads) * queries.size() * keys.size());
  const auto host = Kokkos::create_mirror_view(factors);
  const kernels::Dropout dropout = layer_dropout(options);
  const auto kept = static_cast<float>(1.0 / (1.0 - options.dropout_probability));
  std::size_t index = 0;
  for (std::int64_t batch = 0; batch < shape.batch; ++batch) {
    for (std::int64_t head = 0; head < shape.query_heads; ++head) {
      for (const std::int64_t query : queries) {
        for (const std::int64_t key : keys) {
          host(index++) = dropout.keeps(batch, head, options.query_position_begin + query, key) ? kept : 0.0F;
        }
      }
    }
  }
  Kokkos::deep_copy(factors, host);
  return factors;
}

/// A NaN once met stays: nothing is larger than it.
void keep_larger(double &largest, double error) {
  if (std::isnan(error) || error > largest) {
    largest = error;
  }
}

/// Compares rows `positions` of `found` with the rows of `expected`; both infinite and equal counts as no error.
template <class Found, class Expected>
ResultCheck compare(const std::string &name, const Found &found_rows, const Expected &expected_rows, double bound) {
  ResultCheck check;
  check.name = name;
  check.error_bound = bound;
  const auto found = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, found_rows);
  const auto expected = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, expected_rows);
  for (std::size_t index = 0; index < found.size(); ++index) {
    const auto value = static_cast<double>(found.data()[index]);
    const double wanted = expected.data()[index];
    const double error = std::isinf(value) && value == wanted ? 0.0 : std::abs(value - wanted);
    keep_larger(check.max_error, error);
    check.wrong_elements += error <= bound ? 0 : 1;
  }
  return check;
}

Owned3 gather(const Owned3 &tensor, const Positions &positions) {
  const Owned3 rows("ringscale::checked_log_sum_exp", tensor.extent(0), positions.size(), tensor.extent(2));
  for (std::size_t row = 0; row < positions.size(); ++row) {
    Kokkos::deep_copy(Kokkos::subview(rows, Kokkos::ALL, row, Kokkos::ALL),
                      Kokkos::subview(tensor, Kokkos::ALL, positions[row], Kokkos::ALL));
  }
  return rows;
}

Double3 as_double(const Owned3 &tensor) {
  const Double3 copy("ringscale::double", tensor.extent(0), tensor.extent(1), tensor.extent(2));
  Kokkos::deep_copy(copy, tensor);
  return copy;
}

Times3 multiplicities(const AttentionLayer &layer, std::int64_t heads, const Positions &queries, const Positions &keys,
                      std::int64_t key_tokens) {
  const Times3 times("ringscale::multiplicity", heads, queries.size(), keys.size());
  const auto host = Kokkos::create_mirror_view(times);
  std::vector<std::uint8_t> of_keys(static_cast<std::size_t>(key_tokens));
  for (std::int64_t head = 0; head < heads; ++head) {
    for (std::size_t row = 0; row < queries.size(); ++row) {
      layer.multiplicities(head, queries[row], of_keys.data());
      for (std::size_t column = 0; column < keys.size(); ++column) {
        host(head, row, column) = of_keys[static_cast<std::size_t>(keys[column])];
      }
    }
  }
  Kokkos::deep_copy(times, host);
  return times;
}

Positions all_positions(std::int64_t tokens) {
  Positions positions(static_cast<std::size_t>(tokens));
  std::iota(positions.begin(), positions.end(), 0);
  return positions;
}

/// Largest norms and elements of what was computed on: the bounds hold for this data, not only for synthetic data.
double largest_element(const Owned4 &tensor) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, tensor);
  double largest = 0.0;
  for (std::size_t index = 0; index < host.size(); ++index) {
    keep_larger(largest, std::abs(static_cast<double>(host.data()[index])));
  }
  return largest;
}

double largest_row_norm(const Owned4 &tensor) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, tensor);
  const std::size_t head_dim = host.extent(3);
  double largest = 0.0;
  for (std::size_t row = 0; row < host.size() / head_dim; ++row) {
    double sum = 0.0;
    for (std::size_t dim = 0; dim < head_dim; ++dim) {
      const auto element = static_cast<double>(host.data()[row * head_dim + dim]);
      sum += element * element;
    }
    keep_larger(largest, std::sqrt(sum));
  }
  return largest;
}

} // namespace

Verification verify(const AttentionOptions &options, const AttentionTensors &tensors, const AttentionLayer &layer) {
  const problem::AttentionProblem &shape = options.problem;
  const bool backward = options.pass == Pass::backward;
  const ExecutionSpace space;
  const double per_pair = 4.0 * static_cast<double>(shape.batch * shape.query_heads * shape.head_dim);
  const Positions queries = positions_to_check(
      shape.tokens, (backward ? 2.0 : 1.0) * per_pair * static_cast<double>(options.key_tokens), options.seed);
  const Positions every_key = all_positions(options.key_tokens);
  Verification verification;
  verification.checked_rows = static_cast<std::int64_t>(queries.size());
  verification.all_rows_checked = verification.checked_rows == shape.tokens;

  kernels::ReferenceRows rows;
  const Owned4 query = gather(tensors.query, queries);
  const Times3 times = multiplicities(layer, shape.query_heads, queries, every_key, options.key_tokens);
  const Double4 output("ringscale::reference_output", shape.batch, queries.size(), shape.query_heads, shape.head_dim);
  const Double3 log_sum_exp("ringscale::reference_log_sum_exp", shape.batch, queries.size(), shape.query_heads);
  rows.query = query;
  rows.key = tensors.key;
  rows.value = tensors.value;
  rows.multiplicity = times;
  rows.scale = problem::softmax_scale(shape.head_dim);
  rows.output = output;
  rows.log_sum_exp = log_sum_exp;
  Owned1 factors;
  if (options.dropout_probability > 0.0) {
    factors = dropout_factors(options, queries, every_key);
    rows.dropout_factor = factors.data();
  }
  Owned4 output_gradient;
  Double4 query_gradient;
  Double3 output_dot;
  if (backward) {
    output_gradient = gather(tensors.output_gradient, queries);
    query_gradient =
        Double4("ringscale::reference_query_gradient", shape.batch, queries.size(), shape.query_heads, shape.head_dim);
    output_dot = Double3("ringscale::reference_output_dot", shape.batch, queries.size(), shape.query_heads);
    rows.output_gradient = output_gradient;
    rows.query_gradient = query_gradient;
    rows.output_dot = output_dot;
  }
  kernels::reference_rows(space, rows);
  space.fence("ringscale::attention: reference");

  problem::DataMagnitude magnitude;
  magnitude.max_value = largest_element(tensors.value);
  magnitude.max_query_norm = largest_row_norm(tensors.query);
  magnitude.max_key_norm = largest_row_norm(tensors.key);
  const problem::ErrorBound bound =
      layer_error_bound(options, layer, magnitude);
  verification.results.push_back(compare("output", gather(tensors.output, queries), output, bound.output));
  verification.results.push_back(
      compare("log_sum_exp", gather(tensors.log_sum_exp, queries), log_sum_exp, bound.log_sum_exp));
  // TODO backward
  for (const ResultCheck &check : verification.results) {
    if (!check.valid()) {
      verification.reasons.push_back(check.name + " error " + std::to_string(check.max_error) + " is not within " +
                                     std::to_string(check.error_bound));
    }
  }
  verification.valid = verification.reasons.empty();
  return verification;
}

} // namespace ringscale::drivers
