// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/admission.hpp"
#include "kernels/dropout.hpp"
#include "kernels/types.hpp"

namespace ringscale::kernels {

/// What the reference differentiates: shapes as in reference_attention.
struct ReferenceProblem {
  ConstTensor4 query, key, value;
  Admission admission;
  double scale = 1.0;
  Dropout dropout;
  const std::uint8_t *mask = nullptr; ///< [query_tokens, key_tokens], nonzero admits; null: the admission alone
};

/// Where the reference writes; views of no elements are left out.
struct ReferenceGradients {
  ReferenceTensor4 output;      ///< with dropout, as the forward pass gives it
  ReferenceTensor3 log_sum_exp; ///< of the weights before dropout
  ReferenceTensor4 query_gradient, key_gradient, value_gradient;
};

/// Sums of absolute values that rounding errors of a backward pass scale with; docs/kernels/backward.md. Largest over
/// all rows, keys and dimensions.
struct ReferenceMagnitudes {
  double score = 0.0;           ///< scale sum_d |q k|
  double log_sum_exp = 0.0;     ///< |lse|
  double weight_gradient = 0.0; ///< factor of kept weights times sum_d |dO v|
  double output_dot = 0.0;      ///< |D|
  double query_sum = 0.0;       ///< sum_j scale P |dP - D| |k|
  double query_weight = 0.0;    ///< sum_j scale P |k|
  double key_sum = 0.0;         ///< sum_i scale P |dP - D| |q|, over the heads that read the key
  double key_weight = 0.0;      ///< sum_i scale P |q|
  double value_sum = 0.0;       ///< sum_i P |dO|, P after dropout
};

/// Attention and its gradients by definition, in double precision, with all weights kept:
/// P = softmax(scale Q K^T), dropped P' = mask P / (1 - p), O = P' V, dP = mask (dO V^T) / (1 - p),
/// dS = P (dP - rowsum(P dP)), dQ = scale dS K, dK = scale dS^T Q, dV = P'^T dO. Takes
/// 2 batch query_heads query_tokens key_tokens doubles. Waits for `space`; throws std::invalid_argument on shapes.
ReferenceMagnitudes reference_attention_backward(const ExecutionSpace &space, const ReferenceProblem &problem,
                                                 ConstTensor4 output_gradient, const ReferenceGradients &gradients);

} // namespace ringscale::kernels
