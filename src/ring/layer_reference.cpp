// SPDX-License-Identifier: Apache-2.0
#include "ring/layer_reference.hpp"

#include <Kokkos_Core.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include "problem/synthetic.hpp"
#include "ring/sampling.hpp"

namespace ringscale::ring {

using problem::AttentionProblem;
using problem::GradientMagnitude;

namespace {

std::vector<float> whole_tensor(const RingOptions &options, problem::Tensor tensor) {
  const AttentionProblem &attention = options.problem.attention;
  const bool of_query = tensor == problem::Tensor::query || tensor == problem::Tensor::output_gradient;
  const std::int64_t heads = of_query ? attention.query_heads : attention.kv_heads;
  std::vector<float> data(static_cast<std::size_t>(attention.batch * attention.tokens * heads * attention.head_dim));
  problem::fill_synthetic(data.data(), options.seed, tensor, attention, {{0, attention.tokens, 1}, {}},
                          options.origin.batch, of_query ? options.origin.query_head : options.origin.kv_head);
  return data;
}

double dot(const float *left, const float *right, std::int64_t count) {
  double sum = 0.0;
  for (std::int64_t index = 0; index < count; ++index) {
    sum += static_cast<double>(left[index]) * static_cast<double>(right[index]);
  }
  return sum;
}

double absolute_dot(const float *left, const float *right, std::int64_t count) {
  double sum = 0.0;
  for (std::int64_t index = 0; index < count; ++index) {
    sum += std::abs(static_cast<double>(left[index]) * static_cast<double>(right[index]));
  }
  return sum;
}

/// Calls act(0 .. count - 1) from all host threads.
template <class Do> void parallel_rows(std::int64_t count, const Do &act) {
  using Space = Kokkos::DefaultHostExecutionSpace;
  Kokkos::parallel_for(
      "ringscale::ring::reference",
      Kokkos::RangePolicy<Space, Kokkos::Schedule<Kokkos::Dynamic>, Kokkos::IndexType<std::int64_t>>(0, count), act);
  Space().fence("ringscale::ring: reference rows");
}

void raise(GradientMagnitude &to, const GradientMagnitude &from) {
  raise_to(to.score, from.score);
  raise_to(to.log_sum_exp, from.log_sum_exp);
  raise_to(to.weight_gradient, from.weight_gradient);
  raise_to(to.output_dot, from.output_dot);
  raise_to(to.query_sum, from.query_sum);
  raise_to(to.query_weight, from.query_weight);
  raise_to(to.key_sum, from.key_sum);
  raise_to(to.key_weight, from.key_weight);
  raise_to(to.value_sum, from.value_sum);
}

GradientMagnitude largest_of(const std::vector<GradientMagnitude> &all) {
  GradientMagnitude largest;
  for (const GradientMagnitude &one : all) {
    raise(largest, one);
  }
  return largest;
}

} // namespace

LayerReference::LayerReference(const RingOptions &options, bool gradients)
    : problem_(options.problem), layer_heads_(options.problem.pattern_heads == 0 ? options.problem.attention.query_heads
                                                                                 : options.problem.pattern_heads),
      scale_(problem::softmax_scale(options.problem.attention.head_dim)),
      query_(whole_tensor(options, problem::Tensor::query)), key_(whole_tensor(options, problem::Tensor::key)),
      value_(whole_tensor(options, problem::Tensor::value)) {
  if (gradients) {
    output_gradient_ = whole_tensor(options, problem::Tensor::output_gradient);
  }
}

std::int64_t LayerReference::multiplicity(std::int64_t head, std::int64_t query, std::int64_t key) const {
  return problem::multiplicity(problem_.pattern, problem_.attention.mask, layer_heads_,
                               problem_.first_pattern_head + head, query, key);
}

std::size_t LayerReference::row_place(std::int64_t batch, std::int64_t token, std::int64_t head) const {
  const AttentionProblem &attention = problem_.attention;
  return static_cast<std::size_t>((batch * attention.tokens + token) * attention.query_heads + head);
}

const float *LayerReference::query(std::int64_t batch, std::int64_t token, std::int64_t head) const {
  return query_.data() + row_place(batch, token, head) * static_cast<std::size_t>(problem_.attention.head_dim);
}

const float *LayerReference::output_gradient(std::int64_t batch, std::int64_t token, std::int64_t head) const {
  return output_gradient_.data() +
         row_place(batch, token, head) * static_cast<std::size_t>(problem_.attention.head_dim);
}

const float *LayerReference::key(std::int64_t batch, std::int64_t token, std::int64_t kv_head) const {
  const AttentionProblem &attention = problem_.attention;
  return key_.data() + ((batch * attention.tokens + token) * attention.kv_heads + kv_head) * attention.head_dim;
}

const float *LayerReference::value(std::int64_t batch, std::int64_t token, std::int64_t kv_head) const {
  return value_.data() + (key(batch, token, kv_head) - key_.data());
}

double LayerReference::row_flop(const AttentionProblem &attention) {
  return problem::forward_flop(attention, static_cast<double>(attention.tokens));
}

double LayerReference::forward_row(std::int64_t batch, std::int64_t token, std::int64_t head, double *output) const {
  const AttentionProblem &attention = problem_.attention;
  const std::int64_t kv_head = head / (attention.query_heads / attention.kv_heads);
  const std::int64_t dims = attention.head_dim;
  std::vector<double> scores(static_cast<std::size_t>(attention.tokens));
  std::vector<double> times(scores.size());
  double largest = -std::numeric_limits<double>::infinity();
  for (std::int64_t other = 0; other < attention.tokens; ++other) {
    const auto place = static_cast<std::size_t>(other);
    times[place] = static_cast<double>(multiplicity(head, token, other));
    if (times[place] > 0.0) {
      scores[place] = scale_ * dot(query(batch, token, head), key(batch, other, kv_head), dims);
      largest = std::max(largest, scores[place]);
    }
  }
  std::fill(output, output + dims, 0.0);
  double sum = 0.0;
  for (std::int64_t other = 0; other < attention.tokens; ++other) {
    const auto place = static_cast<std::size_t>(other);
    if (times[place] > 0.0) {
      const double weight = times[place] * std::exp(scores[place] - largest);
      sum += weight;
      const float *row = value(batch, other, kv_head);
      for (std::int64_t dim = 0; dim < dims; ++dim) {
        output[dim] += weight * static_cast<double>(row[dim]);
      }
    }
  }
  if (!(sum > 0.0)) {
    return -std::numeric_limits<double>::infinity(); // no key is admitted
  }
  for (std::int64_t dim = 0; dim < dims; ++dim) {
    output[dim] /= sum;
  }
  return largest + std::log(sum);
}

void LayerReference::forward(const std::vector<std::int64_t> &positions, std::vector<double> &outputs,
                             RowNumbers &log_sum_exps) const {
  const AttentionProblem &attention = problem_.attention;
  const auto rows = static_cast<std::int64_t>(positions.size());
  const std::int64_t count = attention.batch * rows * attention.query_heads;
  log_sum_exps.assign(static_cast<std::size_t>(count), 0.0);
  outputs.assign(static_cast<std::size_t>(count * attention.head_dim), 0.0);
  parallel_rows(count, [&](std::int64_t index) {
    const std::int64_t head = index % attention.query_heads;
    const std::int64_t row = index / attention.query_heads % rows;
    const std::int64_t batch = index / attention.query_heads / rows;
    log_sum_exps[static_cast<std::size_t>(index)] =
        forward_row(batch, positions[static_cast<std::size_t>(row)], head, outputs.data() + index * attention.head_dim);
  });
}

JointRows LayerReference::joint_rows() const {
  const AttentionProblem &attention = problem_.attention;
  JointRows rows;
  const std::int64_t count = attention.batch * attention.tokens * attention.query_heads;
  rows.log_sum_exp.assign(static_cast<std::size_t>(count), 0.0);
  rows.output_dot.assign(static_cast<std::size_t>(count), 0.0);
  parallel_rows(count, [&](std::int64_t index) {
    const std::int64_t head = index % attention.query_heads;
    const std::int64_t token = index / attention.query_heads % attention.tokens;
    const std::int64_t batch = index / attention.query_heads / attention.tokens;
    std::vector<double> output(static_cast<std::size_t>(attention.head_dim));
    rows.log_sum_exp[static_cast<std::size_t>(index)] = forward_row(batch, token, head, output.data());
    const float *gradient = output_gradient(batch, token, head);
    double sum = 0.0;
    for (std::size_t dim = 0; dim < output.size(); ++dim) {
      sum += output[dim] * static_cast<double>(gradient[dim]);
    }
    rows.output_dot[static_cast<std::size_t>(index)] = sum;
  });
  return rows;
}

void LayerReference::query_row(std::int64_t batch, std::int64_t token, std::int64_t head, const JointRows &rows,
                               double *gradient, GradientMagnitude &magnitude) const {
  const AttentionProblem &attention = problem_.attention;
  const std::int64_t kv_head = head / (attention.query_heads / attention.kv_heads);
  const std::int64_t dims = attention.head_dim;
  const double lse = rows.log_sum_exp[row_place(batch, token, head)];
  const double output_dot = rows.output_dot[row_place(batch, token, head)];
  std::vector<double> sums(static_cast<std::size_t>(dims), 0.0);
  std::vector<double> weights(static_cast<std::size_t>(dims), 0.0);
  raise_to(magnitude.output_dot, std::abs(output_dot));
  if (std::isfinite(lse)) {
    raise_to(magnitude.log_sum_exp, std::abs(lse));
  }
  for (std::int64_t other = 0; other < attention.tokens; ++other) {
    const auto times = static_cast<double>(multiplicity(head, token, other));
    if (!(times > 0.0)) {
      continue;
    }
    const float *key_row = key(batch, other, kv_head);
    const float *value_row = value(batch, other, kv_head);
    const float *query_data = query(batch, token, head);
    const float *gradient_data = output_gradient(batch, token, head);
    const double weight = times * std::exp(scale_ * dot(query_data, key_row, dims) - lse);
    const double difference = dot(gradient_data, value_row, dims) - output_dot;
    raise_to(magnitude.score, scale_ * absolute_dot(query_data, key_row, dims));
    raise_to(magnitude.weight_gradient, absolute_dot(gradient_data, value_row, dims));
    for (std::int64_t dim = 0; dim < dims; ++dim) {
      const auto place = static_cast<std::size_t>(dim);
      const auto element = static_cast<double>(key_row[dim]);
      gradient[dim] += scale_ * weight * difference * element;
      sums[place] += scale_ * weight * std::abs(difference * element);
      weights[place] += scale_ * weight * std::abs(element);
    }
  }
  raise_to(magnitude.query_sum, *std::max_element(sums.begin(), sums.end()));
  raise_to(magnitude.query_weight, *std::max_element(weights.begin(), weights.end()));
}

void LayerReference::query_gradients(const std::vector<std::int64_t> &positions, const JointRows &rows,
                                     std::vector<double> &gradients, GradientMagnitude &magnitude) const {
  const AttentionProblem &attention = problem_.attention;
  const auto row_count = static_cast<std::int64_t>(positions.size());
  const std::int64_t count = attention.batch * row_count * attention.query_heads;
  gradients.assign(static_cast<std::size_t>(count * attention.head_dim), 0.0);
  std::vector<GradientMagnitude> magnitudes(static_cast<std::size_t>(count));
  parallel_rows(count, [&](std::int64_t index) {
    const std::int64_t row = index / attention.query_heads % row_count;
    query_row(index / attention.query_heads / row_count, positions[static_cast<std::size_t>(row)],
              index % attention.query_heads, rows, gradients.data() + index * attention.head_dim,
              magnitudes[static_cast<std::size_t>(index)]);
  });
  raise(magnitude, largest_of(magnitudes));
}

void LayerReference::key_row(std::int64_t batch, std::int64_t token, std::int64_t kv_head, const JointRows &rows,
                             double *key_gradient, double *value_gradient, GradientMagnitude &magnitude) const {
  const AttentionProblem &attention = problem_.attention;
  const std::int64_t heads = attention.query_heads / attention.kv_heads;
  const std::int64_t dims = attention.head_dim;
  const float *key_data = key(batch, token, kv_head);
  const float *value_data = value(batch, token, kv_head);
  const auto size = static_cast<std::size_t>(dims);
  std::vector<double> key_sums(size, 0.0);
  std::vector<double> key_weights(size, 0.0);
  std::vector<double> value_sums(size, 0.0);
  for (std::int64_t head = kv_head * heads; head < (kv_head + 1) * heads; ++head) {
    for (std::int64_t other = 0; other < attention.tokens; ++other) {
      const auto times = static_cast<double>(multiplicity(head, other, token));
      if (!(times > 0.0)) {
        continue;
      }
      const float *query_data = query(batch, other, head);
      const float *gradient_data = output_gradient(batch, other, head);
      const double lse = rows.log_sum_exp[row_place(batch, other, head)];
      const double weight = times * std::exp(scale_ * dot(query_data, key_data, dims) - lse);
      const double difference = dot(gradient_data, value_data, dims) - rows.output_dot[row_place(batch, other, head)];
      for (std::size_t dim = 0; dim < size; ++dim) {
        const auto element = static_cast<double>(query_data[dim]);
        key_gradient[dim] += scale_ * weight * difference * element;
        key_sums[dim] += scale_ * weight * std::abs(difference * element);
        key_weights[dim] += scale_ * weight * std::abs(element);
        value_gradient[dim] += weight * static_cast<double>(gradient_data[dim]);
        value_sums[dim] += weight * std::abs(static_cast<double>(gradient_data[dim]));
      }
    }
  }
  raise_to(magnitude.key_sum, *std::max_element(key_sums.begin(), key_sums.end()));
  raise_to(magnitude.key_weight, *std::max_element(key_weights.begin(), key_weights.end()));
  raise_to(magnitude.value_sum, *std::max_element(value_sums.begin(), value_sums.end()));
}

void LayerReference::key_value_gradients(const std::vector<std::int64_t> &positions, const JointRows &rows,
                                         std::vector<double> &key_gradients, std::vector<double> &value_gradients,
                                         GradientMagnitude &magnitude) const {
  const AttentionProblem &attention = problem_.attention;
  const auto key_count = static_cast<std::int64_t>(positions.size());
  const std::int64_t count = attention.batch * key_count * attention.kv_heads;
  key_gradients.assign(static_cast<std::size_t>(count * attention.head_dim), 0.0);
  value_gradients.assign(key_gradients.size(), 0.0);
  std::vector<GradientMagnitude> magnitudes(static_cast<std::size_t>(count));
  parallel_rows(count, [&](std::int64_t index) {
    const std::int64_t row = index / attention.kv_heads % key_count;
    key_row(index / attention.kv_heads / key_count, positions[static_cast<std::size_t>(row)],
            index % attention.kv_heads, rows, key_gradients.data() + index * attention.head_dim,
            value_gradients.data() + index * attention.head_dim, magnitudes[static_cast<std::size_t>(index)]);
  });
  raise(magnitude, largest_of(magnitudes));
}

double LayerReference::largest_gradient_row_sum() const {
  const auto dims = static_cast<std::size_t>(problem_.attention.head_dim);
  double largest = 0.0;
  for (std::size_t begin = 0; begin < output_gradient_.size(); begin += dims) {
    double sum = 0.0;
    for (std::size_t dim = 0; dim < dims; ++dim) {
      sum += std::abs(static_cast<double>(output_gradient_[begin + dim]));
    }
    raise_to(largest, sum);
  }
  return largest;
}

} // namespace ringscale::ring
