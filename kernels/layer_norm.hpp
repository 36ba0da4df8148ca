// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/types.hpp"
#include "kernels/work.hpp"

namespace ringscale::kernels {

/// Layer normalisation (Ba et al. 2016): y = (x - mean) / sqrt(variance + epsilon) * gain + bias over the features of a
/// row; the variance is the mean squared deviation. Gain and bias are [features], or null for 1 and 0.
struct LayerNorm {
  const float *gain = nullptr;
  const float *bias = nullptr;
  float epsilon = 1e-5F;
};

/// Normalises `rows` rows of `features` floats. `output` may be `input`. Asynchronous on `space`; throws
/// std::invalid_argument where there are no features or epsilon is negative.
void layer_norm(const ExecutionSpace &space, const float *input, std::int64_t rows, std::int64_t features,
                const LayerNorm &norm, float *output);

/// 8 FLOPs per element: mean 1, deviation and its square summed 3, scale and shift of the normalised value 4.
KernelWork layer_norm_work(std::int64_t rows, std::int64_t features, const LayerNorm &norm);

} // namespace ringscale::kernels
