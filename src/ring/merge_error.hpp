// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "problem/attention_problem.hpp"

namespace ringscale::ring {

/// The same keys cut into ever more blocks, met one after the other by the same queries, as a rank of a ring meets
/// them.
struct MergeErrorOptions {
  problem::AttentionProblem problem;                    ///< tokens are the keys; dtype is what tensors are stored in
  std::int64_t query_tokens = 64;                       ///< rows compared, all of them; no mask
  std::int64_t merged_blocks = 1;                       ///< nearly equal runs of keys; as many merges
  problem::DType merge_dtype = problem::DType::float32; ///< the partial is rounded to this after every block
  std::uint64_t seed = 1;                               ///< of the first sample's data; the next has seed + 1
  int samples = 1;
};

/// Errors against double precision, one entry a sample. Those of merging are taken against exact attention of the
/// rounded tensors, total ones against that of the original tensors.
struct MergeErrorRun {
  std::vector<double> max_error_samples; ///< over all elements of the output; NaN when one is
  std::vector<double> mean_error_samples;
  std::vector<double> total_max_error_samples;
  std::vector<double> total_mean_error_samples;
  std::vector<double> max_lse_error_samples;
  std::vector<double> output_rms_samples; ///< root mean square of the exact output: what errors are small against
  double error_bound = 0.0;               ///< of merging
  double total_error_bound = 0.0;
  double lse_error_bound = 0.0;
  int threads = 1;
  std::int64_t wrong_elements = 0; ///< beyond their bound, or not numbers, over all samples
};

/// Throws InvalidInput for a bad shape, a dtype without two-byte storage other than float32, a merge_dtype that is
/// neither float32 nor the dtype, a causal mask, or more blocks than keys.
void validate(const MergeErrorOptions &options);

/// Computes all samples on this process. Kokkos has been started. Throws as validate does.
MergeErrorRun measure_merge_error(const MergeErrorOptions &options);

} // namespace ringscale::ring
