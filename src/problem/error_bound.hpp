// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "problem/attention_problem.hpp"

namespace ringscale::problem {

/// Magnitudes of the data an error bound is stated for.
struct DataMagnitude {
  double max_value = 0.0;      ///< largest |V|
  double max_query_norm = 0.0; ///< largest Euclidean norm of a query row
  double max_key_norm = 0.0;   ///< largest Euclidean norm of a key row
};

struct ErrorBound {
  double output = 0.0;      ///< largest absolute error of an output element
  double log_sum_exp = 0.0; ///< largest absolute error of a row's log-sum-exp
};

/// Where a computation rounds to fewer bits than the float32 of its sums. Inputs are counted when the comparison is
/// with the unrounded ones; against the rounded ones, say float32.
struct Roundings {
  DType inputs = DType::float32;   ///< query, key and value
  DType weights = DType::float32;  ///< the exponentials, before they meet the values
  DType partials = DType::float32; ///< the output, after every merge (once, when nothing is merged)
};

/// Bound on the absolute error of attention over `tokens` keys merged from `merges` blocks, against exact arithmetic on
/// the exact inputs; sums are float32. Rounding errors of a sum of n terms are taken as lambda sqrt(n) u (Higham and
/// Mary 2019, doi 10.1137/18M1226312, theorem 2.4) with lambda = 4; roundings to fewer bits are taken at their worst.
/// docs/definitions.md has the derivation. Numbers too large for a format are not covered.
ErrorBound attention_error_bound(const Roundings &roundings, std::int64_t tokens, std::int64_t head_dim,
                                 std::int64_t merges, const DataMagnitude &magnitude);

/// The same for tensors stored in `dtype` and the kernels here: bfloat16 weights are rounded where products of
/// bfloat16 are native, so they are counted.
ErrorBound attention_error_bound(DType dtype, std::int64_t tokens, std::int64_t head_dim, std::int64_t merges,
                                 const DataMagnitude &magnitude);

/// Sums of absolute values of exact quantities that the errors of gradients scale with; each is the largest over rows,
/// keys and dimensions (kernels::ReferenceMagnitudes has them).
struct GradientMagnitude {
  double score = 0.0;           ///< scale sum_d |q k|
  double log_sum_exp = 0.0;     ///< |lse|
  double weight_gradient = 0.0; ///< sum_d |dO v|, times the factor of kept weights
  double output_dot = 0.0;      ///< |D|, D = rowsum(O dO)
  double query_sum = 0.0;       ///< sum_j scale P |dP - D| |k|
  double query_weight = 0.0;    ///< sum_j scale P |k|
  double key_sum = 0.0;         ///< sum_i scale P |dP - D| |q|
  double key_weight = 0.0;      ///< sum_i scale P |q|
  double value_sum = 0.0;       ///< sum_i P |dO|
};

/// Absolute errors of what a backward pass is given.
struct GivenError {
  double log_sum_exp = 0.0; ///< of the rows' log-sum-exps
  double output_dot = 0.0;  ///< of the rows' D
};

/// Largest absolute error of an element of each gradient.
struct GradientBound {
  double query = 0.0;
  double key = 0.0;
  double value = 0.0;
};

/// Bound on the absolute error of gradients that are recomputed from the log-sum-exp in `dtype`. `key_tokens` terms
/// make up a query gradient, `row_terms` (query tokens times the heads that read a key) a key or value gradient, and
/// `accumulations` blocks are added up. Sums of n terms are taken as in attention_error_bound; docs/kernels/backward.md
/// has the derivation.
GradientBound gradient_error_bound(DType dtype, std::int64_t key_tokens, std::int64_t row_terms, std::int64_t head_dim,
                                   std::int64_t accumulations, const GradientMagnitude &magnitude,
                                   const GivenError &given);

/// The magnitudes of synthetic data (see synthetic.hpp) without looking at it: the squared norm of a row of d
/// uniform elements has mean d and variance 0.8 d; six standard deviations are allowed, and never more than 3 d.
DataMagnitude synthetic_magnitude(std::int64_t head_dim);

/// Unit roundoff, the largest relative error of rounding to nearest in the normal range: 2^-24 for float32, 2^-11 for
/// tfloat32 and float16, 2^-8 for bfloat16, 2^-4 for float8_e4m3, 2^-3 for float8_e5m2.
double unit_roundoff(DType dtype);

/// Largest absolute error of rounding a number below the normal range; where subnormal bfloat16 and tfloat32 numbers
/// may count as 0, that is the smallest normal one.
double smallest_step_error(DType dtype);

} // namespace ringscale::problem
