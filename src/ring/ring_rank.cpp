// SPDX-License-Identifier: Apache-2.0
#include "ring/ring_rank.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/packed_key_value.hpp"
#include "ring/checksum.hpp"
#include "ring/rank_data.hpp"

namespace ringscale::ring {

using memory::Purpose;
using memory::TrackedBuffer;
using problem::AttentionProblem;
using problem::TokenSet;
using schedule::RingProblem;

namespace {

std::int64_t float_bytes(std::int64_t elements) { return elements * static_cast<std::int64_t>(sizeof(float)); }

} // namespace

RingRank::RingRank(const RingOptions &options, std::int64_t rank, Transport &transport, memory::Ledger &ledger)
    : options_(options), rank_(rank), transport_(transport) {
  const RingProblem &problem = options_.problem;
  validate(problem);
  const AttentionProblem &attention = problem.attention;
  queries_ = query_tokens(problem.placement, attention.tokens, problem.ring_size, rank);
  scale_ = static_cast<float>(problem::softmax_scale(attention.head_dim));
  const memory::KernelFootprint footprint = kernel_footprint(attention, options_.kernel);
  const std::int64_t rows = attention.batch * queries_.count() * attention.query_heads;
  const std::int64_t block_buffer = memory::block_buffer_bytes(problem, footprint);

  query_buffer_ = {ledger, Purpose::query, "query", float_bytes(rows * attention.head_dim)};
  output_buffer_ = {ledger, Purpose::output, "output", float_bytes(rows * attention.head_dim)};
  held_block_ = {ledger, Purpose::key_value, "held_block", block_buffer};
  if (hop_count(problem) > 0) {
    incoming_block_ = {ledger, Purpose::communication, "incoming_block", block_buffer};
  }
  partial_buffer_ = {ledger, Purpose::partial, "log_sum_exp", float_bytes(rows)};
  if (options_.kernel == memory::KernelKind::materialised) {
    score_buffer_ = {ledger, Purpose::scores, "scores", float_bytes(memory::score_elements(problem, rank))};
  }
  kernel_workspace_ = {ledger, Purpose::workspace, footprint.workspace_bytes};

  query_ = {query_buffer_.as<float>(), static_cast<std::size_t>(attention.batch),
            static_cast<std::size_t>(queries_.count()), static_cast<std::size_t>(attention.query_heads),
            static_cast<std::size_t>(attention.head_dim)};
  output_ = {output_buffer_.as<float>(), query_.extent(0), query_.extent(1), query_.extent(2), query_.extent(3)};
  log_sum_exp_ = {partial_buffer_.as<float>(), query_.extent(0), query_.extent(1), query_.extent(2)};
  times_met_.resize(static_cast<std::size_t>(problem.ring_size));
  pack_own_block();
  fill_tensor(query_buffer_.as<float>(), options_.seed, problem::Tensor::query, attention, queries_);
}

void RingRank::pack_own_block() {
  const RingProblem &problem = options_.problem;
  const AttentionProblem &attention = problem.attention;
  const TokenSet keys = key_tokens(problem.placement, attention.tokens, problem.ring_size, rank_);
  // The unpacked keys and values exist only here, in the buffers that hold query and output afterwards: a rank never
  // has more keys than queries, nor more key heads than query heads, so they fit and the high-water mark is the ring's.
  fill_tensor(query_buffer_.as<float>(), options_.seed, problem::Tensor::key, attention, keys);
  fill_tensor(output_buffer_.as<float>(), options_.seed, problem::Tensor::value, attention, keys);
  const auto unpacked = [&](const TrackedBuffer<kernels::MemorySpace> &buffer) {
    return kernels::ConstTensor4(buffer.as<float>(), static_cast<std::size_t>(attention.batch),
                                 static_cast<std::size_t>(keys.count()), static_cast<std::size_t>(attention.kv_heads),
                                 static_cast<std::size_t>(attention.head_dim));
  };
  float *payload = held_block_.as<float>(memory::block_header_bytes);
  for (int span = 0; span < keys.span_count(); ++span) {
    kernels::pack_key_value(space_, unpacked(query_buffer_), unpacked(output_buffer_), span == 0 ? 0 : keys.first.count,
                            keys.span(span).count, payload + span_offset(problem, rank_, span));
  }
  BlockHeader header;
  header.owner = rank_;
  header.tokens = keys.count();
  header.payload_bytes = block_bytes(problem, rank_) - memory::block_header_bytes;
  space_.fence("ringscale::ring: own block packed");
  header.checksum = checksum(space_, payload, header.payload_bytes / static_cast<std::int64_t>(sizeof(float)));
  write_header(held_block_.data(), header);
}

void RingRank::begin(bool check_payloads) {
  check_payloads_ = check_payloads;
  times_ = {};
  std::fill(times_met_.begin(), times_met_.end(), 0);
  if (options_.softmax == SoftmaxRule::per_chunk) {
    Kokkos::deep_copy(space_, output_, 0.0F);
    Kokkos::deep_copy(space_, log_sum_exp_, -std::numeric_limits<float>::infinity());
    space_.fence("ringscale::ring: partials reset");
  }
}

void RingRank::run() {
  const std::int64_t steps = step_count(options_.problem);
  for (std::int64_t step = 0; step < steps; ++step) {
    start(step);
    compute(step);
    finish(step);
  }
}

void RingRank::start(std::int64_t step) {
  strike_before(step);
  const double begin_s = now_s();
  const RingProblem &problem = options_.problem;
  const schedule::Step plan = step_of(problem, rank_, step);
  const Site here = site("passing a key/value block on", step);
  if (plan.receive_from >= 0) {
    const std::int64_t next_owner = step_of(problem, rank_, step + 1).block_owner;
    transport_.post_receive(static_cast<int>(plan.receive_from), incoming_block_.data(),
                            block_bytes(problem, next_owner), MessageTag::key_value_block, here);
  }
  if (plan.send_to >= 0) {
    transport_.post_send(static_cast<int>(plan.send_to), held_block_.data(), block_bytes(problem, plan.block_owner),
                         MessageTag::key_value_block, here);
  }
  times_.exposed_communication_s += now_s() - begin_s;
}

void RingRank::compute(std::int64_t step) {
  inspect_block(step);
  const double begin_s = now_s();
  polling_s_ = 0.0;
  const RingProblem &problem = options_.problem;
  const std::int64_t owner = step_of(problem, rank_, step).block_owner;
  const TokenSet keys = key_tokens(problem.placement, problem.attention.tokens, problem.ring_size, owner);
  for (int query_span = 0; query_span < queries_.span_count(); ++query_span) {
    for (int key_span = 0; key_span < keys.span_count(); ++key_span) {
      // The first block writes every row, so that no partial of an earlier repetition is read.
      const bool replace = options_.softmax == SoftmaxRule::online && step == 0 && key_span == 0;
      compute_span_pair(step, query_span, key_span, replace);
    }
  }
  times_.compute_s += now_s() - begin_s - polling_s_;
  times_.exposed_communication_s += polling_s_;
}

void RingRank::finish(std::int64_t step) {
  if (step_of(options_.problem, rank_, step).receive_from < 0) {
    return;
  }
  const double begin_s = now_s();
  transport_.wait_all(site("waiting for the next key/value block", step));
  if (!options_.fault.strikes(FaultKind::skip_hop, rank_, step)) {
    TrackedBuffer<kernels::MemorySpace>::swap_memory(held_block_, incoming_block_);
    BlockHeader header = read_header(held_block_.data());
    header.hop += 1;
    write_header(held_block_.data(), header);
  }
  times_.exposed_communication_s += now_s() - begin_s;
}

void RingRank::start_return() {
  const RingProblem &problem = options_.problem;
  const std::int64_t last = step_count(problem) - 1;
  const std::int64_t held = step_of(problem, rank_, last).block_owner;
  if (held == rank_) {
    return;
  }
  std::int64_t holder = 0;
  while (step_of(problem, holder, last).block_owner != rank_) {
    ++holder;
  }
  const Site here = site("returning blocks to their owners", last);
  transport_.post_receive(static_cast<int>(holder), incoming_block_.data(), block_bytes(problem, rank_),
                          MessageTag::returning_block, here);
  transport_.post_send(static_cast<int>(held), held_block_.data(), block_bytes(problem, held),
                       MessageTag::returning_block, here);
}

void RingRank::finish_return() {
  const RingProblem &problem = options_.problem;
  const std::int64_t last = step_count(problem) - 1;
  if (step_of(problem, rank_, last).block_owner == rank_) {
    return;
  }
  transport_.wait_all(site("returning blocks to their owners", last));
  TrackedBuffer<kernels::MemorySpace>::swap_memory(held_block_, incoming_block_);
  BlockHeader header = read_header(held_block_.data());
  if (header.owner != rank_) {
    complain("the block of rank " + std::to_string(header.owner) + " came back instead of its own");
  }
  header.hop = 0;
  write_header(held_block_.data(), header);
}

bool RingRank::met_every_block_once() const {
  return std::all_of(times_met_.begin(), times_met_.end(), [](std::int64_t times) { return times == 1; });
}

std::uint64_t RingRank::output_checksum() const {
  // Places far apart for every rank, so that two ranks' outputs cannot change places unnoticed.
  const std::uint64_t place = static_cast<std::uint64_t>(rank_ + 1) << 44;
  return checksum(space_, output_.data(), static_cast<std::int64_t>(output_.size()), place) +
         checksum(space_, log_sum_exp_.data(), static_cast<std::int64_t>(log_sum_exp_.size()), place << 1);
}

void RingRank::complain(std::string text) {
  // The first few say what happened; a broken ring would otherwise repeat them every step.
  constexpr std::size_t most_complaints = 4;
  text = "rank " + std::to_string(rank_) + ": " + text;
  if (complaints_.size() < most_complaints &&
      std::find(complaints_.begin(), complaints_.end(), text) == complaints_.end()) {
    complaints_.push_back(std::move(text));
  }
}

Site RingRank::site(const char *what, std::int64_t step) const {
  const schedule::Step plan = step_of(options_.problem, rank_, step);
  return {what, static_cast<int>(rank_), step, static_cast<int>(plan.send_to), static_cast<int>(plan.receive_from)};
}

} // namespace ringscale::ring
