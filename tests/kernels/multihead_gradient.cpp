// SPDX-License-Identifier: Apache-2.0
// The layer in double precision, differentiated by central differences: shares no formula with the backward kernels.
#include "multihead_gradient.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ringscale::kernels::test {

namespace {

constexpr std::size_t at(Operand operand) { return static_cast<std::size_t>(operand); }

/// What a pass may take as given instead of computing it.
struct Constants {
  std::vector<double> statistics; ///< mean and sigma of every row of both norms
  std::vector<double> weights;    ///< all attention weights
};

/// One pass: records its constants, or uses those of another pass where the fault says so.
class Pass {
public:
  Pass(const GradientCase &shape, const Operands &operands, GradientFault fault, const Constants *given)
      : case_(shape), operands_(operands), fault_(fault), given_(given) {}

  std::vector<double> output();
  Constants recorded;

private:
  std::vector<double> norm(const std::vector<double> &rows, std::int64_t features, Operand gain, Operand shift);
  std::vector<double> project(const std::vector<double> &rows, std::int64_t inputs, Operand weights, Operand bias,
                              std::int64_t first, std::int64_t outputs) const;
  std::vector<double> attend(const std::vector<double> &query, const std::vector<double> &key,
                             const std::vector<double> &value);

  const GradientCase &case_;
  const Operands &operands_;
  GradientFault fault_;
  const Constants *given_;
};

std::vector<double> Pass::norm(const std::vector<double> &rows, std::int64_t features, Operand gain, Operand shift) {
  const auto width = static_cast<std::size_t>(features);
  std::vector<double> result(rows.size());
  for (std::size_t begin = 0; begin < rows.size(); begin += width) {
    double mean = 0.0;
    for (std::size_t feature = 0; feature < width; ++feature) {
      mean += rows[begin + feature] / static_cast<double>(width);
    }
    mean = fault_ == GradientFault::lost_mean ? 0.0 : mean;
    double variance = 0.0;
    for (std::size_t feature = 0; feature < width; ++feature) {
      variance += std::pow(rows[begin + feature] - mean, 2) / static_cast<double>(width);
    }
    double sigma = fault_ == GradientFault::lost_sigma ? 1.0 : std::sqrt(variance + 1e-5);
    if (given_ != nullptr && fault_ == GradientFault::frozen_statistics) {
      mean = given_->statistics[recorded.statistics.size()];
      sigma = given_->statistics[recorded.statistics.size() + 1];
    }
    recorded.statistics.insert(recorded.statistics.end(), {mean, sigma});
    for (std::size_t feature = 0; feature < width; ++feature) {
      result[begin + feature] =
          (rows[begin + feature] - mean) / sigma * operands_[at(gain)][feature] + operands_[at(shift)][feature];
    }
  }
  return result;
}

std::vector<double> Pass::project(const std::vector<double> &rows, std::int64_t inputs, Operand weights, Operand bias,
                                  std::int64_t first, std::int64_t outputs) const {
  const auto width = static_cast<std::size_t>(inputs);
  const auto columns = static_cast<std::size_t>(outputs);
  const auto begin = static_cast<std::size_t>(first);
  std::vector<double> result(rows.size() / width * columns);
  for (std::size_t row = 0; row < rows.size() / width; ++row) {
    for (std::size_t column = 0; column < columns; ++column) {
      double sum = operands_[at(bias)].empty() ? 0.0 : operands_[at(bias)][begin + column];
      for (std::size_t input = 0; input < width; ++input) {
        sum += rows[row * width + input] * operands_[at(weights)][(begin + column) * width + input];
      }
      result[row * columns + column] = sum;
    }
  }
  return result;
}

std::vector<double> Pass::attend(const std::vector<double> &query, const std::vector<double> &key,
                                 const std::vector<double> &value) {
  const MultiheadLayer &layer = case_.layer;
  const LayerInput &shape = case_.shape;
  const std::int64_t group = layer.query_heads / layer.kv_heads;
  const double scale = fault_ == GradientFault::lost_scale ? 1.0 : 1.0 / std::sqrt(static_cast<double>(layer.head_dim));
  const auto element = [&](std::int64_t batch, std::int64_t tokens, std::int64_t token, std::int64_t heads,
                           std::int64_t head) {
    return static_cast<std::size_t>(((batch * tokens + token) * heads + head) * layer.head_dim);
  };
  std::vector<double> result(query.size());
  for (std::int64_t batch = 0; batch < shape.batch; ++batch) {
    for (std::int64_t row = 0; row < shape.query_tokens; ++row) {
      for (std::int64_t head = 0; head < layer.query_heads; ++head) {
        const std::int64_t read_by = fault_ == GradientFault::swapped_heads ? layer.query_heads - 1 - head : head;
        const bool causal = shape.causal && fault_ != GradientFault::lost_mask;
        const std::int64_t keys = causal ? std::min(row + 1, shape.key_tokens) : shape.key_tokens;
        const std::size_t own = element(batch, shape.query_tokens, row, layer.query_heads, head);
        std::vector<double> weights(static_cast<std::size_t>(keys));
        double sum = 0.0;
        for (std::int64_t token = 0; token < keys; ++token) {
          const std::size_t other = element(batch, shape.key_tokens, token, layer.kv_heads, read_by / group);
          double score = 0.0;
          for (std::size_t dim = 0; dim < static_cast<std::size_t>(layer.head_dim); ++dim) {
            score += query[own + dim] * key[other + dim];
          }
          sum += weights[static_cast<std::size_t>(token)] = std::exp(scale * score);
        }
        for (double &weight : weights) {
          weight /= sum;
        }
        if (given_ != nullptr && fault_ == GradientFault::frozen_weights) {
          const auto from = given_->weights.begin() + std::ssize(recorded.weights);
          weights.assign(from, from + keys);
        }
        recorded.weights.insert(recorded.weights.end(), weights.begin(), weights.end());
        for (std::int64_t token = 0; token < keys; ++token) {
          const std::size_t other = element(batch, shape.key_tokens, token, layer.kv_heads, read_by / group);
          for (std::size_t dim = 0; dim < static_cast<std::size_t>(layer.head_dim); ++dim) {
            result[own + dim] += weights[static_cast<std::size_t>(token)] * value[other + dim];
          }
        }
      }
    }
  }
  return result;
}

std::vector<double> Pass::output() {
  const MultiheadLayer &layer = case_.layer;
  const std::int64_t query_columns = layer.query_heads * layer.head_dim;
  const std::int64_t key_columns = layer.kv_heads * layer.head_dim;
  std::vector<double> query = operands_[at(Operand::query)];
  if (layer.sub_layer_norm) {
    query = norm(query, layer.embed_dim, Operand::input_gain, Operand::input_shift);
  }
  const std::vector<double> &key = case_.self_attention ? query : operands_[at(Operand::key)];
  const std::vector<double> &value = case_.self_attention ? query : operands_[at(Operand::value)];
  const auto projected = [&](const std::vector<double> &rows, std::int64_t first, std::int64_t outputs) {
    return project(rows, layer.embed_dim, Operand::input_weights, Operand::input_bias, first, outputs);
  };
  std::vector<double> attended = attend(projected(query, 0, query_columns), projected(key, query_columns, key_columns),
                                        projected(value, query_columns + key_columns, key_columns));
  if (layer.sub_layer_norm) {
    attended = norm(attended, query_columns, Operand::output_gain, Operand::output_shift);
  }
  return project(attended, query_columns, Operand::output_weights, Operand::output_bias, 0, layer.embed_dim);
}

double loss(const GradientCase &shape, const Operands &operands, GradientFault fault, const Constants &given) {
  const std::vector<double> output = Pass(shape, operands, fault, &given).output();
  double sum = 0.0;
  for (std::size_t index = 0; index < output.size(); ++index) {
    sum += output[index] * static_cast<double>(shape.upstream[index]);
  }
  return sum;
}

} // namespace

