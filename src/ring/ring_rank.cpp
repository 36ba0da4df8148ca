// SPDX-License-Identifier: Apache-2.0
#include "ring/ring_rank.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/attention_backward.hpp"
#include "kernels/packed_key_value.hpp"
#include "ring/checksum.hpp"
#include "ring/deadline.hpp"
#include "ring/rank_data.hpp"
#include "ring/row_views.hpp"

namespace ringscale::ring {

using memory::Purpose;
using problem::AttentionProblem;
using problem::Tensor;
using problem::TokenSet;
using schedule::RingProblem;

namespace {

constexpr auto float_bytes = static_cast<std::int64_t>(sizeof(float));

} // namespace

RankInputs synthetic_inputs(const RingOptions &options, std::int64_t rank) {
  RankInputs inputs;
  inputs.tensor = [options, rank](Tensor tensor, float *destination) {
    const bool of_query = tensor == Tensor::query || tensor == Tensor::output_gradient;
    fill_tensor(destination, options.seed, tensor, options.problem.attention,
                of_query ? queries_of(options.problem, rank) : keys_of(options.problem, rank), options.origin);
  };
  return inputs;
}

RingRank::RingRank(const RingOptions &options, std::int64_t rank, Transport &transport, memory::Ledger &ledger,
                   RankInputs inputs)
    : options_(options), rank_(rank), transport_(transport), inputs_(std::move(inputs)),
      plan_(ring_plan(options.problem, rank)), query_tokens_(queries_of(options.problem, rank).count()),
      key_tokens_(keys_of(options.problem, rank).count()), kernels_(options, rank, ledger) {
  const RingProblem &problem = options_.problem;
  const AttentionProblem &attention = problem.attention;
  scale_ = static_cast<float>(problem::softmax_scale(attention.head_dim));
  const std::int64_t query = float_bytes * attention.batch * query_tokens_ * attention.query_heads * attention.head_dim;
  const std::int64_t stored_query = query / float_bytes * problem::storage_bytes(attention.dtype);
  const std::int64_t numbers = float_bytes * attention.batch * query_tokens_ * attention.query_heads;
  const std::int64_t key = float_bytes * attention.batch * key_tokens_ * attention.kv_heads * attention.head_dim;
  const memory::KernelFootprint footprint{kernels::key_tile_tokens, 0};
  const std::int64_t block = memory::block_buffer_bytes(problem, footprint);
  const std::int64_t result = makes_results(problem) ? memory::result_buffer_bytes(problem) : 0;
  const schedule::BufferCounts counts = buffer_counts(problem, rank);

  // An all-gather fills all blocks at once, so they lie one after the other.
  const bool together = problem.schedule == schedule::Schedule::all_gather;
  const Kokkos::View<std::byte *, kernels::MemorySpace> all(
      Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string("ringscale::gathered_blocks")),
      static_cast<std::size_t>(together ? counts.block_buffers * block : 0));
  for (std::int64_t buffer = 0; buffer < counts.block_buffers; ++buffer) {
    const Purpose own = queries_move() ? Purpose::query : Purpose::key_value;
    const Purpose purpose = buffer == 0 ? own : Purpose::communication;
    if (together) {
      const auto begin = static_cast<std::size_t>(buffer * block);
      blocks_.emplace_back(ledger, purpose,
                           Kokkos::subview(all, std::pair(begin, begin + static_cast<std::size_t>(block))));
    } else {
      blocks_.push_back(take(ledger, purpose, buffer == 0 ? "own_block" : "block", block));
    }
  }
  for (std::int64_t buffer = 0; buffer < memory::copy_buffer_count(problem); ++buffer) {
    copies_.push_back(take(ledger, Purpose::communication, "copied_block", block));
  }
  for (std::int64_t buffer = 0; buffer < counts.result_buffers; ++buffer) {
    results_.push_back(take(ledger, Purpose::communication, "result", result));
  }
  if (queries_move()) {
    RingProblem kept = problem;
    kept.moving = schedule::Moving::key_value;
    key_value_ = take(ledger, Purpose::key_value, "key_value", memory::block_payload_bytes(kept, rank, footprint));
  } else {
    query_ = take(ledger, Purpose::query, "query", stored_query);
  }
  if (backward()) {
    output_ = take(ledger, Purpose::output, "output", query);
    partial_ = take(ledger, Purpose::partial, "log_sum_exp", queries_move() ? numbers : 2 * numbers);
    gradient_ = take(ledger, Purpose::gradient, "gradient", queries_move() ? 2 * key : 2 * query);
    home_ = take(ledger, Purpose::gradient, "home", result);
  } else if (queries_move()) {
    home_ = take(ledger, Purpose::output, "home", result);
  } else {
    output_ = take(ledger, Purpose::output, "output", query);
    partial_ = take(ledger, Purpose::partial, "log_sum_exp", numbers);
  }
  if (makes_results(problem) && !has_results(problem) && step_count(problem) > 1) {
    discarded_ = take(ledger, Purpose::workspace, "discarded_gradients", result);
  }
  times_met_.resize(static_cast<std::size_t>(problem.ring_size));
  last_use_.resize(blocks_.size());
}

