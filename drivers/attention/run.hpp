// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "drivers/attention/options.hpp"
#include "drivers/attention/verification.hpp"

namespace ringscale::drivers {

/// What a benchmark measured. A sample is one call of the pass, from plain tensors to plain tensors.
struct AttentionTiming {
  std::vector<double> samples_s;     ///< wall time of one call, each the mean of calls_per_sample
  std::vector<double> cpu_samples_s; ///< processor time of the same calls; empty with more than one thread
  std::int64_t calls_per_sample = 0;
  double fma_peak_gflop_per_s = 0.0; ///< best of the measurements before, between and after the samples
};

struct AttentionRun {
  Verification verification;
  kernels::KernelWork work; ///< of the pass that was asked for
  double pairs = 0.0;       ///< admitted query-key pairs of all heads of one batch entry, repeats counted
  std::string arithmetic;
  std::int64_t workspace_bytes = 0;
  std::int64_t scores_bytes = 0;
  std::optional<SparseQuality> quality;  ///< of block-sparse patterns
  std::optional<AttentionTiming> timing; ///< of a benchmark only
  std::vector<std::string> written;      ///< paths of the output files
};

/// Runs the pass, times it where asked, compares it with its definition in double precision and writes the output files
/// (of valid results and invalid ones alike). Kokkos has been started. Throws problem::InvalidInput for shapes out of
/// range and for tensors that do not fit the machine's memory.
AttentionRun run_attention(const AttentionOptions &options, const InputFiles &inputs);

} // namespace ringscale::drivers
