// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "ring/loopback_transport.hpp"
#include "ring/ring_rank.hpp"
#include "ring/verification.hpp"

namespace ringscale::ring {

/// Virtual ranks of one ring in this process, driven in lock step through the same calls as real ones.
class LoopbackRing {
public:
  explicit LoopbackRing(const RingOptions &options) : options_(options) {
    const std::int64_t ring_size = options.problem.ring_size;
    for (std::int64_t rank = 0; rank < ring_size; ++rank) {
      ledgers_.push_back(std::make_unique<memory::Ledger>());
      transports_.push_back(std::make_unique<LoopbackTransport>(network_, static_cast<int>(rank)));
      ranks_.push_back(std::make_unique<RingRank>(options, rank, *transports_.back(), *ledgers_.back()));
    }
  }

  void pass() {
    for (const auto &rank : ranks_) {
      rank->begin(true);
    }
    for (std::int64_t step = 0; step < step_count(options_.problem); ++step) {
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
    for (const auto &rank : ranks_) {
      rank->start_return();
    }
    for (const auto &rank : ranks_) {
      rank->finish_return();
    }
  }

  RowCheck check(std::int64_t rank) const {
    return check_rows(options_, rank, this->rank(rank).output(), this->rank(rank).log_sum_exp());
  }
  const RingRank &rank(std::int64_t rank) const { return *ranks_[static_cast<std::size_t>(rank)]; }
  const memory::Ledger &ledger(std::int64_t rank) const { return *ledgers_[static_cast<std::size_t>(rank)]; }

  std::uint64_t output_checksum() const {
    std::uint64_t sum = 0;
    for (const auto &rank : ranks_) {
      sum += rank->output_checksum();
    }
    return sum;
  }

private:
  RingOptions options_;
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

inline constexpr schedule::Placement every_placement[] = {schedule::Placement::contiguous, schedule::Placement::zigzag,
                                                          schedule::Placement::striped,
                                                          schedule::Placement::replicated_queries};
inline constexpr problem::Mask every_mask[] = {problem::Mask::none, problem::Mask::causal};

} // namespace ringscale::ring
