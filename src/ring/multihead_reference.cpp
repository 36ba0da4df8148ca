// SPDX-License-Identifier: Apache-2.0
#include "ring/multihead_reference.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

namespace ringscale::ring {

namespace {

constexpr double u = 0x1p-24;

double square(double value) { return value * value; }

std::size_t index_of(std::int64_t value) { return static_cast<std::size_t>(value); }

/// A sum of products x w and how far rounding may take it.
class Sum {
public:
  /// A term whose own variance is `variance`.
  void add(double term, double variance) {
    value_ += term;
    squares_ += square(term);
    variance_ += variance;
    ++terms_;
  }
  double value() const { return value_; }
  double variance() const {
    return variance_ + static_cast<double>(terms_) * square(u * (std::abs(value_) + std::sqrt(squares_)));
  }

private:
  double value_ = 0.0;
  double squares_ = 0.0;
  double variance_ = 0.0;
  std::int64_t terms_ = 0;
};

/// Rows times the transpose of the rows of `weights` from `first` on, and their bias: [rows, outputs].
RoundedNumbers project(const RoundedNumbers &rows, std::int64_t inputs, const std::vector<float> &weights,
                       const std::vector<float> &bias, std::int64_t first, std::int64_t outputs) {
  const std::size_t width = index_of(inputs);
  const std::size_t count = rows.value.size() / width;
  RoundedNumbers result(count * index_of(outputs));
  std::size_t place = 0;
  for (std::size_t row = 0; row < count; ++row) {
    for (std::int64_t output = first; output < first + outputs; ++output, ++place) {
      Sum sum;
      sum.add(static_cast<double>(bias[index_of(output)]), 0.0);
      const float *const of_output = weights.data() + index_of(output) * width;
      for (std::size_t input = 0; input < width; ++input) {
        const auto weight = static_cast<double>(of_output[input]);
        sum.add(rows.value[row * width + input] * weight, rows.variance[row * width + input] * square(weight));
      }
      result.value[place] = sum.value();
      result.variance[place] = sum.variance();
    }
  }
  return result;
}

void normalise(RoundedNumbers &rows, std::int64_t features, const std::vector<float> &gains,
               const std::vector<float> &shifts) {
  const std::size_t width = index_of(features);
  const auto count = static_cast<double>(features);
  const auto epsilon = static_cast<double>(kernels::LayerNorm().epsilon);
  std::vector<double> deviation_variance(width);
  for (std::size_t begin = 0; begin < rows.value.size(); begin += width) {
    Sum mean;
    for (std::size_t place = begin; place < begin + width; ++place) {
      mean.add(rows.value[place] / count, rows.variance[place] / square(count));
    }
    Sum squares;
    for (std::size_t feature = 0; feature < width; ++feature) {
      const double deviation = rows.value[begin + feature] - mean.value();
      deviation_variance[feature] = rows.variance[begin + feature] + mean.variance() + square(u * deviation);
      squares.add(square(deviation) / count, square(2.0 * deviation / count) * deviation_variance[feature]);
    }
    const double total = squares.value() + epsilon;
    // d(1 / sqrt(s)) = -ds / 2 s^(3/2); root, division and epsilon's sum round, too.
    const double relative_variance = squares.variance() / square(2.0 * total) + square(3.0 * u);
    for (std::size_t feature = 0; feature < width; ++feature) {
      const double factor = static_cast<double>(gains[feature]) / std::sqrt(total);
      const auto shift = static_cast<double>(shifts[feature]);
      const double scaled = factor * (rows.value[begin + feature] - mean.value());
      rows.value[begin + feature] = scaled + shift;
      rows.variance[begin + feature] = square(factor) * deviation_variance[feature] +
                                       square(scaled) * relative_variance +
                                       square(4.0 * u * (std::abs(scaled) + std::abs(shift)));
    }
  }
}

/// Attention of one query of head_dim numbers over the first `keys` rows of key and value.
class Row {
public:
  Row(const RoundedNumbers &query, std::size_t begin, const RoundedNumbers &key, std::size_t dims, std::size_t keys)
      : weights_(keys), relative_variance_(keys) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(dims));
    for (std::size_t token = 0; token < keys; ++token) {
      Sum score;
      for (std::size_t dim = 0; dim < dims; ++dim) {
        const double q = query.value[begin + dim];
        const double k = key.value[token * dims + dim];
        const double q_variance = query.variance[begin + dim];
        const double k_variance = key.variance[token * dims + dim];
        score.add(scale * q * k,
                  square(scale) * (square(k) * q_variance + square(q) * k_variance + q_variance * k_variance));
      }
      weights_[token] = score.value();
      relative_variance_[token] = score.variance();
    }
    const double largest = *std::max_element(weights_.begin(), weights_.end());
    double sum = 0.0;
    for (std::size_t token = 0; token < keys; ++token) {
      // exp of a difference of two scores, each scaled and rounded; the exponential itself is off by up to 4 units.
      const double exponent = std::abs(weights_[token]) + std::abs(largest);
      relative_variance_[token] += square(2.0 * u * exponent) + square(4.0 * u);
      sum += weights_[token] = std::exp(weights_[token] - largest);
    }
    for (double &weight : weights_) {
      weight /= sum;
    }
  }