RingRank::Buffer RingRank::take(memory::Ledger &ledger, Purpose purpose, const char *label, std::int64_t bytes) const {
  return options_.pool != nullptr ? Buffer(ledger, purpose, options_.pool->acquire(bytes))
                                  : Buffer(ledger, purpose, label, bytes);
}

const RingRank::Buffer &RingRank::result_buffer(std::int64_t index) const {
  return index == schedule::home_buffer ? home_ : results_[static_cast<std::size_t>(index)];
}

const RingRank::Buffer &RingRank::result_of(const schedule::Meeting &meeting) const {
  if (has_results(options_.problem)) {
    return result_buffer(meeting.result_buffer);
  }
  return meeting.owner == rank_ ? home_ : discarded_;
}

void RingRank::begin(bool check_payloads) {
  check_payloads_ = check_payloads;
  times_ = {};
  steps_done_ = 0;
  std::fill(times_met_.begin(), times_met_.end(), 0);
  std::fill(last_use_.begin(), last_use_.end(), -1);
  if (options_.poison_buffers) {
    for (const auto *buffers : {&blocks_, &copies_, &results_}) {
      for (const Buffer &buffer : *buffers) {
        poison(buffer);
      }
    }
  }
  if (options_.softmax == SoftmaxRule::per_chunk) {
    // Every block counts alike, from nothing.
    const auto elements = static_cast<std::size_t>(output_.bytes() / float_bytes);
    Kokkos::deep_copy(
        space_, Kokkos::View<float *, kernels::MemorySpace, kernels::Unmanaged>(output_.as<float>(), elements), 0.0F);
    Kokkos::deep_copy(space_,
                      row_numbers<kernels::Tensor3>(partial_.as<float>(), query_tokens_, options_.problem.attention),
                      -std::numeric_limits<float>::infinity());
    space_.fence("ringscale::ring: partials reset");
  }
}

void RingRank::load() {
  if (backward()) {
    load_backward();
  } else if (stores_bfloat16(options_.problem)) {
    load_bfloat16_forward();
  } else {
    load_forward();
  }
  write_own_header();
}

void RingRank::load_forward() {
  float *own = payload(blocks_.front());
  if (!queries_move()) {
    if (options_.problem.pattern.kind == problem::PatternKind::dilated) {
      inputs_.tensor(Tensor::key, own);
      inputs_.tensor(Tensor::value, own + block_elements(options_.problem, rank_) / 2);
    } else {
      // The unpacked keys and values exist only here, in the buffers that hold query and output afterwards: a rank
      // never has more keys than queries, nor more key heads than query heads, so they fit and the high-water mark is
      // the ring's.
      pack(query_.as<float>(), output_.as<float>(), own);
    }
    inputs_.tensor(Tensor::query, query_.as<float>());
    return;
  }
  if (options_.problem.pattern.kind == problem::PatternKind::dilated) {
    float *key = key_value_.as<float>();
    inputs_.tensor(Tensor::key, key);
    inputs_.tensor(Tensor::value, key + key_value_.bytes() / float_bytes / 2);
  } else {
    pack(own, payload(home_), key_value_.as<float>());
  }
  inputs_.tensor(Tensor::query, own);
}

void RingRank::load_backward() {
  const AttentionProblem &attention = options_.problem.attention;
  const std::int64_t query = attention.batch * query_tokens_ * attention.query_heads * attention.head_dim;
  const std::int64_t numbers = attention.batch * query_tokens_ * attention.query_heads;
  float *own = payload(blocks_.front());
  float *key = queries_move() ? key_value_.as<float>() : own;
  inputs_.forward_result(output_.as<float>(), partial_.as<float>());
  inputs_.tensor(Tensor::key, key);
  inputs_.tensor(Tensor::value, key + attention.batch * key_tokens_ * attention.kv_heads * attention.head_dim);
  // A block of queries: query, output gradient, log-sum-exps, row dots.
  inputs_.tensor(Tensor::query, queries_move() ? own : query_.as<float>());
  float *output_gradient = queries_move() ? own + query : gradient_.as<float>();
  inputs_.tensor(Tensor::output_gradient, output_gradient);
  const auto lse = row_numbers<kernels::ConstTensor3>(partial_.as<const float>(), query_tokens_, attention);
  float *output_dot = partial_.as<float>() + numbers;
  if (queries_move()) {
    Kokkos::deep_copy(space_, row_numbers<kernels::Tensor3>(own + 2 * query, query_tokens_, attention), lse);
    output_dot = own + 2 * query + numbers;
  }
  kernels::output_gradient_dot(
      space_,
      whole_rows<kernels::ConstTensor4>(output_.as<const float>(), query_tokens_, attention.query_heads, attention),
      whole_rows<kernels::ConstTensor4>(static_cast<const float *>(output_gradient), query_tokens_,
                                        attention.query_heads, attention),
      row_numbers<kernels::Tensor3>(output_dot, query_tokens_, attention));
  // Gradients of what stays are sums over all meetings.
  float *stays = gradient_.as<float>() + (queries_move() ? 0 : query);
  const auto elements = static_cast<std::size_t>(gradient_.bytes() / float_bytes - (queries_move() ? 0 : query));
  Kokkos::deep_copy(space_, Kokkos::View<float *, kernels::MemorySpace, kernels::Unmanaged>(stays, elements), 0.0F);
  space_.fence("ringscale::ring: backward pass prepared");
}

