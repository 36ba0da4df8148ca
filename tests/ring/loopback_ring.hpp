// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "ring/loopback_transport.hpp"
#include "ring/ring_rank.hpp"
#include "ring/ring_run.hpp"
#include "ring/verification.hpp"

namespace ringscale::ring {

/// Virtual ranks of one ring in this process, driven in lock step through the same calls as real ones. A backward ring
/// begins with the results of a forward one.
class LoopbackRing {
public:
  explicit LoopbackRing(const RingOptions &options) : options_(options) {
    const std::int64_t ring_size = options.problem.ring_size;
    if (options.problem.pass == schedule::Pass::backward) {
      RingOptions forward = options;
      forward.problem.pass = schedule::Pass::forward;
      forward.fault = {};
      forward_ = std::make_unique<LoopbackRing>(forward);
      forward_->pass();
    }
    for (std::int64_t rank = 0; rank < ring_size; ++rank) {
      ledgers_.push_back(std::make_unique<memory::Ledger>());
      transports_.push_back(std::make_unique<LoopbackTransport>(network_, static_cast<int>(rank)));
      RankInputs inputs = synthetic_inputs(options, rank);
      inputs.forward_result = [this, rank](float *output, float *log_sum_exp) {
        const kernels::ConstTensor4 from = forward_->rank(rank).output();
        const kernels::ConstTensor3 lse = forward_->rank(rank).log_sum_exp();
        std::copy(from.data(), from.data() + from.size(), output);
        std::copy(lse.data(), lse.data() + lse.size(), log_sum_exp);
      };
      ranks_.push_back(
          std::make_unique<RingRank>(options, rank, *transports_.back(), *ledgers_.back(), std::move(inputs)));
    }
  }

  void pass() {
    begin();
    load();
    for (std::int64_t step = 0; step < plan_steps(); ++step) {
      take_step(step);
    }
  }

  void begin() {
    for (const auto &rank : ranks_) {
      rank->begin(true);
    }
  }
  void load() {
    for (const auto &rank : ranks_) {
      rank->load();
    }
  }
  void take_step(std::int64_t step) {
    for (const auto &rank : ranks_) {
      rank->start(step);
    }
    for (const auto &rank : ranks_) {
      rank->compute(step);
    }
    for (const auto &rank : ranks_) {
      rank->finish(step);
    }
  }
  std::int64_t plan_steps() const { return ranks_.front()->plan_steps(); }

  RowCheck check(std::int64_t rank) const {
    return check_rows(options_, rank, queries_of(options_.problem, rank), this->rank(rank).output(),
                      this->rank(rank).log_sum_exp());
  }
  GradientCheck check_gradients(std::int64_t rank) const {
    const LayerReference reference(options_, true);
    const RingRank &mine = this->rank(rank);
    return ring::check_gradients(options_, rank, queries_of(options_.problem, rank), keys_of(options_.problem, rank),
                                 reference, reference.joint_rows(), mine.query_gradient(), mine.key_gradient(),
                                 mine.value_gradient());
  }
  RingRank &rank(std::int64_t rank) { return *ranks_[static_cast<std::size_t>(rank)]; }
  const RingRank &rank(std::int64_t rank) const { return *ranks_[static_cast<std::size_t>(rank)]; }
  const memory::Ledger &ledger(std::int64_t rank) const { return *ledgers_[static_cast<std::size_t>(rank)]; }

  std::uint64_t output_checksum() const {
    std::uint64_t sum = 0;
    for (const auto &rank : ranks_) {
      sum += rank->result_checksum();
    }
    return sum;
  }

private:
  RingOptions options_;
  std::unique_ptr<LoopbackRing> forward_;
  LoopbackNetwork network_;
  std::vector<std::unique_ptr<memory::Ledger>> ledgers_;
  std::vector<std::unique_ptr<LoopbackTransport>> transports_;
  std::vector<std::unique_ptr<RingRank>> ranks_;
};

inline RingOptions small_options(std::int64_t ring_size, std::int64_t tokens, schedule::Placement placement,
                                 problem::Mask mask) {
  RingOptions options;
  options.problem.ring_size = ring_size;
  options.problem.placement = placement;
  options.problem.attention.tokens = tokens;
  options.problem.attention.query_heads = 4;
  options.problem.attention.kv_heads = 2;
  options.problem.attention.head_dim = 16;
  options.problem.attention.mask = mask;
  options.warmup = 0;
  options.repetitions = 1;
  options.deadline_s = 60.0;
  return options;
}

/// Schedules that a ring of `ring_size` can have, double rings of all inner sizes among them.
inline void for_every_schedule(RingOptions options, const std::function<void(const RingOptions &)> &act) {
  const std::int64_t ring_size = options.problem.ring_size;
  for (const schedule::Schedule one :
       {schedule::Schedule::ring, schedule::Schedule::bidirectional_ring, schedule::Schedule::all_gather}) {
    options.problem.schedule = one;
    act(options);
  }
  options.problem.schedule = schedule::Schedule::double_ring;
  for (std::int64_t inner = 1; inner <= ring_size; ++inner) {
    if (ring_size % inner == 0) {
      options.problem.inner_ring_size = inner;
      act(options);
    }
  }
}

inline constexpr schedule::Placement every_placement[] = {schedule::Placement::contiguous, schedule::Placement::zigzag,
                                                          schedule::Placement::striped,
                                                          schedule::Placement::replicated_queries};
inline constexpr problem::Mask every_mask[] = {problem::Mask::none, problem::Mask::causal};

} // namespace ringscale::ring