const char *name(Operand operand) {
  constexpr std::array<const char *, operand_count> names{
      "query",       "key",        "value",       "input_weights", "input_bias",  "output_weights",
      "output_bias", "input_gain", "input_shift", "output_gain",   "output_shift"};
  return names[at(operand)];
}

GradientCase::GradientCase(const MultiheadLayer &sizes, const LayerInput &input, bool same_tokens, bool biases)
    : layer(sizes), shape(input), self_attention(same_tokens) {
  const LayerData data(layer.embed_dim, layer.query_heads, layer.kv_heads, layer.head_dim, layer.sub_layer_norm,
                       biases);
  const auto query_elements = static_cast<std::size_t>(shape.batch * shape.query_tokens * layer.embed_dim);
  const auto key_elements = static_cast<std::size_t>(shape.batch * shape.key_tokens * layer.embed_dim);
  single = {random_floats(query_elements, 101, 1.5),
            random_floats(self_attention ? 0 : key_elements, 102, 1.5),
            random_floats(self_attention ? 0 : key_elements, 103, 1.5),
            data.input_weights,
            data.input_bias,
            data.output_weights,
            data.output_bias,
            data.input_gain,
            data.input_shift,
            data.output_gain,
            data.output_shift};
  for (float &element : single[at(Operand::query)]) {
    element += 0.5F; // so that the mean matters
  }
  for (std::size_t operand = 0; operand < operand_count; ++operand) {
    operands[operand].assign(single[operand].begin(), single[operand].end());
  }
  upstream = random_floats(query_elements, 104);
}

