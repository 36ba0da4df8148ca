// SPDX-License-Identifier: Apache-2.0
// A whole multihead layer and its projections: one fused product for query, key and value beside three.
#include <cmath>
#include <string>
#include <vector>

#include "drivers/benchmark_support.hpp"
#include "kernels/initial_weights.hpp"
#include "kernels/multihead.hpp"

namespace ringscale::drivers {

namespace {

constexpr std::int64_t layers_of_a_stack = 12;

/// A self-attention layer with MAGNETO's norms and initial weights.
struct SelfAttention {
  Owned4 tokens; ///< [1, tokens, 1, embed_dim]
  Owned1 input_weights, output_weights, output;
  kernels::MultiheadLayer layer;

  SelfAttention(std::int64_t token_count, std::int64_t heads, std::int64_t head_dim)
      : tokens("tokens", 1, token_count, 1, heads * head_dim),
        input_weights("input_weights", 3 * heads * head_dim * heads * head_dim),
        output_weights("output_weights", heads * head_dim * heads * head_dim),
        output("output", token_count * heads * head_dim) {
    fill_synthetic(tokens, problem::Tensor::query, 1);
    const auto host_input = Kokkos::create_mirror_view(input_weights);
    const auto host_output = Kokkos::create_mirror_view(output_weights);
    kernels::initialise_multihead(host_input.data(), host_output.data(), heads * head_dim, heads, heads, head_dim,
                                  kernels::magneto_gain_single_stack(layers_of_a_stack), 1);
    Kokkos::deep_copy(input_weights, host_input);
    Kokkos::deep_copy(output_weights, host_output);
    layer.embed_dim = heads * head_dim;
    layer.query_heads = layer.kv_heads = heads;
    layer.head_dim = head_dim;
    layer.input_weights = input_weights.data();
    layer.output_weights = output_weights.data();
  }

  kernels::MultiheadUse run(const kernels::AttentionCore &core, kernels::ProjectionPath path) const {
    const kernels::ConstTensor3 input(tokens.data(), 1, tokens.extent(1), tokens.extent(3));
    return kernels::multihead_attention(ExecutionSpace(), layer, input, input, input, core,
                                        {output.data(), 1, tokens.extent(1), tokens.extent(3)}, path);
  }
};

void multihead(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim, kernels::ProjectionPath path,
               bool attend) {
  const SelfAttention attention(tokens, 512 / head_dim, head_dim);
  // Without attention inside, what remains are the projections and norms.
  const kernels::AttentionCore core = attend ? kernels::dense_attention_core(false)
                                             : [](const ExecutionSpace &, kernels::ConstTensor4, kernels::ConstTensor4,
                                                  kernels::ConstTensor4, kernels::Tensor4) {};
  kernels::MultiheadUse use;
  for (auto iteration : state) {
    use = attention.run(core, path);
  }
  kernels::KernelWork work = kernels::multihead_work(attention.layer, 1, tokens, tokens, true);
  work.flop += attend ? 4.0 * static_cast<double>(tokens * tokens * 512) : 0.0;
  set_counters(state, work, true);
  state.counters["products"] = static_cast<double>(use.projections.products);
  state.counters["allocations"] = static_cast<double>(use.allocations);
  state.counters["allocated_bytes"] = static_cast<double>(use.allocated_bytes);
}

} // namespace

void register_multihead_benchmarks(const BenchmarkSizes &sizes) {
  for (const std::int64_t head_dim : {64, 128}) {
    for (const std::int64_t tokens : sizes.materialised_tokens) {
      for (const auto &[word, path] : {std::pair{"/fused", kernels::ProjectionPath::fused},
                                       std::pair{"/separate", kernels::ProjectionPath::separate}}) {
        const std::string name = size_name(head_dim, tokens) + word;
        benchmark::RegisterBenchmark(("multihead_layer" + name).c_str(), multihead, tokens, head_dim, path, true);
        benchmark::RegisterBenchmark(("multihead_projections" + name).c_str(), multihead, tokens, head_dim, path,
                                     false);
      }
    }
  }
}

} // namespace ringscale::drivers
