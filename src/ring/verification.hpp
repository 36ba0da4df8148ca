// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/types.hpp"
#include "problem/error_bound.hpp"
#include "ring/layer_reference.hpp"
#include "ring/ring_options.hpp"

namespace ringscale::ring {

/// Work one rank may spend on checking all its rows, and on a sample of them when all would be more, in FLOPs of the
/// double-precision reference.
inline constexpr double all_rows_flop = 1e10;
inline constexpr double sampled_rows_flop = 4e9;

/// Rows of `tokens` that are compared: all while their reference work is at most all_rows_flop, else the first and last
/// row of every span and a sample drawn by the seed, ascending. Never fewer than 8 where there are.
std::vector<std::int64_t> rows_to_check(const RingOptions &options, std::int64_t rank, const problem::TokenSet &tokens);

/// What one rank's comparison with the reference found.
struct RowCheck {
  std::int64_t checked_rows = 0;
  bool all_rows = false;
  double max_error = 0.0;     ///< NaN when the output holds one
  double max_lse_error = 0.0; ///< 0 when the softmax rule has no log-sum-exp to compare
  /// The same against attention of the inputs as stored, rounded to bfloat16: what is left is the ring's own doing. 0
  /// where inputs are stored as they are.
  double max_stored_error = 0.0;
  double max_stored_lse_error = 0.0;
  std::int64_t wrong_elements = 0; ///< beyond their bound in any of these comparisons
};

/// Largest errors that rounding explains for these options (problem::attention_error_bound, merged span by span).
problem::ErrorBound ring_error_bound(const RingOptions &options);

/// The same against attention of the inputs as stored; tight enough to see what a bfloat16 ring does wrong, which
/// rounded inputs would hide.
problem::ErrorBound stored_error_bound(const RingOptions &options);

/// Compares `output` and `log_sum_exp`, one rank's buffers, with attention in double precision over all keys, which
/// are made anew from the seed and never taken from a message; bfloat16 rings also with attention of the rounded
/// inputs. The per_chunk rule defines no log-sum-exp; only its
/// output is compared. options.problem is the ring's share of the layer.
/// `queries` are the tokens of the tensors' rows; an empty log_sum_exp is not compared. `rank` only chooses the sample.
RowCheck check_rows(const RingOptions &options, std::int64_t rank, const problem::TokenSet &queries,
                    kernels::ConstTensor4 output, kernels::ConstTensor3 log_sum_exp);

/// Gradients of one rank, and what they were compared with.
struct GradientCheck {
  std::int64_t checked_rows = 0; ///< query rows and key rows
  bool all_rows = false;
  problem::GradientBound max_error;
  problem::GradientBound bound; ///< of this rank's rows
  std::int64_t wrong_elements = 0;
};

/// Whether the joint rows that gradients rest on can be computed by every rank in double precision; if not, the ring's
/// own, which the forward pass has been checked for, are gathered.
bool computes_joint_rows(const RingOptions &options);

/// Compares one rank's gradients with those of the definition (LayerReference), for the same rows as check_rows of
/// queries and of keys. `rows` are the joint rows of the ring's share of the layer.
GradientCheck check_gradients(const RingOptions &options, std::int64_t rank, const problem::TokenSet &queries,
                              const problem::TokenSet &keys, const LayerReference &reference, const JointRows &rows,
                              kernels::ConstTensor4 query_gradient, kernels::ConstTensor4 key_gradient,
                              kernels::ConstTensor4 value_gradient);

} // namespace ringscale::ring
