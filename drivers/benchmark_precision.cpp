// SPDX-License-Identifier: Apache-2.0
// Attention by precision, side by side: float32, bfloat16 with native products and with converted ones, float16, and
// what rounding and packing cost. Data are the same; bytes are real ones, two for every bfloat16 or float16 element.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

#include "drivers/benchmark_support.hpp"
#include "kernels/attention_low_precision.hpp"
#include "kernels/rounding.hpp"
#include "kernels/work.hpp"
#include "problem/attention_problem.hpp"

namespace ringscale::drivers {

namespace {

using kernels::LowPrecisionArithmetic;
using kernels::NumberFormat;
using Patterns4 = Kokkos::View<std::uint16_t ****, Kokkos::LayoutRight, MemorySpace>;
using Patterns1 = Kokkos::View<std::uint16_t *, MemorySpace>;

/// One head with as many keys as queries, in float32 and in two bytes an element.
struct PrecisionLayer {
  Owned4 query, key, value, output;
  Owned3 log_sum_exp;

  PrecisionLayer(std::int64_t tokens, std::int64_t head_dim)
      : query("query", 1, tokens, 1, head_dim), key("key", 1, tokens, 1, head_dim),
        value("value", 1, tokens, 1, head_dim), output("output", 1, tokens, 1, head_dim),
        log_sum_exp("log_sum_exp", 1, tokens, 1) {
    fill_synthetic(query, problem::Tensor::query, 1);
    fill_synthetic(key, problem::Tensor::key, 1);
    fill_synthetic(value, problem::Tensor::value, 1);
  }
};

void float32(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim, bool causal) {
  const PrecisionLayer layer(tokens, head_dim);
  const Owned1 packed("packed", kernels::packed_elements(1, tokens, 1, head_dim));
  const ExecutionSpace space;
  kernels::pack_key_value(space, layer.key, layer.value, 0, tokens, packed.data());
  kernels::AttentionBlock block;
  block.query = layer.query;
  block.packed_key_value = packed.data();
  block.key_tokens = block.query_end = tokens;
  block.kv_heads = 1;
  block.admission.causal = causal;
  block.scale = static_cast<float>(problem::softmax_scale(head_dim));
  block.output = layer.output;
  block.log_sum_exp = layer.log_sum_exp;
  for (auto iteration : state) {
    kernels::attention_block(space, block);
    space.fence();
  }
  set_counters(state, kernels::attention_block_work(block), true);
}

void low_precision(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim, bool causal,
                   NumberFormat format, LowPrecisionArithmetic arithmetic) {
  const PrecisionLayer layer(tokens, head_dim);
  const Patterns4 query("query patterns", 1, tokens, 1, head_dim);
  const Patterns1 packed("packed", kernels::packed_low_precision_elements(1, tokens, 1, head_dim));
  const ExecutionSpace space;
  kernels::pack_elements(space, layer.query.data(), tokens * head_dim, format, query.data());
  kernels::pack_key_value(space, layer.key, layer.value, 0, tokens, format, packed.data());
  kernels::LowPrecisionBlock block;
  block.format = format;
  block.arithmetic = arithmetic;
  block.query = query;
  block.packed_key_value = packed.data();
  block.key_tokens = block.query_end = tokens;
  block.kv_heads = 1;
  block.admission.causal = causal;
  block.scale = static_cast<float>(problem::softmax_scale(head_dim));
  block.output = layer.output;
  block.log_sum_exp = layer.log_sum_exp;
  for (auto iteration : state) {
    kernels::attention_block_low_precision(space, block);
    space.fence();
  }
  set_counters(state, kernels::attention_low_precision_work(block), true);
}

void pack_patterns(benchmark::State &state, NumberFormat format) {
  constexpr std::int64_t count = 1 << 16;
  const PrecisionLayer layer(count / 64, 64);
  const Patterns1 packed("packed", count);
  const ExecutionSpace space;
  for (auto iteration : state) {
    kernels::pack_elements(space, layer.query.data(), count, format, packed.data());
    space.fence();
  }
  set_counters(state, kernels::KernelWork{0.0, 4.0 * count, 2.0 * count}, false);
}

} // namespace

void register_precision_benchmarks(const BenchmarkSizes &sizes) {
  using benchmark::RegisterBenchmark;
  for (const std::int64_t head_dim : {64, 128}) {
    for (const std::int64_t tokens : sizes.tokens) {
      for (const bool causal : {false, true}) {
        const std::string size = size_name(head_dim, tokens) + (causal ? "/causal" : "");
        const auto add = [&](const std::string &name, NumberFormat format, LowPrecisionArithmetic arithmetic) {
          RegisterBenchmark(("precision/" + name + size).c_str(), low_precision, tokens, head_dim, causal, format,
                            arithmetic);
        };
        RegisterBenchmark(("precision/float32" + size).c_str(), float32, tokens, head_dim, causal);
        if (kernels::has_native_bfloat16()) {
          add("bfloat16_native", NumberFormat::bfloat16, LowPrecisionArithmetic::native);
        }
        add("bfloat16_converted", NumberFormat::bfloat16, LowPrecisionArithmetic::converted);
        add("float16", NumberFormat::float16, LowPrecisionArithmetic::automatic);
      }
    }
  }
  RegisterBenchmark("precision/pack_bfloat16", pack_patterns, NumberFormat::bfloat16);
  RegisterBenchmark("precision/pack_float16", pack_patterns, NumberFormat::float16);
}

} // namespace ringscale::drivers
