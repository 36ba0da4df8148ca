// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/attention_block.hpp"
#include "memory/ledger.hpp"
#include "memory/tracked_buffer.hpp"
#include "ring/block.hpp"
#include "ring/ring_run.hpp"
#include "ring/transport.hpp"

namespace ringscale::ring {

/// Seconds one rank spent in one repetition.
struct RankTimes {
  double compute_s = 0.0; ///< in attention kernels
  /// Not computing because of messages: posting them, moving them on between slices (a host's MPI copies with the
  /// rank's own core), and waiting for them after computing.
  double exposed_communication_s = 0.0;
};

/// One rank of a ring: its buffers, its part of the schedule, and what it noticed. The steps are separate calls so
/// that one thread can drive many virtual ranks; run() is the loop of a real one.
class RingRank {
public:
  /// Allocates and fills the rank's buffers and packs its own block. `rank` is the place in the ring; transport and
  /// ledger must outlive the object. Throws InvalidInput for a bad problem.
  RingRank(const RingOptions &options, std::int64_t rank, Transport &transport, memory::Ledger &ledger);

  /// One repetition: all steps in order. Every block must be at its owner before.
  void run();

  /// Forgets what the last repetition met; `check_payloads` recomputes the checksum of every block that is met.
  void begin(bool check_payloads);
  /// Posts the receive of the next block, then the send of the held one.
  void start(std::int64_t step);
  /// Computes the held block in slices of query rows, letting the transport move messages on between them.
  void compute(std::int64_t step);
  /// Waits for the next block and swaps the two block buffers.
  void finish(std::int64_t step);

  /// Sends the block held after the last step to its owner and takes one's own back, outside any timed section.
  void start_return();
  void finish_return();

  const RankTimes &times() const { return times_; }
  /// What was wrong with the blocks met, over all repetitions so far; empty when nothing was.
  const std::vector<std::string> &complaints() const { return complaints_; }
  /// Whether the last repetition met every block of the ring exactly once.
  bool met_every_block_once() const;

  kernels::ConstTensor4 output() const { return output_; }
  kernels::ConstTensor3 log_sum_exp() const { return log_sum_exp_; }
  /// Checksum of output and log-sum-exp, by this rank's place; adds up over ranks.
  std::uint64_t output_checksum() const;

private:
  void pack_own_block();
  void inspect_block(std::int64_t step);
  void compute_span_pair(std::int64_t step, int query_span, int key_span, bool replace);
  void strike_before(std::int64_t step);
  void complain(std::string text);
  Site site(const char *what, std::int64_t step) const;

  RingOptions options_;
  std::int64_t rank_;
  Transport &transport_;
  kernels::ExecutionSpace space_;
  problem::TokenSet queries_;
  float scale_;

  memory::TrackedBuffer<kernels::MemorySpace> query_buffer_;
  memory::TrackedBuffer<kernels::MemorySpace> output_buffer_;
  memory::TrackedBuffer<kernels::MemorySpace> held_block_;
  memory::TrackedBuffer<kernels::MemorySpace> incoming_block_;
  memory::TrackedBuffer<kernels::MemorySpace> partial_buffer_;
  memory::TrackedBuffer<kernels::MemorySpace> score_buffer_;
  memory::LedgerEntry kernel_workspace_;
  kernels::ConstTensor4 query_;
  kernels::Tensor4 output_;
  kernels::Tensor3 log_sum_exp_;

  bool check_payloads_ = false;
  std::vector<std::int64_t> times_met_;
  std::vector<std::string> complaints_;
  RankTimes times_;
  double polling_s_ = 0.0; ///< of the step being computed
};

} // namespace ringscale::ring
