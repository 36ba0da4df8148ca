// SPDX-License-Identifier: Apache-2.0
#include "drivers/attention/verification.hpp"

#include <cmath>

#include "drivers/attention/samples.hpp"
#include "kernels/reference_rows.hpp"
#include "problem/error_bound.hpp"

namespace ringscale::drivers {

namespace {

using kernels::ExecutionSpace;
using kernels::MemorySpace;
using Double4 = Kokkos::View<double ****, Kokkos::LayoutRight, MemorySpace>;
using Double3 = Kokkos::View<double ***, Kokkos::LayoutRight, MemorySpace>;
using Double1 = Kokkos::View<double *, MemorySpace>;
using Kept1 = Kokkos::View<std::uint8_t *, MemorySpace>;
using Times4 = Kokkos::View<std::uint8_t ****, Kokkos::LayoutRight, MemorySpace>;

/// 1 where the weight of a pair is kept, else 0: [batch, query_heads, queries, keys]; empty without dropout.
Kept1 kept_pairs(const AttentionOptions &options, const Positions &queries, const Positions &keys) {
  if (options.dropout_probability == 0.0) {
    return {};
  }
  const problem::AttentionProblem &shape = options.problem;
  const Kept1 kept("ringscale::kept_pairs",
                   static_cast<std::size_t>(shape.batch * shape.query_heads) * queries.size() * keys.size());
  const auto host = Kokkos::create_mirror_view(kept);
  const kernels::Dropout dropout = layer_dropout(options);
  std::size_t index = 0;
  for (std::int64_t batch = 0; batch < shape.batch; ++batch) {
    for (std::int64_t head = 0; head < shape.query_heads; ++head) {
      for (const std::int64_t query : queries) {
        for (const std::int64_t key : keys) {
          host(index++) = dropout.keeps(batch, head, options.query_position_begin + query, key) ? 1 : 0;
        }
      }
    }
  }
  Kokkos::deep_copy(kept, host);
  return kept;
}

/// A NaN once met stays: nothing is larger than it.
void keep_larger(double &largest, double error) {
  if (std::isnan(error) || error > largest) {
    largest = error;
  }
}

/// Compares element by element; both infinite and equal counts as no error.
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

/// [batch or 1, query_heads, queries, keys] of what the layer says it admits.
Times4 multiplicities(const AttentionLayer &layer, std::int64_t heads, const Positions &queries, const Positions &keys,
                      std::int64_t key_tokens) {
  const Times4 times("ringscale::multiplicity", layer.multiplicity_batches(), heads, queries.size(), keys.size());
  const auto host = Kokkos::create_mirror_view(times);
  std::vector<std::uint8_t> of_keys(static_cast<std::size_t>(key_tokens));
  for (std::int64_t batch = 0; batch < layer.multiplicity_batches(); ++batch) {
    for (std::int64_t head = 0; head < heads; ++head) {
      for (std::size_t row = 0; row < queries.size(); ++row) {
        layer.multiplicities(batch, head, queries[row], of_keys.data());
        for (std::size_t column = 0; column < keys.size(); ++column) {
          host(batch, head, row, column) = of_keys[static_cast<std::size_t>(keys[column])];
        }
      }
    }
  }
  Kokkos::deep_copy(times, host);
  return times;
}

/// What the reference says of the chosen query rows.
struct ExpectedRows {
  Double4 output, query_gradient;
  Double3 log_sum_exp, output_dot;
};

/// Checks one run; keeps what several comparisons need.
class Verifier {
public:
  Verifier(const AttentionOptions &options, const AttentionTensors &tensors, const AttentionLayer &layer)
      : options_(options), shape_(options.problem), tensors_(tensors), layer_(layer),
        magnitudes_("ringscale::magnitudes", kernels::magnitude_count) {}

