// SPDX-License-Identifier: Apache-2.0
// Benchmarks of the backward pass of dense attention.
#include <cmath>
#include <string>

#include "drivers/benchmark_support.hpp"
#include "kernels/attention_backward.hpp"
#include "kernels/attention_materialised_backward.hpp"
#include "problem/attention_problem.hpp"

namespace ringscale::drivers {

namespace {

/// A layer and its gradients. The log-sum-exps are those of scores that are all 0, which costs the same as others.
struct BackwardLayer {
  Owned4 query, key, value, output_gradient, query_gradient, key_gradient, value_gradient;
  Owned3 log_sum_exp, output_dot;
  kernels::BackwardBlock block;

  BackwardLayer(std::int64_t tokens, std::int64_t heads, std::int64_t head_dim, bool causal)
      : query("query", 1, tokens, heads, head_dim), key("key", 1, tokens, heads, head_dim),
        value("value", 1, tokens, heads, head_dim), output_gradient("output_gradient", 1, tokens, heads, head_dim),
        query_gradient("query_gradient", 1, tokens, heads, head_dim),
        key_gradient("key_gradient", 1, tokens, heads, head_dim),
        value_gradient("value_gradient", 1, tokens, heads, head_dim), log_sum_exp("log_sum_exp", 1, tokens, heads),
        output_dot("output_dot", 1, tokens, heads) {
    fill_synthetic(query, problem::Tensor::query, 1);
    fill_synthetic(key, problem::Tensor::key, 1);
    fill_synthetic(value, problem::Tensor::value, 1);
    fill_synthetic(output_gradient, problem::Tensor::query, 2);
    Kokkos::deep_copy(log_sum_exp, std::log(static_cast<float>(tokens)));
    block.query = query;
    block.key = key;
    block.value = value;
    block.output_gradient = output_gradient;
    block.log_sum_exp = log_sum_exp;
    block.output_dot = output_dot;
    block.admission.causal = causal;
    block.scale = static_cast<float>(problem::softmax_scale(head_dim));
    block.query_gradient = query_gradient;
    block.key_gradient = key_gradient;
    block.value_gradient = value_gradient;
  }
};

void streamed_backward(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim, bool causal,
                       float dropout) {
  BackwardLayer layer(tokens, 2, head_dim, causal);
  layer.block.dropout.probability = dropout;
  const ExecutionSpace space;
  const Owned1 workspace("workspace", kernels::attention_backward_workspace_elements(space, layer.block));
  for (auto iteration : state) {
    kernels::attention_backward(space, layer.block, workspace.data());
    space.fence();
  }
  set_counters(state, kernels::attention_backward_work(layer.block), true);
}

void materialised_backward(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim) {
  const BackwardLayer layer(tokens, 1, head_dim, false);
  const ExecutionSpace space;
  const std::int64_t elements = kernels::materialised_weight_elements(layer.block);
  const Owned1 weights("weights", elements);
  const Owned1 score_gradients("score_gradients", elements);
  Kokkos::deep_copy(weights, 1.0F / static_cast<float>(tokens));
  for (auto iteration : state) {
    kernels::attention_materialised_backward(space, layer.block, weights.data(), score_gradients.data());
    space.fence();
  }
  set_counters(state, kernels::attention_materialised_backward_work(layer.block), true);
}

void output_dot(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim) {
  const BackwardLayer layer(tokens, 8, head_dim, false);
  const ExecutionSpace space;
  for (auto iteration : state) {
    kernels::output_gradient_dot(space, layer.query, layer.output_gradient, layer.output_dot);
    space.fence();
  }
  set_counters(state, kernels::output_gradient_dot_work(1, tokens, 8, head_dim), false);
}

} // namespace

void register_backward_benchmarks(const BenchmarkSizes &sizes) {
  for (const std::int64_t head_dim : {64, 128}) {
    for (const std::int64_t tokens : sizes.tokens) {
      const std::string name = "attention_backward" + size_name(head_dim, tokens);
      for (const bool causal : {false, true}) {
        benchmark::RegisterBenchmark((name + (causal ? "/causal" : "/none")).c_str(), streamed_backward, tokens,
                                     head_dim, causal, 0.0F);
      }
      benchmark::RegisterBenchmark(("output_gradient_dot" + size_name(head_dim, tokens)).c_str(), output_dot, tokens,
                                   head_dim);
      benchmark::RegisterBenchmark((name + "/none/dropout").c_str(), streamed_backward, tokens, head_dim, false, 0.1F);
    }
    for (const std::int64_t tokens : sizes.materialised_tokens) {
      benchmark::RegisterBenchmark(("attention_materialised_backward" + size_name(head_dim, tokens)).c_str(),
                                   materialised_backward, tokens, head_dim);
    }
  }
}

} // namespace ringscale::drivers
