// SPDX-License-Identifier: Apache-2.0
#include "ring/ring_core.hpp"

#include <stdexcept>
#include <utility>

#include "problem/invalid_input.hpp"

namespace ringscale::ring {

using problem::AttentionProblem;
using problem::Tensor;

/// The ring's transport, with work of the caller done wherever the ring moves its messages on.
class RingCore::TransportBesides : public Transport {
public:
  TransportBesides(Transport &below, std::function<void()> besides) : below_(below), besides_(std::move(besides)) {}

  Ticket post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) override {
    return below_.post_receive(source, buffer, bytes, tag, site);
  }
  Ticket post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                   const Site &site) override {
    return below_.post_send(destination, buffer, bytes, tag, site);
  }
  Ticket post_all_gather(const std::byte *own, std::byte *gathered, std::span<const GatheredPart> parts,
                         Gathering gathering, const Site &site) override {
    return below_.post_all_gather(own, gathered, parts, gathering, site);
  }
  bool progress() override {
    if (besides_) {
      besides_();
    }
    return below_.progress();
  }
  void wait(std::span<const Ticket> tickets, const Site &site) override { below_.wait(tickets, site); }
  void wait_all(const Site &site) override { below_.wait_all(site); }
  TransportCounters counters() const override { return below_.counters(); }

private:
  Transport &below_;
  std::function<void()> besides_;
};

namespace {

using Floats = Kokkos::View<float *, kernels::MemorySpace, kernels::Unmanaged>;
using ConstFloats = Kokkos::View<const float *, kernels::MemorySpace, kernels::Unmanaged>;

template <class From> void copy(const From &from, float *to) {
  Kokkos::deep_copy(Floats(to, from.size()), ConstFloats(from.data(), from.size()));
}

RingOptions of_pass(const RingOptions &options, schedule::Pass pass) {
  RingOptions result = options;
  result.problem.pass = pass;
  return result;
}

} // namespace

RingCore::RingCore(const RingOptions &options, std::int64_t rank, Transport &transport, memory::Ledger &ledger,
                   std::function<void()> between_slices)
    : options_(options), rank_(rank), ledger_(ledger),
      transport_(std::make_unique<TransportBesides>(transport, std::move(between_slices))) {
  if (options.problem.placement == schedule::Placement::replicated_queries) {
    throw problem::InvalidInput("a layer's queries and keys are made of the same tokens, so its placement cannot be "
                                "replicated_queries; use contiguous, zigzag or striped");
  }
  forward_ = std::make_unique<RingRank>(of_pass(options, schedule::Pass::forward), rank, *transport_, ledger, inputs());
}

RingCore::~RingCore() = default;

RankInputs RingCore::inputs() {
  RankInputs inputs;
  inputs.tensor = [this](Tensor tensor, float *destination) {
    switch (tensor) {
    case Tensor::query:
      return copy(given_.query, destination);
    case Tensor::key:
      return copy(given_.key, destination);
    case Tensor::value:
      return copy(given_.value, destination);
    case Tensor::output_gradient:
      return copy(given_.output_gradient, destination);
    }
  };
  inputs.forward_result = [this](float *output, float *log_sum_exp) {
    copy(given_.output, output);
    copy(given_.log_sum_exp, log_sum_exp);
  };
  return inputs;
}

kernels::AttentionCore RingCore::core() {
  return [this](const kernels::ExecutionSpace &space, kernels::ConstTensor4 query, kernels::ConstTensor4 key,
                kernels::ConstTensor4 value, kernels::Tensor4 output) {
    space.fence("ringscale::ring_core: projections");
    given_ = {query, key, value, {}, {}, {}};
    forward(output);
  };
}

kernels::AttentionCores RingCore::cores() {
  if (!backward_) {
    backward_ =
        std::make_unique<RingRank>(of_pass(options_, schedule::Pass::backward), rank_, *transport_, ledger_, inputs());
  }
  kernels::AttentionCores cores;
  cores.forward = [this](const kernels::ExecutionSpace &space, kernels::ConstTensor4 query, kernels::ConstTensor4 key,
                         kernels::ConstTensor4 value, kernels::Tensor4 output, kernels::Tensor3 log_sum_exp) {
    space.fence("ringscale::ring_core: projections");
    given_ = {query, key, value, {}, {}, {}};
    forward(output);
    copy(forward_->log_sum_exp(), log_sum_exp.data());
  };
  cores.backward = [this](const kernels::ExecutionSpace &space, kernels::ConstTensor4 query, kernels::ConstTensor4 key,
                          kernels::ConstTensor4 value, kernels::ConstTensor4 output, kernels::ConstTensor3 log_sum_exp,
                          kernels::ConstTensor4 output_gradient, kernels::Tensor4 query_gradient,
                          kernels::Tensor4 key_gradient, kernels::Tensor4 value_gradient) {
    space.fence("ringscale::ring_core: gradient of the output");
    given_ = {query, key, value, output, output_gradient, log_sum_exp};
    backward(query_gradient, key_gradient, value_gradient);
  };
  return cores;
}

void RingCore::require_shapes() const {
  const AttentionProblem &attention = options_.problem.attention;
  const auto tokens = static_cast<std::size_t>(queries_of(options_.problem, rank_).count());
  const auto fits = [&](const kernels::ConstTensor4 &tensor, std::int64_t heads) {
    return tensor.extent(0) == static_cast<std::size_t>(attention.batch) && tensor.extent(1) == tokens &&
           tensor.extent(2) == static_cast<std::size_t>(heads) &&
           tensor.extent(3) == static_cast<std::size_t>(attention.head_dim);
  };
  if (!fits(given_.query, attention.query_heads) || !fits(given_.key, attention.kv_heads) ||
      !fits(given_.value, attention.kv_heads)) {
    throw std::invalid_argument("ring core: a tensor's shape is not [batch, own tokens, heads, head_dim] of the rank");
  }
}

void RingCore::pass(RingRank &rank) {
  require_shapes();
  rank.begin(check_payloads_);
  rank.load();
  rank.run();
  once_ = once_ && rank.met_every_block_once();
}

void RingCore::forward(kernels::Tensor4 output) {
  pass(*forward_);
  copy(forward_->output(), output.data());
}

void RingCore::backward(kernels::Tensor4 query_gradient, kernels::Tensor4 key_gradient,
                        kernels::Tensor4 value_gradient) {
  pass(*backward_);
  copy(backward_->query_gradient(), query_gradient.data());
  copy(backward_->key_gradient(), key_gradient.data());
  copy(backward_->value_gradient(), value_gradient.data());
}

std::vector<std::string> RingCore::complaints() const {
  std::vector<std::string> all = forward_->complaints();
  if (backward_) {
    for (const std::string &complaint : backward_->complaints()) {
      all.push_back("backward pass: " + complaint);
    }
  }
  return all;
}

} // namespace ringscale::ring