  Verification verify() {
    const double pair_flop =
        (backward() ? 24.0 : 4.0) * static_cast<double>(shape_.batch * shape_.query_heads * shape_.head_dim);
    const Positions queries =
        positions_to_check(shape_.tokens, pair_flop * static_cast<double>(options_.key_tokens), options_.seed);
    verification_.checked_rows = static_cast<std::int64_t>(queries.size());
    verification_.all_rows_checked = verification_.checked_rows == shape_.tokens;
    const ExpectedRows expected = expected_rows(queries);
    const problem::ErrorBound bound = output_bound();
    add("output", rows_at(tensors_.output, queries), expected.output, bound.output);
    add("log_sum_exp", rows_at(tensors_.log_sum_exp, queries), expected.log_sum_exp, bound.log_sum_exp);
    if (backward()) {
      const Positions keys =
          positions_to_check(options_.key_tokens, pair_flop * static_cast<double>(shape_.tokens), options_.seed + 1);
      verification_.checked_keys = static_cast<std::int64_t>(keys.size());
      check_gradients(queries, keys, expected, bound);
    }
    for (const ResultCheck &check : verification_.results) {
      if (!check.valid()) {
        verification_.reasons.push_back(check.name + " error " + std::to_string(check.max_error) + " is not within " +
                                        std::to_string(check.error_bound));
      }
    }
    verification_.valid = verification_.reasons.empty();
    return verification_;
  }

private:
  bool backward() const { return options_.pass == Pass::backward; }

  template <class Found, class Expected>
  void add(const std::string &name, const Found &found, const Expected &expected, double bound) {
    verification_.results.push_back(compare(name, found, expected, bound));
  }

  /// Bounds for the data that was computed on, not for synthetic data only.
  problem::ErrorBound output_bound() {
    problem::DataMagnitude magnitude;
    magnitude.max_value = largest_element(tensors_.value);
    magnitude.max_query_norm = largest_row_norm(tensors_.query);
    magnitude.max_key_norm = largest_row_norm(tensors_.key);
    problem::ErrorBound bound = layer_.error_bound(magnitude);
    // Kept weights are larger by 1/(1 - p), and so are their errors.
    const auto kept_factor = static_cast<double>(layer_dropout(options_).kept_factor());
    bound.output *= kept_factor;
    const double largest_output = magnitude.max_value * kept_factor;
    if (!(bound.output <= largest_output)) {
      verification_.reasons.push_back("the scores are too large to be checked: an error bound of " +
                                      std::to_string(bound.output) + " says nothing of outputs up to " +
                                      std::to_string(largest_output));
    }
    return bound;
  }

  ExpectedRows expected_rows(const Positions &queries) {
    const Positions keys = all_positions(options_.key_tokens);
    const Owned4 query = rows_at(tensors_.query, queries);
    const Times4 times = multiplicities(layer_, shape_.query_heads, queries, keys, options_.key_tokens);
    const Kept1 kept = kept_pairs(options_, queries, keys);
    ExpectedRows expected;
    expected.output = Double4("ringscale::expected", shape_.batch, queries.size(), shape_.query_heads, shape_.head_dim);
    expected.log_sum_exp = Double3("ringscale::expected", shape_.batch, queries.size(), shape_.query_heads);
    kernels::ReferenceRows rows;
    rows.query = query;
    rows.key = tensors_.key;
    rows.value = tensors_.value;
    rows.multiplicity = times;
    rows.kept = kept.data();
    rows.kept_factor = 1.0 / (1.0 - static_cast<double>(layer_dropout(options_).probability));
    rows.scale = problem::softmax_scale(shape_.head_dim);
    rows.output = expected.output;
    rows.log_sum_exp = expected.log_sum_exp;
    Owned4 output_gradient;
    if (backward()) {
      output_gradient = rows_at(tensors_.output_gradient, queries);
      expected.query_gradient =
          Double4("ringscale::expected", shape_.batch, queries.size(), shape_.query_heads, shape_.head_dim);
      expected.output_dot = Double3("ringscale::expected", shape_.batch, queries.size(), shape_.query_heads);
      rows.output_gradient = output_gradient;
      rows.query_gradient = expected.query_gradient;
      rows.output_dot = expected.output_dot;
      rows.magnitudes = magnitudes_;
    }
    const ExecutionSpace space;
    kernels::reference_rows(space, rows);
    space.fence("ringscale::attention: reference of query rows");
    return expected;
  }