MultiheadLayer GradientCase::pointed() const {
  const auto pointer = [&](Operand operand) { return has(operand) ? single[at(operand)].data() : nullptr; };
  MultiheadLayer result = layer;
  result.input_weights = pointer(Operand::input_weights);
  result.input_bias = pointer(Operand::input_bias);
  result.output_weights = pointer(Operand::output_weights);
  result.output_bias = pointer(Operand::output_bias);
  result.input_norm = {pointer(Operand::input_gain), pointer(Operand::input_shift)};
  result.output_norm = {pointer(Operand::output_gain), pointer(Operand::output_shift)};
  return result;
}

std::vector<double> forward(const GradientCase &shape, const Operands &operands) {
  return Pass(shape, operands, GradientFault::none, nullptr).output();
}

Operands central_differences(const GradientCase &shape, GradientFault fault) {
  constexpr double step = 1e-5;
  Pass base(shape, shape.operands, fault, nullptr);
  base.output();
  Operands moved = shape.operands;
  Operands result;
  for (std::size_t operand = 0; operand < operand_count; ++operand) {
    for (double &element : moved[operand]) {
      const double centre = element;
      element = centre + step;
      const double above = loss(shape, moved, fault, base.recorded);
      element = centre - step;
      const double below = loss(shape, moved, fault, base.recorded);
      element = centre;
      result[operand].push_back((above - below) / (2.0 * step));
    }
  }
  return result;
}

std::array<std::vector<float>, operand_count> kernel_gradients(const GradientCase &shape, const AttentionCores &cores) {
  std::array<std::vector<float>, operand_count> found;
  for (std::size_t operand = 0; operand < operand_count; ++operand) {
    found[operand].assign(shape.single[operand].size(), std::numeric_limits<float>::quiet_NaN());
  }
  const auto to = [&](Operand operand) { return found[at(operand)].empty() ? nullptr : found[at(operand)].data(); };
  MultiheadGradients gradients;
  gradients.query = to(Operand::query);
  gradients.key = to(Operand::key);
  gradients.value = to(Operand::value);
  gradients.input_weights = to(Operand::input_weights);
  gradients.input_bias = to(Operand::input_bias);
  gradients.output_weights = to(Operand::output_weights);
  gradients.output_bias = to(Operand::output_bias);
  gradients.input_norm = {nullptr, to(Operand::input_gain), to(Operand::input_shift)};
  gradients.output_norm = {nullptr, to(Operand::output_gain), to(Operand::output_shift)};
  const auto tokens = [&](Operand operand, std::int64_t count) {
    const Operand of = shape.self_attention ? Operand::query : operand;
    return ConstTensor3(shape.single[at(of)].data(), static_cast<std::size_t>(shape.shape.batch),
                        static_cast<std::size_t>(count), static_cast<std::size_t>(shape.layer.embed_dim));
  };
  const ConstTensor3 query = tokens(Operand::query, shape.shape.query_tokens);
  multihead_backward(ExecutionSpace(), shape.pointed(), query, tokens(Operand::key, shape.shape.key_tokens),
                     tokens(Operand::value, shape.shape.key_tokens), cores,
                     {shape.upstream.data(), query.extent(0), query.extent(1), query.extent(2)}, gradients);
  return found;
}

double relative_error(const std::vector<float> &found, const std::vector<double> &expected) {
  double largest = std::numeric_limits<double>::min();
  double error = found.size() == expected.size() ? 0.0 : std::numeric_limits<double>::quiet_NaN();
  for (std::size_t index = 0; index < std::min(found.size(), expected.size()); ++index) {
    const double difference = std::abs(static_cast<double>(found[index]) - expected[index]);
    if (!(difference <= error)) {
      error = std::isnan(error) ? error : difference;
    }
    largest = std::max(largest, std::abs(expected[index]));
  }
  return error / largest;
}

} // namespace ringscale::kernels::test
