// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "memory/closed_form.hpp"
#include "problem/attention_problem.hpp"

namespace ringscale::drivers {

/// One attention layer on one device, on synthetic data.
struct AttentionOptions {
  problem::AttentionProblem problem;
  memory::KernelKind kernel = memory::KernelKind::streamed;
  std::uint64_t seed = 1;
  bool benchmark = false;
  int repetitions = 10; ///< timed samples of a benchmark
};

struct AttentionRun {
  double max_error = 0.0; ///< NaN when any checked element is one
  double error_bound = 0.0;
  double max_lse_error = 0.0;
  double lse_error_bound = 0.0;
  std::int64_t wrong_elements = 0; ///< checked output elements beyond the bound
  std::int64_t checked_rows = 0;   ///< query positions compared with the reference, in every batch entry and head
  bool all_rows_checked = false;
  std::int64_t scores_bytes = 0; ///< of the materialised kernel
  // Of a benchmark only:
  std::vector<double> samples_s;     ///< wall time of one call, each the mean of calls_per_sample
  std::vector<double> cpu_samples_s; ///< processor time of the same calls; empty with more than one thread
  std::int64_t calls_per_sample = 0;
  double fma_peak_gflop_per_s = 0.0; ///< best of the measurements before, between and after the samples
  bool valid = false;
  std::vector<std::string> reasons;
};

/// Runs the kernel, compares it with the double-precision reference (a seeded sample of query rows where all would
/// take too long) and, for a benchmark, times it. Kokkos has been started. Throws problem::InvalidInput for shapes out
/// of range and for tensors that do not fit the machine's memory.
AttentionRun run_attention(const AttentionOptions &options);

} // namespace ringscale::drivers
