// SPDX-License-Identifier: Apache-2.0
// Benchmarks of dense forward attention, of packing and of merging.
#include <algorithm>
#include <string>

#include "drivers/benchmark_support.hpp"
#include "kernels/attention_block.hpp"
#include "kernels/attention_materialised.hpp"
#include "kernels/merge.hpp"
#include "problem/attention_problem.hpp"

namespace ringscale::drivers {

namespace {

/// Tensors of one layer with as many key/value as query heads.
struct Layer {
  Owned4 query, key, value, output;
  Owned3 log_sum_exp;
  Owned1 packed;
  kernels::AttentionBlock block;

  Layer(std::int64_t tokens, std::int64_t heads, std::int64_t head_dim, bool causal)
      : query("query", 1, tokens, heads, head_dim), key("key", 1, tokens, heads, head_dim),
        value("value", 1, tokens, heads, head_dim), output("output", 1, tokens, heads, head_dim),
        log_sum_exp("log_sum_exp", 1, tokens, heads),
        packed("packed", kernels::packed_elements(1, tokens, heads, head_dim)) {
    fill_synthetic(query, problem::Tensor::query, 1);
    fill_synthetic(key, problem::Tensor::key, 1);
    fill_synthetic(value, problem::Tensor::value, 1);
    kernels::pack_key_value(ExecutionSpace(), key, value, 0, tokens, packed.data());
    block.query = query;
    block.packed_key_value = packed.data();
    block.key_tokens = tokens;
    block.kv_heads = heads;
    block.query_end = tokens;
    block.admission.causal = causal;
    block.scale = static_cast<float>(problem::softmax_scale(head_dim));
    block.output = output;
    block.log_sum_exp = log_sum_exp;
  }
};

void streamed(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim, bool causal) {
  const Layer layer(tokens, 1, head_dim, causal);
  const ExecutionSpace space;
  for (auto iteration : state) {
    kernels::attention_block(space, layer.block);
    space.fence();
  }
  set_counters(state, kernels::attention_block_work(layer.block), true);
}

void materialised(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim, bool causal) {
  const Layer layer(tokens, 1, head_dim, causal);
  const Owned1 scores("scores", kernels::materialised_score_elements(layer.block));
  const ExecutionSpace space;
  for (auto iteration : state) {
    kernels::attention_block_materialised(space, layer.block, scores.data());
    space.fence();
  }
  set_counters(state, kernels::attention_materialised_work(layer.block), true);
}

void merge(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim) {
  const Layer first(tokens, 8, head_dim, false);
  const Layer second(tokens, 8, head_dim, false);
  const ExecutionSpace space;
  for (auto iteration : state) {
    kernels::merge_partials(space, first.output, first.log_sum_exp, second.output, second.log_sum_exp);
    space.fence();
  }
  set_counters(state, kernels::merge_partials_work(1, tokens, 8, head_dim), false);
}

void pack(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim) {
  const Layer layer(tokens, 8, head_dim, false);
  const ExecutionSpace space;
  for (auto iteration : state) {
    kernels::pack_key_value(space, layer.key, layer.value, 0, tokens, layer.packed.data());
    space.fence();
  }
  set_counters(state, kernels::pack_key_value_work(1, tokens, 8, head_dim), false);
}

void fma_peak(benchmark::State &state) {
  double best = 0.0;
  for (auto iteration : state) {
    best = std::max(best, fma_peak_gflop_per_s());
  }
  state.counters["gflop_per_s"] = best;
}

} // namespace

void register_dense_benchmarks(const BenchmarkSizes &sizes) {
  benchmark::RegisterBenchmark("fma_peak", fma_peak)->Iterations(1);
  for (const std::int64_t head_dim : {64, 128}) {
    for (const std::int64_t tokens : sizes.tokens) {
      const std::string name = size_name(head_dim, tokens);
      for (const bool causal : {false, true}) {
        benchmark::RegisterBenchmark(("attention_streamed" + name + (causal ? "/causal" : "/none")).c_str(), streamed,
                                     tokens, head_dim, causal);
      }
      benchmark::RegisterBenchmark(("merge_partials" + name).c_str(), merge, tokens, head_dim);
      benchmark::RegisterBenchmark(("pack_key_value" + name).c_str(), pack, tokens, head_dim);
    }
    for (const std::int64_t tokens : sizes.materialised_tokens) {
      benchmark::RegisterBenchmark(("attention_materialised" + size_name(head_dim, tokens)).c_str(), materialised,
                                   tokens, head_dim, false);
    }
  }
}

} // namespace ringscale::drivers
