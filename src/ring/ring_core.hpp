// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/multihead_backward.hpp"
#include "memory/ledger.hpp"
#include "ring/ring_options.hpp"
#include "ring/ring_rank.hpp"
#include "ring/transport.hpp"

namespace ringscale::ring {

/// The attention of a layer whose tokens are divided over the ranks of a ring: cores for kernels::multihead_attention
/// and kernels::multihead_backward. Tensors of a call are the rank's own rows, [batch, own tokens, heads, head_dim], in
/// the order of queries_of(options.problem, rank); keys and values travel, or queries do. Calls are collective over the
/// ring: every rank makes the same ones in the same order.
class RingCore {
public:
  /// `options.problem` is the whole layer's attention; its pass is not looked at. Buffers of the backward pass are
  /// allocated when cores() is asked for. `between_slices` is called wherever the ring looks at the network, for work
  /// of the caller that also wants to move on. Transport and ledger must outlive it. Throws InvalidInput for a bad
  /// problem, and for replicated queries, whose ranks own other queries than keys.
  RingCore(const RingOptions &options, std::int64_t rank, Transport &transport, memory::Ledger &ledger,
           std::function<void()> between_slices = {});
  ~RingCore();
  RingCore(const RingCore &) = delete;
  RingCore &operator=(const RingCore &) = delete;

  /// Forward only; valid as long as this.
  kernels::AttentionCore core();
  /// Forward with log-sum-exps, and backward; valid as long as this. Calls throw std::invalid_argument on tensors of
  /// other shapes than the rank's.
  kernels::AttentionCores cores();

  /// Whether the next calls recompute the checksum of every block and result met.
  void check_payloads(bool check) { check_payloads_ = check; }
  /// What was wrong with the blocks and results of all calls so far; empty when nothing was.
  std::vector<std::string> complaints() const;
  /// Whether every call met every block that it needed exactly once.
  bool met_every_block_once() const { return once_; }
  const schedule::RingPlan &forward_plan() const { return forward_->plan(); }

private:
  class TransportBesides;
  /// Tensors of the call under way, for RankInputs.
  struct Given {
    kernels::ConstTensor4 query, key, value, output, output_gradient;
    kernels::ConstTensor3 log_sum_exp;
  };

  void require_shapes() const;
  void forward(kernels::Tensor4 output);
  void backward(kernels::Tensor4 query_gradient, kernels::Tensor4 key_gradient, kernels::Tensor4 value_gradient);
  void pass(RingRank &rank);
  RankInputs inputs();

  RingOptions options_;
  std::int64_t rank_;
  memory::Ledger &ledger_;
  std::unique_ptr<TransportBesides> transport_;
  std::unique_ptr<RingRank> forward_, backward_;
  Given given_;
  bool check_payloads_ = false;
  bool once_ = true;
};

} // namespace ringscale::ring
