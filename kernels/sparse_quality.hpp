// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/types.hpp"

namespace ringscale::kernels {

/// How much of the dense softmax a sparse pattern keeps. A row's mass is the sum of its dense weights over the admitted
/// keys, exactly exp(lse_sparse - lse_dense). It says nothing about a model's quality.
struct CapturedMass {
  double mean = 0.0;
  double minimum = 0.0;
  std::int64_t rows = 0; ///< rows that have a key under dense attention; others do not count
};

/// Of log-sum-exps of the same queries over the same tensors, under the same causal mask; every admitted pair must
/// count once (with overlapping groups of dilated attention it is no share). A NaN makes mean and minimum NaN; no
/// rows: both 1. Waits for `space`; throws std::invalid_argument on shapes that differ.
CapturedMass captured_mass(const ExecutionSpace &space, ConstTensor3 sparse_log_sum_exp,
                           ConstTensor3 dense_log_sum_exp);

/// How far the sparse output is from the dense one: largest difference of an element, and the Euclidean norm of the
/// difference over that of the dense output. A NaN makes both NaN.
struct OutputDifference {
  double largest = 0.0;
  double relative = 0.0;
};
OutputDifference output_difference(const ExecutionSpace &space, ConstTensor4 sparse_output, ConstTensor4 dense_output);

} // namespace ringscale::kernels
