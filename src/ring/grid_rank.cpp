// SPDX-License-Identifier: Apache-2.0
#include "ring/grid_rank.hpp"

#include <utility>

#include "kernels/rounding.hpp"
#include "memory/grid_memory.hpp"
#include "ring/block.hpp"
#include "ring/deadline.hpp"
#include "ring/pack_in_place.hpp"
#include "ring/rank_data.hpp"
#include "ring/rank_recorder.hpp"
#include "ring/row_views.hpp"

namespace ringscale::ring {

using memory::Purpose;
using problem::Tensor;

RingOptions ring_share(const RingOptions &options, const schedule::GridShare &share) {
  RingOptions ring = options;
  ring.problem = share.ring;
  ring.grid = {};
  ring.origin = {options.origin.batch + share.batch.begin, options.origin.query_head + share.query_heads.begin,
                 options.origin.kv_head + share.kv_heads.begin};
  return ring;
}

RingOptions own_share(const RingOptions &options, const schedule::GridShare &share) {
  RingOptions own = ring_share(options, share);
  own.problem.attention.query_heads = share.model_query_heads.count;
  own.problem.attention.kv_heads = share.model_kv_heads.count;
  own.problem.first_pattern_head = options.problem.first_pattern_head + share.model_query_heads.begin;
  own.origin.query_head = options.origin.query_head + share.model_query_heads.begin;
  own.origin.kv_head = options.origin.kv_head + share.model_kv_heads.begin;
  return own;
}

GridRank::GridRank(const RingOptions &options, std::int64_t rank, Transport &ring_transport,
                   Transport &sequence_transport, memory::Ledger &ledger, ForwardResult forward_result)
    : share_(share_of(process_grid(options), options.problem, rank)), own_options_(own_share(options, share_)) {
  const schedule::ProcessGrid grid = process_grid(options);
  const RingOptions ring_options = ring_share(options, share_);
  RankInputs inputs = synthetic_inputs(ring_options, share_.place.ring);
  if (grid.sequence > 1) {
    exchange_ = std::make_unique<HeadExchange>(grid, options.problem, share_, sequence_transport, ledger);
    inputs.tensor = [this](Tensor tensor, float *destination) { exchange_input(tensor, destination); };
    const std::int64_t query = memory::own_query_bytes(share_);
    const std::int64_t key = memory::own_key_bytes(share_);
    own_query_ = {ledger, Purpose::query, "own_query", query};
    own_key_ = {ledger, Purpose::key_value, "own_key", key};
    own_value_ = {ledger, Purpose::key_value, "own_value", key};
    if (options.problem.pass == schedule::Pass::backward) {
      own_output_gradient_ = {ledger, Purpose::gradient, "own_output_gradient", query};
      own_query_gradient_ = {ledger, Purpose::gradient, "own_query_gradient", query};
      own_key_gradient_ = {ledger, Purpose::gradient, "own_key_gradient", key};
      own_value_gradient_ = {ledger, Purpose::gradient, "own_value_gradient", key};
    } else {
      own_output_ = {ledger, Purpose::output, "own_output", memory::own_output_bytes(share_)};
    }
  }
  inputs.forward_result = std::move(forward_result);
  ring_ = std::make_unique<RingRank>(ring_options, share_.place.ring, ring_transport, ledger, std::move(inputs));
}

void GridRank::begin(bool check_payloads) {
  ring_->begin(check_payloads);
  exchange_s_ = 0.0;
  if (!exchange_) {
    ring_->load();
    return;
  }
  const schedule::RingProblem &problem = own_options_.problem;
  const problem::TokenSet queries =
      problem::rows_of(queries_of(problem, share_.place.ring), share_.own_queries.begin, share_.own_queries.count);
  const problem::TokenSet keys =
      problem::rows_of(keys_of(problem, share_.place.ring), share_.own_keys.begin, share_.own_keys.count);
  const auto fill = [&](const Buffer &buffer, Tensor tensor, const problem::TokenSet &tokens) {
    if (!stores_bfloat16(problem)) {
      fill_tensor(buffer.as<float>(), own_options_.seed, tensor, problem.attention, tokens, own_options_.origin);
      return;
    }
    // As floats in the memory of the output, which is not there yet and at least as large.
    fill_tensor(own_output_.as<float>(), own_options_.seed, tensor, problem.attention, tokens, own_options_.origin);
    const kernels::ExecutionSpace space;
    kernels::pack_elements(space, own_output_.as<float>(), buffer.bytes() / 2, kernels::NumberFormat::bfloat16,
                           buffer.as<std::uint16_t>());
    space.fence("ringscale::ring: own rows rounded");
  };
  fill(own_query_, Tensor::query, queries);
  fill(own_key_, Tensor::key, keys);
  fill(own_value_, Tensor::value, keys);
  if (problem.pass == schedule::Pass::backward) {
    fill(own_output_gradient_, Tensor::output_gradient, queries);
  }
}

const GridRank::Buffer &GridRank::own_input(Tensor tensor) const {
  switch (tensor) {
  case Tensor::query:
    return own_query_;
  case Tensor::key:
    return own_key_;
  case Tensor::value:
    return own_value_;
  case Tensor::output_gradient:
    break;
  }
  return own_output_gradient_;
}

void GridRank::exchange_input(Tensor tensor, float *destination) {
  const double begin_s = now_s();
  const bool of_query = tensor == Tensor::query || tensor == Tensor::output_gradient;
  const Buffer &own = own_input(tensor);
  if (stores_bfloat16(share_.ring)) {
    // Two bytes travel; the ring is given the floats that they stand for, and rounds them to the same patterns.
    const problem::AttentionProblem &attention = share_.ring.attention;
    const std::int64_t tokens =
        of_query ? queries_of(share_.ring, share_.place.ring).count() : keys_of(share_.ring, share_.place.ring).count();
    const std::int64_t elements =
        attention.batch * tokens * (of_query ? attention.query_heads : attention.kv_heads) * attention.head_dim;
    exchange_->to_ring(of_query, own.as<const std::uint16_t>(),
                       reinterpret_cast<std::uint16_t *>(destination) + elements);
    const kernels::ExecutionSpace space;
    unpack_in_place(space, destination, elements, kernels::NumberFormat::bfloat16);
    space.fence("ringscale::ring: exchanged rows widened");
  } else {
    exchange_->to_ring(of_query, own.as<const float>(), destination);
  }
  record_exchange(0, begin_s);
}

void GridRank::exchange_results() {
  const double begin_s = now_s();
  if (own_options_.problem.pass == schedule::Pass::forward) {
    exchange_->to_own(true, ring_->output().data(), own_output_.as<float>());
  } else {
    exchange_->to_own(true, ring_->query_gradient().data(), own_query_gradient_.as<float>());
    exchange_->to_own(false, ring_->key_gradient().data(), own_key_gradient_.as<float>());
    exchange_->to_own(false, ring_->value_gradient().data(), own_value_gradient_.as<float>());
  }
  record_exchange(ring_->plan_steps() - 1, begin_s);
}

void GridRank::record_exchange(std::int64_t step, double begin_s) {
  const double end_s = now_s();
  exchange_s_ += end_s - begin_s;
  if (own_options_.recorder != nullptr) {
    own_options_.recorder->add(schedule::Activity::exchange, step, begin_s, end_s);
  }
}

void GridRank::bring_inputs() {
  if (exchange_) {
    ring_->load();
  }
}

void GridRank::bring_results() {
  if (exchange_) {
    exchange_results();
  }
}

void GridRank::run() {
  bring_inputs();
  ring_->run();
  bring_results();
}

double GridRank::run_messages_only() {
  bring_inputs();
  const double begin_s = now_s();
  ring_->run_messages_only();
  return now_s() - begin_s;
}

kernels::ConstTensor4 GridRank::own_tensor(const Buffer &buffer, bool of_query) const {
  const problem::AttentionProblem &attention = own_options_.problem.attention;
  return whole_rows<kernels::ConstTensor4>(buffer.as<const float>(),
                                           of_query ? share_.own_queries.count : share_.own_keys.count,
                                           of_query ? attention.query_heads : attention.kv_heads, attention);
}

kernels::ConstTensor4 GridRank::own_output() const {
  return exchange_ ? own_tensor(own_output_, true) : ring_->output();
}
kernels::ConstTensor4 GridRank::own_query_gradient() const {
  return exchange_ ? own_tensor(own_query_gradient_, true) : ring_->query_gradient();
}
kernels::ConstTensor4 GridRank::own_key_gradient() const {
  return exchange_ ? own_tensor(own_key_gradient_, false) : ring_->key_gradient();
}
kernels::ConstTensor4 GridRank::own_value_gradient() const {
  return exchange_ ? own_tensor(own_value_gradient_, false) : ring_->value_gradient();
}

} // namespace ringscale::ring
