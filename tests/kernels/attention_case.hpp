// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "kernels/attention_block.hpp"
#include "kernels/attention_materialised.hpp"
#include "kernels/reference.hpp"
#include "problem/attention_problem.hpp"
#include "problem/error_bound.hpp"

namespace ringscale::kernels::test {

using Owned4 = Kokkos::View<float ****, Kokkos::LayoutRight, MemorySpace>;
using Owned3 = Kokkos::View<float ***, Kokkos::LayoutRight, MemorySpace>;
using Owned1 = Kokkos::View<float *, MemorySpace>;

/// Shape, mask and data of one comparison; queries and keys have their own lengths.
struct AttentionCase {
  std::int64_t batch = 1;
  std::int64_t query_tokens = 1;
  std::int64_t key_tokens = 1;
  std::int64_t query_heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t head_dim = 64;
  Admission admission = {};
  double query_factor = 1.0; ///< multiplies the synthetic queries: large logits
  std::uint64_t seed = 7;

  std::string text() const;
};

/// A partial of a case: normalised output and log-sum-exp, in host-readable copies.
struct Partial {
  Owned4 output;
  Owned3 log_sum_exp;
};

struct Comparison {
  double max_error = 0.0;     ///< largest |output - reference|; NaN when any element is NaN
  double max_lse_error = 0.0; ///< the same for finite log-sum-exps; infinity when one side alone is -infinity
  problem::ErrorBound bound;
  bool valid() const { return max_error <= bound.output && max_lse_error <= bound.log_sum_exp; }
};

/// Synthetic tensors of a case and their double-precision reference.
class CaseData {
public:
  explicit CaseData(const AttentionCase &attention_case);

  /// A block over all rows and keys that writes into `partial`.
  AttentionBlock block(const Partial &partial) const;
  /// A block over the keys [key_begin, key_begin + key_count), packed on their own into `packed`.
  AttentionBlock span_block(const Partial &partial, std::int64_t key_begin, std::int64_t key_count,
                            Owned1 &packed) const;
  /// Output 0 and log-sum-exp -infinity: what online and per_chunk merges start from.
  Partial empty_partial() const;
  /// Output and log-sum-exp full of NaN: what replace has to overwrite.
  Partial poisoned_partial() const;
  /// Compares with the reference, with the error bound for results merged from `merges` blocks.
  Comparison compare(const Partial &partial, std::int64_t merges = 1) const;

  const AttentionCase shape;
  Owned4 query, key, value;
  Kokkos::View<double ****, Kokkos::LayoutRight, MemorySpace> reference_output;
  Kokkos::View<double ***, Kokkos::LayoutRight, MemorySpace> reference_log_sum_exp;
  /// Computes the reference again, after a test has changed the data.
  void compute_reference();

private:
  Owned1 packed_;
};

/// Runs the streamed or the materialised kernel and waits.
void run_streamed(const AttentionBlock &block);
void run_materialised(const AttentionBlock &block);

} // namespace ringscale::kernels::test