  /// The average of one column of the values: its value, and its variance after `merges` blocks were joined.
  std::pair<double, double> average(const RoundedNumbers &value, std::size_t dims, std::size_t dim,
                                    std::int64_t merges) const {
    Sum sum;
    for (std::size_t token = 0; token < weights_.size(); ++token) {
      const std::size_t place = token * dims + dim;
      sum.add(weights_[token] * value.value[place], square(weights_[token]) * value.variance[place]);
    }
    double variance = sum.variance();
    for (std::size_t token = 0; token < weights_.size(); ++token) {
      const double distance = value.value[token * dims + dim] - sum.value();
      variance += relative_variance_[token] * square(weights_[token] * distance);
    }
    // The sum of the weights is rounded, and each merge scales by two exponentials, adds and divides.
    const double roundings = static_cast<double>(weights_.size()) + 36.0 * static_cast<double>(merges);
    return {sum.value(), variance + roundings * square(u * sum.value())};
  }

private:
  std::vector<double> weights_, relative_variance_;
};

} // namespace

MultiheadReference::MultiheadReference(const MultiheadShape &shape, std::uint64_t seed, problem::Mask mask,
                                       std::int64_t merges)
    : shape_(shape), seed_(seed), mask_(mask), merges_(merges), weights_(synthetic_weights(shape, seed)) {}

RoundedNumbers MultiheadReference::attended(const RoundedNumbers &normalised,
                                            const std::vector<std::int64_t> &positions) const {
  const auto weights = [&](LayerWeight weight) -> const std::vector<float> & {
    return weights_[static_cast<std::size_t>(weight)];
  };
  const auto projected = [&](const RoundedNumbers &rows, std::int64_t first) {
    return project(rows, shape_.embed_dim, weights(LayerWeight::input_weights), weights(LayerWeight::input_bias), first,
                   shape_.head_dim);
  };
  const std::size_t dims = index_of(shape_.head_dim);
  const std::size_t columns = index_of(shape_.query_columns());
  const std::size_t width = index_of(shape_.embed_dim);
  RoundedNumbers of_queries(positions.size() * width);
  for (std::size_t row = 0; row < positions.size(); ++row) {
    const std::size_t from = index_of(positions[row]) * width;
    std::copy_n(normalised.value.begin() + static_cast<std::ptrdiff_t>(from), width,
                of_queries.value.begin() + static_cast<std::ptrdiff_t>(row * width));
    std::copy_n(normalised.variance.begin() + static_cast<std::ptrdiff_t>(from), width,
                of_queries.variance.begin() + static_cast<std::ptrdiff_t>(row * width));
  }
  const std::int64_t group = shape_.query_heads / shape_.kv_heads;
  RoundedNumbers result(positions.size() * columns);
  for (std::int64_t kv_head = 0; kv_head < shape_.kv_heads; ++kv_head) {
    const std::int64_t first_key = shape_.query_columns() + kv_head * shape_.head_dim;
    const RoundedNumbers key = projected(normalised, first_key);
    const RoundedNumbers value = projected(normalised, first_key + shape_.key_columns());
    for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      const RoundedNumbers query = projected(of_queries, head * shape_.head_dim);
      for (std::size_t row = 0; row < positions.size(); ++row) {
        const std::int64_t keys = mask_ == problem::Mask::causal ? positions[row] + 1 : shape_.tokens;
        const Row attention(query, row * dims, key, dims, index_of(keys));
        for (std::size_t dim = 0; dim < dims; ++dim) {
          const std::size_t place = row * columns + index_of(head) * dims + dim;
          std::tie(result.value[place], result.variance[place]) = attention.average(value, dims, dim, merges_);
        }
      }
    }
  }
  return result;
}

RoundedNumbers MultiheadReference::rows(std::int64_t batch, const std::vector<std::int64_t> &positions) const {
  const auto weights = [&](LayerWeight weight) -> const std::vector<float> & {
    return weights_[static_cast<std::size_t>(weight)];
  };
  const std::int64_t last = *std::max_element(positions.begin(), positions.end());
  const std::int64_t seen = mask_ == problem::Mask::causal ? last + 1 : shape_.tokens;
  RoundedNumbers tokens;
  for (const float value : synthetic_rows_of_entry(shape_, seed_, LayerInput::tokens, batch, {{0, seen, 1}, {}})) {
    tokens.value.push_back(static_cast<double>(value));
  }
  tokens.variance.resize(tokens.value.size());
  normalise(tokens, shape_.embed_dim, weights(LayerWeight::input_gain), weights(LayerWeight::input_shift));
  RoundedNumbers result = attended(tokens, positions);
  normalise(result, shape_.query_columns(), weights(LayerWeight::output_gain), weights(LayerWeight::output_shift));
  return project(result, shape_.query_columns(), weights(LayerWeight::output_weights),
                 weights(LayerWeight::output_bias), 0, shape_.embed_dim);
}

} // namespace ringscale::ring
