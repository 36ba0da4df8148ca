// SPDX-License-Identifier: Apache-2.0
// The layer by its definition, in double precision and plain loops. Beside every number runs a bound on what float32
// may make of it: what its inputs are off by, plus what its own operations round (Higham 2002, sections 3.1 and 3.5).
#include "multihead_case.hpp"

#include <algorithm>
#include <cmath>
#include <random>

namespace ringscale::kernels::test {

namespace {

constexpr double unit_roundoff = 0x1p-24;

/// gamma_n = n u / (1 - n u): relative error of a sum of n products, in any order.
double gamma_of(std::int64_t operations) {
  const double product = static_cast<double>(operations) * unit_roundoff;
  return product / (1.0 - product);
}

std::vector<float> around_one(std::size_t count, std::uint64_t seed) {
  std::vector<float> values = random_floats(count, seed, 0.5);
  for (float &value : values) {
    value += 1.0F;
  }
  return values;
}

struct HeadShape {
  std::int64_t query_tokens, key_tokens, query_heads, kv_heads, head_dim;
  bool causal;
};

/// One query row of one head.
void attend(const Bounded &query, const Bounded &key, const Bounded &value, const HeadShape &shape, std::int64_t batch,
            std::int64_t row, std::int64_t head, Fault fault, Bounded &output) {
  const std::int64_t group = shape.query_heads / shape.kv_heads;
  const std::int64_t kv_head = (fault == Fault::swapped_heads ? shape.query_heads - 1 - head : head) / group;
  const std::int64_t keys = shape.causal ? std::min(row + 1, shape.key_tokens) : shape.key_tokens;
  const double scale = fault == Fault::lost_scale ? 1.0 : 1.0 / std::sqrt(static_cast<double>(shape.head_dim));
  const auto element = [&](std::int64_t token, std::int64_t tokens, std::int64_t of_head, std::int64_t heads) {
    return static_cast<std::size_t>(((batch * tokens + token) * heads + of_head) * shape.head_dim);
  };
  const std::size_t own = element(row, shape.query_tokens, head, shape.query_heads);
  std::vector<double> scores(static_cast<std::size_t>(keys));
  double score_error = 0.0;
  double largest = 0.0;
  for (std::int64_t token = 0; token < keys; ++token) {
    const std::size_t other = element(token, shape.key_tokens, kv_head, shape.kv_heads);
    double score = 0.0;
    double magnitude = 0.0;
    double error = 0.0;
    for (std::size_t dim = 0; dim < static_cast<std::size_t>(shape.head_dim); ++dim) {
      const double q = query.value[own + dim];
      const double k = key.value[other + dim];
      const double q_error = query.error[own + dim];
      const double k_error = key.error[other + dim];
      score += q * k;
      magnitude += (std::abs(q) + q_error) * (std::abs(k) + k_error);
      error += std::abs(q) * k_error + std::abs(k) * q_error + q_error * k_error;
    }
    scores[static_cast<std::size_t>(token)] = scale * score;
    largest = std::max(largest, std::abs(scale * score));
    score_error = std::max(score_error, scale * (error + gamma_of(shape.head_dim + 4) * magnitude));
  }
  // The exponent is a difference of two scores; a weight is off by at most the factor that both errors make, by the
  // exponential's own error (below 4 units) and by the sum that it is divided by.
  const double exponent_error = 2.0 * score_error + 8.0 * unit_roundoff * largest;
  const double relative = std::expm1(2.0 * exponent_error) + 2.0 * gamma_of(keys + 16);
  double sum = 0.0;
  const double reference = *std::max_element(scores.begin(), scores.end());
  for (double &score : scores) {
    score = std::exp(score - reference);
    sum += score;
  }
  for (std::size_t dim = 0; dim < static_cast<std::size_t>(shape.head_dim); ++dim) {
    double total = 0.0;
    double error = 0.0;
    for (std::int64_t token = 0; token < keys; ++token) {
      const std::size_t other = element(token, shape.key_tokens, kv_head, shape.kv_heads) + dim;
      const double weight = scores[static_cast<std::size_t>(token)] / sum;
      total += weight * value.value[other];
      error += weight * ((1.0 + relative) * value.error[other] + relative * std::abs(value.value[other]));
    }
    output.value[own + dim] = total;
    output.error[own + dim] = error;
  }
}

} // namespace

Bounded exactly(const std::vector<float> &values) {
  Bounded result(values.size());
  std::copy(values.begin(), values.end(), result.value.begin());
  return result;
}

std::vector<float> random_floats(std::size_t count, std::uint64_t seed, double largest) {
  std::mt19937_64 random(seed);
  std::vector<float> values(count);
  for (float &value : values) {
    value = static_cast<float>(largest * (static_cast<double>(random() >> 11U) * 0x1p-52 - 1.0));
  }
  return values;
}

Bounded reference_projection(const Bounded &input, std::int64_t rows, const Projection &projection) {
  Bounded output(static_cast<std::size_t>(rows * projection.outputs));
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = 0; column < projection.outputs; ++column) {
      double sum = projection.bias == nullptr ? 0.0 : static_cast<double>(projection.bias[column]);
      double magnitude = std::abs(sum);
      double error = 0.0;
      for (std::int64_t index = 0; index < projection.inputs; ++index) {
        const auto at = static_cast<std::size_t>(row * projection.inputs + index);
        const auto weight = static_cast<double>(projection.weights[column * projection.inputs + index]);
        sum += input.value[at] * weight;
        magnitude += (std::abs(input.value[at]) + input.error[at]) * std::abs(weight);
        error += input.error[at] * std::abs(weight);
      }
      const auto at = static_cast<std::size_t>(row * projection.outputs + column);
      output.value[at] = sum;
      output.error[at] = error + gamma_of(projection.inputs + 2) * magnitude;
    }
  }
  return output;
}

