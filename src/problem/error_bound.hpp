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

/// Bound on the absolute error of attention computed in `dtype` over `tokens` keys merged from `merges` blocks,
/// against exact arithmetic. Rounding errors of a sum of n terms are taken as lambda sqrt(n) u (Higham and Mary
/// 2019, doi 10.1137/18M1226312, theorem 2.4) with lambda = 4; docs/definitions.md has the derivation.
ErrorBound attention_error_bound(DType dtype, std::int64_t tokens, std::int64_t head_dim, std::int64_t merges,
                                 const DataMagnitude &magnitude);

/// The magnitudes of synthetic data (see synthetic.hpp) without looking at it: the squared norm of a row of d
/// uniform elements has mean d and variance 0.8 d; six standard deviations are allowed, and never more than 3 d.
DataMagnitude synthetic_magnitude(std::int64_t head_dim);

/// Unit roundoff: 2^-24 for float32.
double unit_roundoff(DType dtype);

} // namespace ringscale::problem
