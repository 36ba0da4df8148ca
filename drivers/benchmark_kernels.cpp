// SPDX-License-Identifier: Apache-2.0
// Google Benchmark program of the kernels. Counters: gflop_per_s (useful work), share_of_peak (of the multiply-add
// peak measured in this process), gbyte_per_s (declared traffic). --smoke runs every kernel once on a small size.
#include <Kokkos_Core.hpp>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/attention_block.hpp"
#include "kernels/attention_materialised.hpp"
#include "kernels/fma_peak.hpp"
#include "kernels/merge.hpp"
#include "kernels/work.hpp"
#include "problem/attention_problem.hpp"
#include "problem/synthetic.hpp"

namespace {

namespace kernels = ringscale::kernels;
namespace problem = ringscale::problem;
using kernels::ExecutionSpace;
using kernels::MemorySpace;
using Owned4 = Kokkos::View<float ****, Kokkos::LayoutRight, MemorySpace>;
using Owned3 = Kokkos::View<float ***, Kokkos::LayoutRight, MemorySpace>;
using Owned1 = Kokkos::View<float *, MemorySpace>;

constexpr double peak_measurement_s = 0.05;

/// Best peak seen so far; every benchmark measures once more, so that all share one clock history.
double fma_peak_gflop_per_s() {
  static double best = 0.0;
  best = std::max(best, kernels::measure_fma_peak_gflop_per_s(ExecutionSpace(), peak_measurement_s));
  return best;
}

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
    problem::AttentionProblem shape;
    shape.tokens = tokens;
    shape.query_heads = shape.kv_heads = heads;
    shape.head_dim = head_dim;
    problem::TokenSet span;
    span.first = {0, tokens, 1};
    const auto fill = [&](const Owned4 &tensor, problem::Tensor kind) {
      const auto host = Kokkos::create_mirror_view(tensor);
      problem::fill_synthetic(host.data(), 1, kind, shape, span);
      Kokkos::deep_copy(tensor, host);
    };
    fill(query, problem::Tensor::query);
    fill(key, problem::Tensor::key);
    fill(value, problem::Tensor::value);
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

void set_counters(benchmark::State &state, const kernels::KernelWork &work, bool compare_with_peak) {
  const auto rate = benchmark::Counter::kIsIterationInvariantRate;
  state.counters["gflop_per_s"] = benchmark::Counter(work.flop * 1e-9, rate);
  state.counters["gbyte_per_s"] = benchmark::Counter((work.read_bytes + work.written_bytes) * 1e-9, rate);
  if (compare_with_peak) {
    state.counters["share_of_peak"] = benchmark::Counter(work.flop * 1e-9 / fma_peak_gflop_per_s(), rate);
  }
}

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

void register_all(const std::vector<std::int64_t> &token_counts, const std::vector<std::int64_t> &materialised_counts) {
  benchmark::RegisterBenchmark("fma_peak", fma_peak)->Iterations(1);
  for (const std::int64_t head_dim : {64, 128}) {
    const std::string dim = "/head_dim:" + std::to_string(head_dim);
    for (const std::int64_t tokens : token_counts) {
      const std::string name = dim + "/tokens:" + std::to_string(tokens);
      for (const bool causal : {false, true}) {
        benchmark::RegisterBenchmark(("attention_streamed" + name + (causal ? "/causal" : "/none")).c_str(), streamed,
                                     tokens, head_dim, causal);
      }
      benchmark::RegisterBenchmark(("merge_partials" + name).c_str(), merge, tokens, head_dim);
      benchmark::RegisterBenchmark(("pack_key_value" + name).c_str(), pack, tokens, head_dim);
    }
    for (const std::int64_t tokens : materialised_counts) {
      benchmark::RegisterBenchmark(("attention_materialised" + dim + "/tokens:" + std::to_string(tokens)).c_str(),
                                   materialised, tokens, head_dim, false);
    }
  }
}

} // namespace

int main(int argc, char **argv) {
  std::vector<char *> arguments(argv, argv + argc);
  const auto is_smoke = [](const char *argument) { return std::string_view(argument) == "--smoke"; };
  const bool smoke = std::any_of(arguments.begin() + 1, arguments.end(), is_smoke);
  arguments.erase(std::remove_if(arguments.begin() + 1, arguments.end(), is_smoke), arguments.end());
  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  const Kokkos::ScopeGuard kokkos(Kokkos::InitializationSettings().set_disable_warnings(true));
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) {
    return 2;
  }
  if (smoke) {
    register_all({130}, {130});
  } else {
    register_all({512, 4096, 8192, 32768}, {512, 4096});
  }
  benchmark::AddCustomContext("kokkos_execution_space", ExecutionSpace::name());
  benchmark::AddCustomContext("threads", std::to_string(ExecutionSpace().concurrency()));
  const std::size_t run = benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return run > 0 ? 0 : 1;
}