Bounded reference_layer_norm(const Bounded &input, std::int64_t rows, std::int64_t features, const LayerNorm &norm,
                             Fault fault) {
  Bounded output(input.size());
  const auto count = static_cast<double>(features);
  const double rounding = gamma_of(features + 4);
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto begin = static_cast<std::size_t>(row * features);
    const auto end = begin + static_cast<std::size_t>(features);
    double mean = 0.0;
    double mean_error = 0.0;
    for (std::size_t at = begin; at < end; ++at) {
      mean += input.value[at] / count;
      mean_error += (input.error[at] + rounding * (std::abs(input.value[at]) + input.error[at])) / count;
    }
    const double centre = fault == Fault::norm_without_mean ? 0.0 : mean;
    double variance = 0.0;
    double variance_error = 0.0;
    std::vector<double> deviation_error(static_cast<std::size_t>(features));
    for (std::size_t at = begin; at < end; ++at) {
      const double deviation = std::abs(input.value[at] - centre);
      const double error = mean_error + input.error[at] + unit_roundoff * (deviation + mean_error + input.error[at]);
      deviation_error[at - begin] = error;
      variance += deviation * deviation / count;
      variance_error +=
          (2.0 * deviation * error + error * error + rounding * (deviation + error) * (deviation + error)) / count;
    }
    const double total = variance + static_cast<double>(norm.epsilon);
    const double factor = 1.0 / std::sqrt(total);
    // |1/sqrt(1 + x) - 1| <= |x| while |x| <= 1/2; root, division and epsilon's sum round too.
    const double relative = variance_error / total + 4.0 * unit_roundoff;
    for (std::size_t at = begin; at < end; ++at) {
      const std::size_t feature = at - begin;
      const double gain = norm.gain == nullptr ? 1.0 : static_cast<double>(norm.gain[feature]);
      const double bias = norm.bias == nullptr ? 0.0 : static_cast<double>(norm.bias[feature]);
      const double deviation = input.value[at] - centre;
      const double error = deviation_error[feature];
      output.value[at] = deviation * factor * gain + bias;
      output.error[at] =
          std::abs(gain) * factor * (error + (std::abs(deviation) + error) * relative) +
          gamma_of(4) * (std::abs(gain) * factor * (std::abs(deviation) + error) * (1.0 + relative) + std::abs(bias));
    }
  }
  return output;
}

