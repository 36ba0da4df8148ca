// SPDX-License-Identifier: Apache-2.0
#include "problem/error_bound.hpp"

#include <algorithm>
#include <cmath>

#include "problem/invalid_input.hpp"
#include "problem/synthetic.hpp"

namespace ringscale::problem {

namespace {
// Probability that one sum exceeds its bound: 2 exp(-lambda^2 / 2) = 7e-4; the partial cancellation that the bound
// ignores makes that pessimistic by orders of magnitude in practice.
constexpr double lambda = 4.0;
// exp2 by polynomial and range reduction, relative error in units of roundoff.
constexpr double exponential_roundoffs = 4.0;
} // namespace

double unit_roundoff(DType dtype) {
  switch (dtype) {
  case DType::float32:
    return 0x1.0p-24;
  case DType::tfloat32:
  case DType::float16:
    return 0x1.0p-11;
  case DType::bfloat16:
    return 0x1.0p-8;
  case DType::float8_e4m3:
    return 0x1.0p-4;
  case DType::float8_e5m2:
    return 0x1.0p-3;
  }
  throw InvalidInput("unknown dtype");
}

double smallest_step_error(DType dtype) {
  switch (dtype) {
  case DType::float32:
  case DType::tfloat32:
  case DType::bfloat16:
    return 0x1.0p-126;
  case DType::float16:
    return 0x1.0p-25;
  case DType::float8_e4m3:
    return 0x1.0p-10;
  case DType::float8_e5m2:
    return 0x1.0p-17;
  }
  throw InvalidInput("unknown dtype");
}

namespace {

/// Largest error of rounding numbers of at most `magnitude`; float32 data are as they are.
double rounding_error(DType dtype, double magnitude) {
  return dtype == DType::float32 ? 0.0 : unit_roundoff(dtype) * magnitude + smallest_step_error(dtype);
}

/// The same for the Euclidean norm of a row of `dim` numbers.
double row_rounding_error(DType dtype, double norm, double dim) {
  return dtype == DType::float32 ? 0.0 : unit_roundoff(dtype) * norm + std::sqrt(dim) * smallest_step_error(dtype);
}

} // namespace

ErrorBound attention_error_bound(const Roundings &roundings, std::int64_t tokens, std::int64_t head_dim,
                                 std::int64_t merges, const DataMagnitude &magnitude) {
  const double u = unit_roundoff(DType::float32);
  const double dim = static_cast<double>(head_dim);
  // Rounded inputs move a score by (q + dq)(k + dk) - q k, divided by sqrt(d), and values by their own rounding.
  const double query_shift = row_rounding_error(roundings.inputs, magnitude.max_query_norm, dim);
  const double key_shift = row_rounding_error(roundings.inputs, magnitude.max_key_norm, dim);
  const double score_shift =
      (query_shift * magnitude.max_key_norm + magnitude.max_query_norm * key_shift + query_shift * key_shift) /
      std::sqrt(dim);
  const double value_shift = rounding_error(roundings.inputs, magnitude.max_value);
  const double largest_value = magnitude.max_value + value_shift;
  // A score is a dot product of head_dim terms, at most |q||k| / sqrt(d) in magnitude, then rounded twice more.
  const double largest_score = magnitude.max_query_norm * magnitude.max_key_norm / std::sqrt(dim) + score_shift;
  const double score_error = u * (lambda * std::sqrt(dim) + 2.0) * largest_score;
  // A weight exp(s - m) carries the score's absolute error as a relative one, once more for the row maximum.
  const double weight_error = 2.0 * score_error + exponential_roundoffs * u;
  // Numerator and denominator sum `tokens` weights; each merge rescales by two exponentials and adds.
  const double sum_error = lambda * std::sqrt(static_cast<double>(tokens)) * u;
  const double merge_error = lambda * std::sqrt(static_cast<double>(merges)) * (exponential_roundoffs + 2.0) * u;
  const double relative = weight_error + sum_error + merge_error;
  // A weight that is off by a factor of at most e^x, before weights are made to sum to one, is off by at most e^(2x)
  // afterwards, and so sum |difference of weights| <= e^(2x) - 1. Outputs are averages: never further apart than 2.
  const double weight_roundoff = roundings.weights == DType::float32 ? 0.0 : unit_roundoff(roundings.weights);
  const double weight_shift = std::log1p(weight_roundoff) - std::log1p(-weight_roundoff);
  const double moved = std::min(std::expm1(2.0 * score_shift + weight_shift), 2.0) * largest_value + value_shift;
  // Each merged output is rounded once more; later merges average what stands there, and averages stay in range.
  const double rounding = rounding_error(roundings.partials, largest_value);
  const double partial_shift =
      std::min(static_cast<double>(std::max<std::int64_t>(merges, 1)) * rounding, 2.0 * largest_value + rounding);
  ErrorBound bound;
  bound.output = 2.0 * relative * largest_value + moved + partial_shift;
  const double largest_lse = largest_score + std::log(static_cast<double>(tokens));
  bound.log_sum_exp = relative + 2.0 * u * largest_lse + score_shift - std::log1p(-weight_roundoff);
  return bound;
}

ErrorBound attention_error_bound(DType dtype, std::int64_t tokens, std::int64_t head_dim, std::int64_t merges,
                                 const DataMagnitude &magnitude) {
  Roundings roundings;
  roundings.inputs = dtype;
  roundings.weights = dtype == DType::bfloat16 ? dtype : DType::float32;
  return attention_error_bound(roundings, tokens, head_dim, merges, magnitude);
}

GradientBound gradient_error_bound(DType dtype, std::int64_t key_tokens, std::int64_t row_terms, std::int64_t head_dim,
                                   std::int64_t accumulations, const GradientMagnitude &magnitude,
                                   const GivenError &given) {
  const double u = unit_roundoff(dtype);
  const double dot = lambda * std::sqrt(static_cast<double>(head_dim));
  // A weight exp(score - lse): the absolute error of the exponent is the relative error of the weight. The scale and
  // log2(e) are rounded and folded into a factor (3 roundings), lse is converted (2), the difference is rounded.
  const double exponent_error = u * ((dot + 4.0) * magnitude.score + 3.0 * magnitude.log_sum_exp) + given.log_sum_exp;
  const double weight_error = exponent_error + exponential_roundoffs * u;
  // dP and D with the scale and the dropout factor folded in.
  const double difference_error =
      u * ((dot + 4.0) * magnitude.weight_gradient + 3.0 * magnitude.output_dot) + given.output_dot;
  const auto sum_error = [&](std::int64_t terms) {
    return (lambda * std::sqrt(static_cast<double>(terms) + static_cast<double>(accumulations)) + 3.0) * u;
  };
  GradientBound bound;
  bound.query =
      magnitude.query_sum * (weight_error + sum_error(key_tokens)) + magnitude.query_weight * difference_error;
  bound.key = magnitude.key_sum * (weight_error + sum_error(row_terms)) + magnitude.key_weight * difference_error;
  bound.value = magnitude.value_sum * (weight_error + sum_error(row_terms));
  return bound;
}

DataMagnitude synthetic_magnitude(std::int64_t head_dim) {
  const double dim = static_cast<double>(head_dim);
  const double norm = std::sqrt(std::min(3.0 * dim, dim + 6.0 * std::sqrt(0.8 * dim)));
  return {synthetic_max_magnitude(), norm, norm};
}

} // namespace ringscale::problem
