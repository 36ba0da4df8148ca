// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "memory/closed_form.hpp"
#include "problem/error_bound.hpp"
#include "ring/checkpointed_run.hpp"
#include "ring/communicator.hpp"
#include "ring/ring_options.hpp"
#include "ring/traced_repetition.hpp"
#include "ring/transport.hpp"

namespace ringscale::ring {

/// Outcome of one ring, the same on every rank.
struct RingRun {
  /// Slowest rank after a barrier, one entry a timed repetition; compute, merges and exposed communication are that
  /// rank's own (their sum <= sample; the rest is bookkeeping). Of a backward pass, the backward alone.
  std::vector<double> samples_s;
  std::vector<double> compute_samples_s;
  std::vector<double> exposed_communication_samples_s;
  std::vector<double> merge_samples_s;
  std::vector<double> exchange_samples_s;      ///< heads for tokens, where the sequence level has ranks
  double compute_s = 0.0;                      ///< median of the samples
  double exposed_communication_s = 0.0;        ///< median of the samples
  std::vector<double> messages_only_samples_s; ///< the same messages without computing, slowest rank
  /// 1 - exposed / messages only, of the medians: the share of the communication that computing hid. Negative where
  /// ranks wait for each other longer than messages take; NaN where nothing was sent or measured.
  double hidden_fraction = 0.0;

  bool verified = false;         ///< compared with the double-precision reference
  std::int64_t checked_rows = 0; ///< query rows compared, and key rows of a backward pass, over all ranks
  bool all_rows_checked = false; ///< else a seeded sample, with the first and last row of every span
  double max_error = 0.0;
  double error_bound = 0.0;
  double max_lse_error = 0.0;
  double lse_error_bound = 0.0;
  /// Of a bfloat16 ring: the same against attention of the inputs as stored.
  double max_stored_error = 0.0;
  double stored_error_bound = 0.0;
  double max_stored_lse_error = 0.0;
  double stored_lse_error_bound = 0.0;
  bool has_gradients = false;
  problem::GradientBound max_gradient_error;   ///< of a backward pass, over all ranks
  problem::GradientBound gradient_error_bound; ///< largest of the ranks' bounds; each rank is held to its own
  std::int64_t wrong_elements = 0;             ///< elements of results that are off by more than the bound, or NaN

  bool blocks_once = false; ///< every rank met every block it needed exactly once
  std::uint64_t output_checksum = 0;

  memory::MemoryByPurpose memory; ///< at the high-water mark of the rank with the most
  std::int64_t memory_peak_bytes = 0;
  std::int64_t memory_closed_form_bytes = 0;
  std::int64_t index_list_bytes = 0; ///< lists of sparse blocks, beside the ledger; the rank with the most
  std::int64_t peak_rss_bytes = 0;   ///< largest of all ranks, before verification takes memory of its own
  memory::KernelFootprint footprint;

  std::int64_t hops = 0;      ///< block messages that a rank sends, the most of all ranks
  std::int64_t hop_bytes = 0; ///< the buffer of one hop, header included
  std::int64_t result_hops = 0;
  std::int64_t result_hop_bytes = 0;
  std::int64_t all_hops = 0;                  ///< block messages of all ranks together
  std::int64_t exchanged_bytes = 0;           ///< heads for tokens, sent by the rank with the most in one repetition
  std::optional<CheckpointReport> checkpoint; ///< of a checkpointed run
  TransportCounters transport;                ///< of the first rank's ring, over all passes
  int ranks_per_core = 1;
  int threads_per_rank = 1;
  bool poll_progress = true;

  std::optional<MeasuredTimeline> trace; ///< of a traced run; on rank 0 alone

  bool valid = false;
  std::vector<std::string> reasons; ///< why not valid; or what was left unchecked
};

/// Runs ring attention on synthetic data over all ranks of `communicator`, whose size must be that of the process grid,
/// and checks the result. A backward pass is timed alone, after one checked forward pass. With options.checkpoint the
/// one repetition is both timed and checked, and times are those of all jobs that did a part of it; counters are this
/// job's. Collective. Throws InvalidInput for bad options, MpiFailure when MPI fails; ends the job with code 124 when a
/// peer is silent for longer than the deadline.
RingRun run_ring(Communicator &communicator, const RingOptions &options);

/// What the kernels of this build add to plain tensors, for the share of any rank of the grid.
memory::KernelFootprint kernel_footprint(const RingOptions &options);

/// Memory of one rank of this build's executor, in closed form, without running it; by rank 0's kernel footprint.
memory::MemoryByPurpose planned_memory(const RingOptions &options, std::int64_t rank);

} // namespace ringscale::ring