LayerData::LayerData(std::int64_t embed_dim, std::int64_t query_heads, std::int64_t kv_heads, std::int64_t head_dim,
                     bool norms, bool biases) {
  const auto embed = static_cast<std::size_t>(embed_dim);
  const auto attended = static_cast<std::size_t>(query_heads * head_dim);
  const auto projected = static_cast<std::size_t>((query_heads + 2 * kv_heads) * head_dim);
  const double largest = 1.5 / std::sqrt(static_cast<double>(embed_dim));
  input_weights = random_floats(projected * embed, 11, largest);
  output_weights = random_floats(embed * attended, 12, largest);
  layer = {embed_dim, query_heads, kv_heads, head_dim, input_weights.data(), nullptr, output_weights.data(),
           nullptr,   norms,       {},       {}};
  if (biases) {
    input_bias = random_floats(projected, 13);
    output_bias = random_floats(embed, 14);
    layer.input_bias = input_bias.data();
    layer.output_bias = output_bias.data();
  }
  if (norms) {
    input_gain = around_one(embed, 15);
    input_shift = random_floats(embed, 16);
    output_gain = around_one(attended, 17);
    output_shift = random_floats(attended, 18);
    layer.input_norm = {input_gain.data(), input_shift.data()};
    layer.output_norm = {output_gain.data(), output_shift.data()};
  }
}

Bounded reference_multihead(const MultiheadLayer &layer, const LayerInput &shape, const std::vector<float> &query,
                            const std::vector<float> &key, const std::vector<float> &value, bool self_attention,
                            Fault fault) {
  const std::int64_t query_rows = shape.batch * shape.query_tokens;
  const std::int64_t key_rows = shape.batch * shape.key_tokens;
  const std::int64_t query_columns = layer.query_heads * layer.head_dim;
  const std::int64_t key_columns = layer.kv_heads * layer.head_dim;
  const auto part = [&](std::int64_t begin, std::int64_t outputs) {
    const bool bias = layer.input_bias != nullptr && fault != Fault::missing_input_bias;
    return Projection{layer.input_weights + begin * layer.embed_dim, bias ? layer.input_bias + begin : nullptr,
                      layer.embed_dim, outputs};
  };
  const bool wrong_order = fault == Fault::wrong_fused_order;
  const auto normalised = [&](const std::vector<float> &tokens, std::int64_t rows) {
    return layer.sub_layer_norm ? reference_layer_norm(exactly(tokens), rows, layer.embed_dim, layer.input_norm, fault)
                                : exactly(tokens);
  };
  const Bounded queries = reference_projection(normalised(query, query_rows), query_rows,
                                               part(wrong_order ? key_columns : 0, query_columns));
  const auto kv_input = [&](const std::vector<float> &tokens) {
    return self_attention ? normalised(tokens, key_rows) : exactly(tokens);
  };
  const Bounded keys =
      reference_projection(kv_input(key), key_rows, part(wrong_order ? 0 : query_columns, key_columns));
  const Bounded values =
      reference_projection(kv_input(value), key_rows, part(query_columns + key_columns, key_columns));
  Bounded attended(static_cast<std::size_t>(query_rows * query_columns));
  const HeadShape heads{shape.query_tokens, shape.key_tokens, layer.query_heads,
                        layer.kv_heads,     layer.head_dim,   shape.causal};
  for (std::int64_t batch = 0; batch < shape.batch; ++batch) {
    for (std::int64_t row = 0; row < shape.query_tokens; ++row) {
      for (std::int64_t head = 0; head < layer.query_heads; ++head) {
        attend(queries, keys, values, heads, batch, row, head, fault, attended);
      }
    }
  }
  if (layer.sub_layer_norm && fault != Fault::missing_output_norm) {
    attended = reference_layer_norm(attended, query_rows, query_columns, layer.output_norm, fault);
  }
  return reference_projection(attended, query_rows,
                              {layer.output_weights, fault == Fault::missing_output_bias ? nullptr : layer.output_bias,
                               query_columns, layer.embed_dim});
}

std::int64_t wrong_elements(const std::vector<float> &found, const Bounded &expected) {
  std::int64_t wrong = found.size() == expected.size() ? 0 : 1;
  for (std::size_t at = 0; at < std::min(found.size(), expected.size()); ++at) {
    wrong += std::abs(static_cast<double>(found[at]) - expected.value[at]) <= expected.error[at] ? 0 : 1;
  }
  return wrong;
}

} // namespace ringscale::kernels::test
