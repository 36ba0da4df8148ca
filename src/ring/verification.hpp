// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/types.hpp"
#include "problem/error_bound.hpp"
#include "ring/ring_run.hpp"

namespace ringscale::ring {

/// Work one rank may spend on checking all its rows, and on a sample of them when all would be more, in FLOPs of the
/// double-precision reference.
inline constexpr double all_rows_flop = 1e10;
inline constexpr double sampled_rows_flop = 4e9;

/// Rows of the query buffer that are compared: all while their reference work is at most all_rows_flop, else the
/// first and last row of every span and a sample drawn by `seed`, ascending. Never fewer than 8 where there are.
std::vector<std::int64_t> rows_to_check(const RingOptions &options, std::int64_t rank);

/// What one rank's comparison with the reference found.
struct RowCheck {
  std::int64_t checked_rows = 0;
  bool all_rows = false;
  double max_error = 0.0;     ///< NaN when the output holds one
  double max_lse_error = 0.0; ///< 0 when the softmax rule has no log-sum-exp to compare
  std::int64_t wrong_elements = 0;
};

/// Largest errors that rounding explains for these options (problem::attention_error_bound, merged span by span).
problem::ErrorBound ring_error_bound(const RingOptions &options);

/// Compares `output` and `log_sum_exp`, one rank's buffers, with attention in double precision over all keys, which
/// are made anew from the seed and never taken from a message. The per_chunk rule defines no log-sum-exp; only its
/// output is compared.
RowCheck check_rows(const RingOptions &options, std::int64_t rank, kernels::ConstTensor4 output,
                    kernels::ConstTensor3 log_sum_exp);

} // namespace ringscale::ring
