// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "memory/closed_form.hpp"
#include "ring/communicator.hpp"
#include "ring/fault.hpp"
#include "schedule/ring_schedule.hpp"

namespace ringscale::ring {

/// online joins blocks by their log-sum-exp (right); per_chunk normalises each span alone and averages (a negative
/// control, wrong wherever more than one span is met).
enum class SoftmaxRule { online, per_chunk };

std::string_view name(SoftmaxRule rule);
SoftmaxRule parse_softmax(std::string_view word);

struct RingOptions {
  schedule::RingProblem problem;
  SoftmaxRule softmax = SoftmaxRule::online;
  memory::KernelKind kernel = memory::KernelKind::streamed;
  int warmup = 1;
  int repetitions = 5;
  double deadline_s = 300.0;
  bool poll_progress = true;
  bool verify = true;
  std::uint64_t seed = 1;
  Fault fault; ///< tests only
};

/// Outcome of one ring, the same on every rank.
struct RingRun {
  /// Slowest rank after a barrier, one entry a timed repetition; compute and exposed communication are that rank's
  /// own (compute + exposed <= sample; the rest is bookkeeping).
  std::vector<double> samples_s;
  std::vector<double> compute_samples_s;
  std::vector<double> exposed_communication_samples_s;
  double compute_s = 0.0;               ///< median of the samples
  double exposed_communication_s = 0.0; ///< median of the samples

  bool verified = false;         ///< compared with the double-precision reference
  std::int64_t checked_rows = 0; ///< query rows compared, over all ranks
  bool all_rows_checked = false; ///< else a seeded sample, with the first and last row of every span
  double max_error = 0.0;
  double error_bound = 0.0;
  double max_lse_error = 0.0;
  double lse_error_bound = 0.0;
  std::int64_t wrong_elements = 0; ///< output elements or log-sum-exps that are off by more than the bound, or NaN

  bool blocks_once = false; ///< every rank met every block of the ring exactly once
  std::uint64_t output_checksum = 0;

  memory::MemoryByPurpose memory; ///< at the high-water mark of the rank with the most
  std::int64_t memory_peak_bytes = 0;
  std::int64_t memory_closed_form_bytes = 0;
  std::int64_t peak_rss_bytes = 0; ///< largest of all ranks, before verification takes memory of its own
  memory::KernelFootprint footprint;

  std::int64_t hops = 0;
  std::int64_t hop_bytes = 0; ///< the message of one hop, header included
  int ranks_per_core = 1;
  int threads_per_rank = 1;
  bool poll_progress = true;

  bool valid = false;
  std::vector<std::string> reasons; ///< why not valid; or what was left unchecked
};

/// Throws InvalidInput when the ring cannot compute on tensors of `dtype`: it rotates float32 blocks only.
void require_supported(problem::DType dtype);

/// Runs ring attention on synthetic data over all ranks of `communicator`, whose size must be problem.ring_size, and
/// checks the result. Collective. Throws InvalidInput for bad options, MpiFailure when MPI fails; ends the job
/// with code 124 when a peer is silent for longer than the deadline.
RingRun run_ring(Communicator &communicator, const RingOptions &options);

/// What the kernels of this build add to plain tensors: their key tile and the scratch of all threads.
memory::KernelFootprint kernel_footprint(const problem::AttentionProblem &attention, memory::KernelKind kernel);

/// Memory of one rank of this build's executor, in closed form, without running it; by rank 0's kernel footprint.
memory::MemoryByPurpose planned_memory(const RingOptions &options, std::int64_t rank);

} // namespace ringscale::ring
