// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "ring/head_exchange.hpp"
#include "ring/ring_rank.hpp"
#include "schedule/process_grid.hpp"

namespace ringscale::ring {

/// Options of the ring that a rank of a process grid belongs to: its share of the layer, and where that lies.
RingOptions ring_share(const RingOptions &options, const schedule::GridShare &share);

/// Options of what a rank owns before heads are exchanged: all heads of its model share.
RingOptions own_share(const RingOptions &options, const schedule::GridShare &share);

/// One rank of a process grid: its place in a ring, and where the sequence level has more than one rank, the exchange
/// of heads for tokens before the ring's pass and back after it. Data and model levels need no messages here: their
/// ranks compute other batch entries and heads.
class GridRank {
public:
  /// Results of the forward pass that a backward one starts from, in the ring's layout.
  using ForwardResult = std::function<void(float *output, float *log_sum_exp)>;

  /// `options` are those of the whole layer; transports join the ranks of this rank's ring and of its sequence group.
  GridRank(const RingOptions &options, std::int64_t rank, Transport &ring_transport, Transport &sequence_transport,
           memory::Ledger &ledger, ForwardResult forward_result = {});

  /// Before a repetition: forgets the last one and makes the rank's own inputs.
  void begin(bool check_payloads);
  /// One repetition; exchanges included.
  void run();
  /// The same messages without computing; seconds of the ring's part.
  double run_messages_only();
  /// What run() does before and after the ring's steps: heads for tokens and back, nothing without a sequence level.
  void bring_inputs();
  void bring_results();

  RingRank &ring() { return *ring_; }
  const RingRank &ring() const { return *ring_; }
  const schedule::GridShare &share() const { return share_; }
  double exchange_s() const { return exchange_s_; }
  std::int64_t exchanged_bytes() const { return exchange_ ? exchange_->sent_bytes() : 0; }

  /// Results for the tokens the rank owns, with all heads of its model share.
  kernels::ConstTensor4 own_output() const;
  kernels::ConstTensor4 own_query_gradient() const;
  kernels::ConstTensor4 own_key_gradient() const;
  kernels::ConstTensor4 own_value_gradient() const;

private:
  using Buffer = memory::TrackedBuffer<kernels::MemorySpace>;
  kernels::ConstTensor4 own_tensor(const Buffer &buffer, bool of_query) const;
  const Buffer &own_input(problem::Tensor tensor) const;
  void exchange_input(problem::Tensor tensor, float *destination);
  void exchange_results();
  void record_exchange(std::int64_t step, double begin_s);

  schedule::GridShare share_;
  RingOptions own_options_;
  std::unique_ptr<HeadExchange> exchange_; ///< null where the ring's ranks own their tokens
  Buffer own_query_, own_key_, own_value_, own_output_gradient_;
  Buffer own_output_, own_query_gradient_, own_key_gradient_, own_value_gradient_;
  std::unique_ptr<RingRank> ring_;
  double exchange_s_ = 0.0;
};

} // namespace ringscale::ring
