// SPDX-License-Identifier: Apache-2.0
// Benchmarks of the backward pass of dilated and block-sparse attention, with dense attention beside them.
#include <algorithm>
#include <cmath>
#include <string>

#include "drivers/benchmark_support.hpp"
#include "kernels/attention_backward.hpp"
#include "kernels/block_sparse_backward.hpp"
#include "kernels/dilated_backward.hpp"
#include "problem/attention_problem.hpp"

namespace ringscale::drivers {

namespace {

constexpr std::int64_t heads = 3; // one for each group of the split convention

/// A layer and its gradients. The log-sum-exps are those of scores that are all 0, which costs the same as others.
struct GradientLayer {
  Owned4 query, key, value, output_gradient, query_gradient, key_gradient, value_gradient;
  Owned3 log_sum_exp, output_dot;
  float scale;

  GradientLayer(std::int64_t tokens, std::int64_t head_dim)
      : query("query", 1, tokens, heads, head_dim), key("key", 1, tokens, heads, head_dim),
        value("value", 1, tokens, heads, head_dim), output_gradient("output_gradient", 1, tokens, heads, head_dim),
        query_gradient("query_gradient", 1, tokens, heads, head_dim),
        key_gradient("key_gradient", 1, tokens, heads, head_dim),
        value_gradient("value_gradient", 1, tokens, heads, head_dim), log_sum_exp("log_sum_exp", 1, tokens, heads),
        output_dot("output_dot", 1, tokens, heads), scale(static_cast<float>(problem::softmax_scale(head_dim))) {
    fill_synthetic(query, problem::Tensor::query, 1);
    fill_synthetic(key, problem::Tensor::key, 1);
    fill_synthetic(value, problem::Tensor::value, 1);
    fill_synthetic(output_gradient, problem::Tensor::query, 2);
    Kokkos::deep_copy(log_sum_exp, std::log(static_cast<float>(tokens)));
  }

  kernels::BackwardBlock block(bool causal) const {
    kernels::BackwardBlock block;
    block.query = query;
    block.key = key;
    block.value = value;
    block.output_gradient = output_gradient;
    block.log_sum_exp = log_sum_exp;
    block.output_dot = output_dot;
    block.admission.causal = causal;
    block.scale = scale;
    block.query_gradient = query_gradient;
    block.key_gradient = key_gradient;
    block.value_gradient = value_gradient;
    return block;
  }
};

void dense(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim, bool causal) {
  const GradientLayer layer(tokens, head_dim);
  const kernels::BackwardBlock block = layer.block(causal);
  const ExecutionSpace space;
  const Owned1 workspace("workspace", kernels::attention_backward_workspace_elements(space, block));
  for (auto iteration : state) {
    kernels::attention_backward(space, block, workspace.data());
    space.fence();
  }
  set_counters(state, kernels::attention_backward_work(block), true);
}

void dilated(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim, bool causal,
             kernels::DilationConvention convention) {
  const GradientLayer layer(tokens, head_dim);
  const auto part = [&](std::int64_t divisor) { return std::max<std::int64_t>(1, tokens / divisor); };
  kernels::DilatedBackward backward;
  backward.query = layer.query;
  backward.key = layer.key;
  backward.value = layer.value;
  backward.output_gradient = layer.output_gradient;
  backward.log_sum_exp = layer.log_sum_exp;
  backward.output_dot = layer.output_dot;
  backward.dilation = {{part(4), part(2), part(1)}, {1, 2, 4}, convention};
  backward.causal = causal;
  backward.scale = layer.scale;
  backward.query_gradient = layer.query_gradient;
  backward.key_gradient = layer.key_gradient;
  backward.value_gradient = layer.value_gradient;
  const ExecutionSpace space;
  for (auto iteration : state) {
    kernels::dilated_attention_backward(space, backward);
    space.fence();
  }
  set_counters(state, kernels::dilated_attention_backward_work(backward), true);
}

void block_sparse(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim, bool causal,
                  std::int64_t block_tokens, const kernels::BlockSparsity &sparsity) {
  const GradientLayer layer(tokens, head_dim);
  const kernels::BackwardBlock block = layer.block(causal);
  kernels::BlockMaskShape shape;
  shape.block_tokens = block_tokens;
  shape.query_tokens = shape.key_tokens = tokens;
  shape.causal = causal;
  const kernels::BlockMask mask(shape, sparsity);
  const ExecutionSpace space;
  for (auto iteration : state) {
    kernels::block_sparse_backward(space, block, mask);
    space.fence();
  }
  set_counters(state, kernels::block_sparse_backward_work(block, mask), true);
  state.counters["density"] = mask.density();
}

} // namespace

void register_pattern_gradient_benchmarks(const BenchmarkSizes &sizes) {
  using kernels::BlockKind;
  using kernels::DilationConvention;
  for (const std::int64_t tokens : sizes.tokens) {
    if (tokens > 8192) {
      continue;
    }
    for (const std::int64_t head_dim : {64, 128}) {
      for (const bool causal : {false, true}) {
        const std::string name = size_name(head_dim, tokens) + (causal ? "/causal" : "/none");
        benchmark::RegisterBenchmark(("pattern_dense_backward" + name).c_str(), dense, tokens, head_dim, causal);
        benchmark::RegisterBenchmark(("dilated_backward/split" + name).c_str(), dilated, tokens, head_dim, causal,
                                     DilationConvention::split);
        benchmark::RegisterBenchmark(("dilated_backward/longnet" + name).c_str(), dilated, tokens, head_dim, causal,
                                     DilationConvention::longnet);
        for (const std::int64_t block : {64, 128}) {
          const std::string blocks = "/block:" + std::to_string(block) + name;
          benchmark::RegisterBenchmark(("block_sparse_backward/local_window" + blocks).c_str(), block_sparse, tokens,
                                       head_dim, causal, block,
                                       kernels::BlockSparsity{BlockKind::local_window, 512, 1});
        }
      }
    }
  }
}

} // namespace ringscale::drivers
