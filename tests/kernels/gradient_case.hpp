// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "attention_case.hpp"
#include "kernels/attention_backward.hpp"
#include "kernels/reference_backward.hpp"

namespace ringscale::kernels::test {

using OwnedMask = Kokkos::View<std::uint8_t *, MemorySpace>;
using OwnedReference4 = Kokkos::View<double ****, Kokkos::LayoutRight, MemorySpace>;
using OwnedReference3 = Kokkos::View<double ***, Kokkos::LayoutRight, MemorySpace>;

/// Gradients of a case in single precision.
struct Gradients {
  Owned4 query, key, value;
};

/// Largest errors of the three gradients against the reference; NaN when any element is NaN.
struct GradientComparison {
  problem::GradientBound error;
  problem::GradientBound bound;
  bool valid() const { return error.query <= bound.query && error.key <= bound.key && error.value <= bound.value; }
  std::string text() const;
};

/// A case with an upstream gradient, optionally dropout and a boolean mask, and its reference in double precision.
class GradientData {
public:
  explicit GradientData(const AttentionCase &shape, const Dropout &dropout = {},
                        const std::vector<std::uint8_t> &mask = {});

  /// A block over all rows and keys that writes into `gradients`, given the reference's log-sum-exp and output_dot
  /// rounded to single precision.
  BackwardBlock block(const Gradients &gradients) const;
  /// Gradients full of `value`: NaN is what a kernel that does not accumulate has to overwrite.
  Gradients filled(float value) const;
  /// Compares with the reference; `given` are the errors of log-sum-exps and output_dot beyond their rounding.
  GradientComparison compare(const Gradients &gradients, const problem::GivenError &given = {},
                             std::int64_t accumulations = 1) const;
  /// The problem as the reference takes it.
  ReferenceProblem reference_problem() const;
  /// Computes the reference again, after a test has changed the data.
  void compute_reference();

  CaseData data;
  Dropout dropout;
  OwnedMask mask; ///< no elements without a mask
  Owned4 output_gradient;
  OwnedReference4 output, query_gradient, key_gradient, value_gradient;
  OwnedReference3 log_sum_exp;
  ReferenceMagnitudes magnitudes;
  Owned3 rounded_log_sum_exp, rounded_output_dot;
};

/// Runs the streamed kernel with the primitives of this back end, or with those of devices, and waits.
void run_backward(const BackwardBlock &block);
void run_team_backward(const BackwardBlock &block);

/// Runs the streamed kernel cut as it would be for `concurrency` threads.
void run_backward_cut_for(const BackwardBlock &block, std::int64_t concurrency);

/// Bytes of all three gradients are the same.
bool same_bits(const Gradients &first, const Gradients &second);

} // namespace ringscale::kernels::test
