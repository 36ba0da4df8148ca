// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "kernels/block_sparse_backward.hpp"
#include "kernels/dilated_backward.hpp"
#include "pattern_case.hpp"
#include "problem/error_bound.hpp"

namespace ringscale::kernels::test {

/// How often a pair counts, on the host: (batch, head, query row, key row).
using PairCount = std::function<int(std::int64_t, std::int64_t, std::int64_t, std::int64_t)>;

/// Gradients in single precision.
struct PatternGradients {
  Owned4 query, key, value;
};

struct PatternGradientComparison {
  problem::GradientBound error; ///< NaN when any element is NaN
  problem::GradientBound bound;
  bool valid() const { return error.query <= bound.query && error.key <= bound.key && error.value <= bound.value; }
  std::string text() const;
};

/// The reference of a pattern's backward pass: its log-sum-exps and output_dot, rounded to single precision, are what
/// the kernel is given; the magnitudes that its error bound scales with are summed up pair by pair.
class PatternGradientData {
public:
  /// `data` holds the reference output, log-sum-exp and gradients of the pattern whose pairs `count` counts.
  PatternGradientData(const PatternData &data, const PairCount &count);

  DilatedBackward dilated(const Dilation &dilation, const PatternGradients &gradients) const;
  BackwardBlock block(const PatternGradients &gradients) const;
  /// Gradients full of `value`: NaN is what a kernel that does not accumulate has to overwrite.
  PatternGradients filled(float value) const;
  PatternGradientComparison compare(const PatternGradients &gradients, std::int64_t accumulations) const;

  const PatternData &data;
  Owned3 log_sum_exp, output_dot;

private:
  problem::GradientMagnitude magnitude_;
};

/// Pairs of dilated attention, from problem::multiplicity.
PairCount dilated_pairs(const PatternCase &shape, const Dilation &dilation);
/// Pairs of a boolean mask.
PairCount masked_pairs(const OwnedMask &mask);

/// Run the kernel and wait; `team` takes the primitives of device back ends.
void run_dilated_backward(const DilatedBackward &backward, bool team = false);
void run_block_sparse_backward(const BackwardBlock &block, const BlockMask &mask, bool team = false);

} // namespace ringscale::kernels::test
