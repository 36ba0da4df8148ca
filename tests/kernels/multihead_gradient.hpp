// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/multihead_backward.hpp"
#include "multihead_case.hpp"

namespace ringscale::kernels::test {

/// Everything a layer's output depends on, in the order of its gradients.
enum class Operand {
  query,
  key,
  value,
  input_weights,
  input_bias,
  output_weights,
  output_bias,
  input_gain,
  input_shift,
  output_gain,
  output_shift
};
inline constexpr std::size_t operand_count = 11;
const char *name(Operand operand);

using Operands = std::array<std::vector<double>, operand_count>;

/// What the differentiated forward may leave out: each must be seen in the gradients.
enum class GradientFault {
  none,
  frozen_statistics, ///< mean and sigma of the norms are constants: their terms of the derivative are dropped
  lost_sigma,        ///< no 1/sigma
  lost_mean,         ///< deviations not taken from the mean
  lost_scale,        ///< scores not divided by sqrt(head_dim)
  swapped_heads,     ///< query heads read each other's key/value heads
  lost_mask,         ///< causal not obeyed
  frozen_weights     ///< attention weights are constants: nothing comes back through the softmax
};

/// A layer, its tokens and the gradient of its output.
struct GradientCase {
  MultiheadLayer layer; ///< sizes, and which operands there are; no pointers
  LayerInput shape;
  bool self_attention = true;
  Operands operands;                                    ///< absent ones are empty
  std::vector<float> upstream;                          ///< gradient of the output
  std::array<std::vector<float>, operand_count> single; ///< the operands as the layer gets them

  GradientCase(const MultiheadLayer &sizes, const LayerInput &shape, bool self_attention, bool biases);
  bool has(Operand operand) const { return !operands[static_cast<std::size_t>(operand)].empty(); }
  /// The layer with pointers to `single`.
  MultiheadLayer pointed() const;
};

/// The layer's output by definition in double precision, [batch, query_tokens, embed_dim].
std::vector<double> forward(const GradientCase &shape, const Operands &operands);

/// Gradients of sum(output * upstream) for all operands by central differences of forward, in double precision.
Operands central_differences(const GradientCase &shape, GradientFault fault = GradientFault::none);

/// What the kernel computes, from gradients that are filled with NaN before.
std::array<std::vector<float>, operand_count> kernel_gradients(const GradientCase &shape, const AttentionCores &cores);

/// Largest error of one operand's gradient relative to its largest element; NaN when any is.
double relative_error(const std::vector<float> &found, const std::vector<double> &expected);

} // namespace ringscale::kernels::test
