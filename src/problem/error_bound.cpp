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
  }
  throw InvalidInput("unknown dtype");
}

ErrorBound attention_error_bound(DType dtype, std::int64_t tokens, std::int64_t head_dim, std::int64_t merges,
                                 const DataMagnitude &magnitude) {
  const double u = unit_roundoff(dtype);
  const double dim = static_cast<double>(head_dim);
  // A score is a dot product of head_dim terms, at most |q||k| / sqrt(d) in magnitude, then rounded twice more.
  const double largest_score = magnitude.max_query_norm * magnitude.max_key_norm / std::sqrt(dim);
  const double score_error = u * (lambda * std::sqrt(dim) + 2.0) * largest_score;
  // A weight exp(s - m) carries the score's absolute error as a relative one, once more for the row maximum.
  const double weight_error = 2.0 * score_error + exponential_roundoffs * u;
  // Numerator and denominator sum `tokens` weights; each merge rescales by two exponentials and adds.
  const double sum_error = lambda * std::sqrt(static_cast<double>(tokens)) * u;
  const double merge_error = lambda * std::sqrt(static_cast<double>(merges)) * (exponential_roundoffs + 2.0) * u;
  const double relative = weight_error + sum_error + merge_error;
  ErrorBound bound;
  bound.output = 2.0 * relative * magnitude.max_value;
  const double largest_lse = largest_score + std::log(static_cast<double>(tokens));
  bound.log_sum_exp = relative + 2.0 * u * largest_lse;
  return bound;
}

DataMagnitude synthetic_magnitude(std::int64_t head_dim) {
  const double dim = static_cast<double>(head_dim);
  const double norm = std::sqrt(std::min(3.0 * dim, dim + 6.0 * std::sqrt(0.8 * dim)));
  return {synthetic_max_magnitude(), norm, norm};
}

} // namespace ringscale::problem