  /// Log-sum-exps and D of every query row: the reference's where it has all rows, else the kernel's own, of which the
  /// sampled rows have just been compared.
  ExpectedRows every_row(const ExpectedRows &expected) const {
    if (verification_.all_rows_checked) {
      return expected;
    }
    ExpectedRows every;
    every.log_sum_exp = Double3("ringscale::log_sum_exp", shape_.batch, shape_.tokens, shape_.query_heads);
    every.output_dot = Double3("ringscale::output_dot", shape_.batch, shape_.tokens, shape_.query_heads);
    Kokkos::deep_copy(every.log_sum_exp, tensors_.log_sum_exp);
    const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, tensors_.output);
    const auto gradient = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, tensors_.output_gradient);
    const auto dots = Kokkos::create_mirror_view(every.output_dot);
    const auto head_dim = static_cast<std::size_t>(shape_.head_dim);
    for (std::size_t row = 0; row < dots.size(); ++row) {
      double sum = 0.0;
      for (std::size_t index = row * head_dim; index < (row + 1) * head_dim; ++index) {
        sum += static_cast<double>(output.data()[index]) * static_cast<double>(gradient.data()[index]);
      }
      dots.data()[row] = sum;
    }
    Kokkos::deep_copy(every.output_dot, dots);
    return every;
  }

  void check_gradients(const Positions &queries, const Positions &keys, const ExpectedRows &expected,
                       const problem::ErrorBound &bound) {
    const ExpectedRows every = every_row(expected);
    const Positions all_queries = all_positions(shape_.tokens);
    const Owned4 key = rows_at(tensors_.key, keys);
    const Owned4 value = rows_at(tensors_.value, keys);
    const Times4 times = multiplicities(layer_, shape_.query_heads, all_queries, keys, options_.key_tokens);
    const Kept1 kept = kept_pairs(options_, all_queries, keys);
    const Double4 key_gradient("ringscale::expected", shape_.batch, keys.size(), shape_.kv_heads, shape_.head_dim);
    const Double4 value_gradient("ringscale::expected", shape_.batch, keys.size(), shape_.kv_heads, shape_.head_dim);
    kernels::ReferenceKeyRows rows;
    rows.query = tensors_.query;
    rows.output_gradient = tensors_.output_gradient;
    rows.key = key;
    rows.value = value;
    rows.multiplicity = times;
    rows.kept = kept.data();
    rows.kept_factor = 1.0 / (1.0 - static_cast<double>(layer_dropout(options_).probability));
    rows.scale = problem::softmax_scale(shape_.head_dim);
    rows.log_sum_exp = every.log_sum_exp;
    rows.output_dot = every.output_dot;
    rows.key_gradient = key_gradient;
    rows.value_gradient = value_gradient;
    rows.magnitudes = magnitudes_;
    const ExecutionSpace space;
    kernels::reference_key_rows(space, rows);
    space.fence("ringscale::attention: reference of key rows");
    const problem::GradientBound gradient_bound = bound_of_gradients(bound);
    add("query_gradient", rows_at(tensors_.query_gradient, queries), expected.query_gradient, gradient_bound.query);
    add("key_gradient", rows_at(tensors_.key_gradient, keys), key_gradient, gradient_bound.key);
    add("value_gradient", rows_at(tensors_.value_gradient, keys), value_gradient, gradient_bound.value);
  }

  problem::GradientBound bound_of_gradients(const problem::ErrorBound &bound) const {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, magnitudes_);
    const problem::GradientMagnitude magnitude{host(0), host(1), host(2), host(3), host(4),
                                               host(5), host(6), host(7), host(8)};
    problem::GivenError given;
    given.log_sum_exp = bound.log_sum_exp;
    given.output_dot = bound.output * largest_row_sum(tensors_.output_gradient) +
                       problem::unit_roundoff(problem::DType::float32) * magnitude.output_dot;
    return layer_.gradient_bound(magnitude, given);
  }

  AttentionOptions options_;
  problem::AttentionProblem shape_;
  const AttentionTensors &tensors_;
  const AttentionLayer &layer_;
  Double1 magnitudes_;
  Verification verification_;
};

} // namespace

Verification verify(const AttentionOptions &options, const AttentionTensors &tensors, const AttentionLayer &layer) {
  return Verifier(options, tensors, layer).verify();
}

} // namespace ringscale::drivers
