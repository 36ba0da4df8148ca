// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/projection.hpp"

namespace ringscale::kernels {

/// Where the gradients of a projection go; null: not wanted.
struct ProjectionGradients {
  float *input = nullptr;        ///< [rows, inputs]
  bool accumulate_input = false; ///< adds to what `input` holds, for an input of several projections
  float *weights = nullptr;      ///< [outputs, inputs]
  float *bias = nullptr;         ///< [outputs]
};

/// Gradients of y = x W^T + b for rows of x: dx = dy W, dW = dy^T x, db = sum over rows of dy (in double precision).
/// On hosts by CBLAS, in runs of rows (dx) and of outputs (dW) that depend on sizes alone, so results do not depend on
/// threads; on devices by plain Kokkos kernels. Waits for the result. Throws std::invalid_argument on sizes or pointers
/// that do not fit.
void project_backward(const ExecutionSpace &space, const float *input, const float *output_gradient, std::int64_t rows,
                      const Projection &projection, const ProjectionGradients &gradients);

/// The form that devices use, for any back end.
void project_backward_by_elements(const ExecutionSpace &space, const float *input, const float *output_gradient,
                                  std::int64_t rows, const Projection &projection,
                                  const ProjectionGradients &gradients);

/// 2 FLOPs per row, input and output for each of dx and dW, one more per element of dx that is added to; one per row
/// and output for db. What is needed is read once, what is wanted written once.
KernelWork projection_backward_work(std::int64_t rows, const Projection &projection,
                                    const ProjectionGradients &gradients);

} // namespace ringscale::kernels
