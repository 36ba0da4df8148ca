// SPDX-License-Identifier: Apache-2.0
// The two sides of each claim about dilated attention: strided runs against index lists (cached, computed), zeros
// against empty and filled, in place against copied, head ranges against one head at a time. Each entry differs from
// dilated_variant/strided in one thing (dilated_variant/computed from dilated_variant/cached).
#include <algorithm>
#include <string>

#include "drivers/benchmark_support.hpp"
#include "kernels/dilated_variants.hpp"
#include "problem/attention_problem.hpp"

namespace ringscale::drivers {

namespace {

constexpr std::int64_t heads = 12; // the documents' example has twelve

void variant(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim,
             const kernels::DilatedVariant &variant_of) {
  const Owned4 query("query", 1, tokens, heads, head_dim);
  const Owned4 key("key", 1, tokens, heads, head_dim);
  const Owned4 value("value", 1, tokens, heads, head_dim);
  fill_synthetic(query, problem::Tensor::query, 1);
  fill_synthetic(key, problem::Tensor::key, 1);
  fill_synthetic(value, problem::Tensor::value, 1);
  const auto part = [&](std::int64_t divisor) { return std::max<std::int64_t>(1, tokens / divisor); };
  kernels::DilatedAttention attention;
  attention.query = query;
  attention.key = key;
  attention.value = value;
  attention.dilation = {{part(4), part(2), part(1)}, {1, 2, 4}, kernels::DilationConvention::split};
  attention.scale = static_cast<float>(problem::softmax_scale(head_dim));
  const Owned4 output("output", 1, tokens, heads, head_dim);
  const Owned3 log_sum_exp("log_sum_exp", 1, tokens, heads);
  attention.output = output;
  attention.log_sum_exp = log_sum_exp;
  const Owned1 workspace("workspace", kernels::dilated_workspace_elements(attention));
  const ExecutionSpace space;
  kernels::DilatedIndexCache cache;
  kernels::DilatedVariantResult result;
  for (auto iteration : state) {
    result = {}; // memory is given back before it is asked for again, as a training loop does
    result = kernels::dilated_attention_variant(space, attention, variant_of, workspace.data(), cache);
  }
  set_counters(state, kernels::dilated_attention_work(attention), true);
  state.counters["output_bytes"] = static_cast<double>(result.output_bytes);
  state.counters["index_bytes"] = static_cast<double>(result.index_bytes);
  state.counters["gathered_bytes"] = static_cast<double>(result.gathered_bytes);
  state.counters["temporary_bytes"] = static_cast<double>(result.temporary_bytes);
}

} // namespace

void register_dilated_variant_benchmarks(const BenchmarkSizes &sizes) {
  using namespace kernels;
  const std::pair<const char *, DilatedVariant> variants[] = {
      {"strided", {DilatedIndices::strided, OutputStart::zeros, OutputJoin::in_place, HeadLoop::ranges}},
      {"cached", {DilatedIndices::cached, OutputStart::zeros, OutputJoin::in_place, HeadLoop::ranges}},
      {"computed", {DilatedIndices::computed, OutputStart::zeros, OutputJoin::in_place, HeadLoop::ranges}},
      {"empty_then_fill",
       {DilatedIndices::strided, OutputStart::empty_then_fill, OutputJoin::in_place, HeadLoop::ranges}},
      {"copied", {DilatedIndices::strided, OutputStart::zeros, OutputJoin::copied, HeadLoop::ranges}},
      {"one_by_one", {DilatedIndices::strided, OutputStart::zeros, OutputJoin::in_place, HeadLoop::one_by_one}}};
  for (const std::int64_t tokens : sizes.tokens) {
    if (tokens > 4096) {
      continue;
    }
    for (const auto &[name, variant_of] : variants) {
      benchmark::RegisterBenchmark(("dilated_variant/" + std::string(name) + size_name(64, tokens)).c_str(), variant,
                                   tokens, 64, variant_of);
    }
  }
}

} // namespace ringscale::drivers