void RingRank::pack(float *key, float *value, float *packed) {
  const RingProblem &problem = options_.problem;
  const AttentionProblem &attention = problem.attention;
  inputs_.tensor(Tensor::key, key);
  inputs_.tensor(Tensor::value, value);
  const TokenSet keys = keys_of(problem, rank_);
  const auto unpacked = [&](const float *data) {
    return whole_rows<kernels::ConstTensor4>(data, key_tokens_, attention.kv_heads, attention);
  };
  std::int64_t whole = 0;
  for (int span = 0; span < keys.span_count(); ++span) {
    whole += span_elements(problem, rank_, span);
  }
  for (int span = 0; span < keys.span_count(); ++span) {
    const std::int64_t first = span == 0 ? 0 : keys.first.count;
    const std::int64_t offset = span_offset(problem, rank_, span);
    if (problem.layout == schedule::MessageLayout::separate) {
      kernels::pack_keys_and_values_apart(space_, unpacked(key), unpacked(value), first, keys.span(span).count,
                                          packed + offset / 2, packed + whole / 2 + offset / 2);
    } else {
      kernels::pack_key_value(space_, unpacked(key), unpacked(value), first, keys.span(span).count, packed + offset);
    }
  }
  space_.fence("ringscale::ring: keys and values packed");
}

void RingRank::write_own_header() {
  const RingProblem &problem = options_.problem;
  BlockHeader header;
  header.owner = rank_;
  header.tokens = block_tokens(problem, rank_);
  header.payload_bytes = block_bytes(problem, rank_) - memory::block_header_bytes;
  header.checksum = block_checksum(blocks_.front(), rank_);
  write_header(blocks_.front().data(), header);
}

void RingRank::run() {
  for (std::int64_t step = 0; step < plan_steps(); ++step) {
    start(step);
    compute(step);
    finish(step);
  }
}

void RingRank::run_messages_only() {
  computes_ = false;
  run();
  computes_ = true;
}

bool RingRank::met_every_block_once() const {
  const RingProblem &problem = options_.problem;
  for (std::int64_t owner = 0; owner < problem.ring_size; ++owner) {
    const std::int64_t times = times_met_[static_cast<std::size_t>(owner)];
    const bool must = problem.hops == schedule::Hops::all || owner == rank_ ||
                      pairs_of_meeting(problem, queries_move() ? owner : rank_, queries_move() ? rank_ : owner) > 0.0;
    if (times > 1 || (must && times != 1)) {
      return false;
    }
  }
  return true;
}

kernels::ConstTensor4 RingRank::output() const {
  const float *data = queries_move() && !backward() ? payload(home_) : output_.as<const float>();
  const AttentionProblem &attention = options_.problem.attention;
  return whole_rows<kernels::ConstTensor4>(data, query_tokens_, attention.query_heads, attention);
}

kernels::ConstTensor3 RingRank::log_sum_exp() const {
  const AttentionProblem &attention = options_.problem.attention;
  const float *data = queries_move() && !backward() ? payload(home_) + output().size() : partial_.as<const float>();
  return row_numbers<kernels::ConstTensor3>(data, query_tokens_, attention);
}

kernels::ConstTensor4 RingRank::query_gradient() const {
  const AttentionProblem &attention = options_.problem.attention;
  const float *data = queries_move() ? payload(home_) : gradient_.as<const float>() + output().size();
  return whole_rows<kernels::ConstTensor4>(data, query_tokens_, attention.query_heads, attention);
}

kernels::ConstTensor4 RingRank::key_gradient() const {
  const AttentionProblem &attention = options_.problem.attention;
  const float *data = queries_move() ? gradient_.as<const float>() : payload(home_);
  return whole_rows<kernels::ConstTensor4>(data, key_tokens_, attention.kv_heads, attention);
}

kernels::ConstTensor4 RingRank::value_gradient() const {
  const AttentionProblem &attention = options_.problem.attention;
  const kernels::ConstTensor4 key = key_gradient();
  return whole_rows<kernels::ConstTensor4>(key.data() + key.size(), key_tokens_, attention.kv_heads, attention);
}

std::uint64_t RingRank::result_checksum() const {
  // Places far apart for every rank, so that two ranks' results cannot change places unnoticed.
  const std::uint64_t place = static_cast<std::uint64_t>(rank_ + 1) << 44;
  if (!backward()) {
    return checksum(space_, output().data(), static_cast<std::int64_t>(output().size()), place) +
           checksum(space_, log_sum_exp().data(), static_cast<std::int64_t>(log_sum_exp().size()), place << 1);
  }
  return checksum(space_, query_gradient().data(), static_cast<std::int64_t>(query_gradient().size()), place) +
         checksum(space_, key_gradient().data(), 2 * static_cast<std::int64_t>(key_gradient().size()), place << 1);
}

} // namespace ringscale::ring
