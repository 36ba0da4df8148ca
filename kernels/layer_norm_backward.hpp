// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/layer_norm.hpp"

namespace ringscale::kernels {

/// Where the gradients of a layer norm go; null: not wanted.
struct LayerNormGradients {
  float *input = nullptr; ///< [rows, features]; may be the output's gradient
  float *gain = nullptr;  ///< [features]
  float *bias = nullptr;  ///< [features]
};

/// Floats of workspace of layer_norm_backward: mean and factor of every row.
std::int64_t layer_norm_backward_workspace_elements(std::int64_t rows);

/// Gradients of layer_norm from its input and the gradient of its output (Ba et al. 2016, differentiated). With
/// n = (x - mean) / sigma, sigma = sqrt(variance + epsilon), g = dy gain: dx = (g - mean(g) - n mean(g n)) / sigma,
/// dgain = sum over rows of dy n, dbias = sum over rows of dy. Sums over rows in double precision; same bits for any
/// number of threads. Asynchronous on `space`; `workspace` must live as long. Throws std::invalid_argument as
/// layer_norm does, or when the workspace is null.
void layer_norm_backward(const ExecutionSpace &space, const float *input, const float *output_gradient,
                         std::int64_t rows, std::int64_t features, const LayerNorm &norm,
                         const LayerNormGradients &gradients, float *workspace);

/// 4 FLOPs per element for mean and variance; 10 for the input's gradient; 4 for the gain's, 1 for the bias'. Input and
/// output gradient are read, what is wanted is written.
KernelWork layer_norm_backward_work(std::int64_t rows, std::int64_t features, const LayerNorm &norm,
                                    const LayerNormGradients &gradients);

} // namespace ringscale::kernels
