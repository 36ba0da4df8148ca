// SPDX-License-Identifier: Apache-2.0
// Benchmarks of dilated and block-sparse attention, with dense attention of the same tensors beside them. All include
// the packing of keys and values; useful FLOPs count admitted pairs only.
#include <algorithm>
#include <string>
#include <vector>

#include "drivers/benchmark_support.hpp"
#include "kernels/adaptive_blocks.hpp"
#include "kernels/attention_block.hpp"
#include "kernels/block_sparse_attention.hpp"
#include "kernels/dilated_attention.hpp"
#include "problem/attention_problem.hpp"

namespace ringscale::drivers {

namespace {

constexpr std::int64_t heads = 3; // one for each group of the split convention

/// Tensors of one layer with as many key/value as query heads.
struct PatternLayer {
  Owned4 query, key, value, output;
  Owned3 log_sum_exp;
  float scale;

  PatternLayer(std::int64_t tokens, std::int64_t head_dim)
      : query("query", 1, tokens, heads, head_dim), key("key", 1, tokens, heads, head_dim),
        value("value", 1, tokens, heads, head_dim), output("output", 1, tokens, heads, head_dim),
        log_sum_exp("log_sum_exp", 1, tokens, heads), scale(static_cast<float>(problem::softmax_scale(head_dim))) {
    fill_synthetic(query, problem::Tensor::query, 1);
    fill_synthetic(key, problem::Tensor::key, 1);
    fill_synthetic(value, problem::Tensor::value, 1);
  }

  kernels::AttentionBlock block(const Owned1 &packed, bool causal) const {
    kernels::AttentionBlock block;
    block.query = query;
    block.packed_key_value = packed.data();
    block.key_tokens = key.extent_int(1);
    block.kv_heads = heads;
    block.query_end = query.extent_int(1);
    block.admission.causal = causal;
    block.scale = scale;
    block.output = output;
    block.log_sum_exp = log_sum_exp;
    return block;
  }
  Owned1 room_for_packed() const {
    return Owned1("packed", kernels::packed_elements(1, key.extent_int(1), heads, key.extent_int(3)));
  }
};

void dense(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim, bool causal) {
  const PatternLayer layer(tokens, head_dim);
  const Owned1 packed = layer.room_for_packed();
  const kernels::AttentionBlock block = layer.block(packed, causal);
  const ExecutionSpace space;
  for (auto iteration : state) {
    kernels::pack_key_value(space, layer.key, layer.value, 0, tokens, packed.data());
    kernels::attention_block(space, block);
    space.fence();
  }
  set_counters(state, kernels::attention_block_work(block), true);
}

/// The documents' segments of 2048, 4096 and 8192 tokens at rates 1, 2 and 4, in proportion to the sequence.
kernels::Dilation documents_dilation(std::int64_t tokens, kernels::DilationConvention convention) {
  const auto part = [&](std::int64_t divisor) { return std::max<std::int64_t>(1, tokens / divisor); };
  return {{part(4), part(2), part(1)}, {1, 2, 4}, convention};
}

void dilated(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim, bool causal,
             kernels::DilationConvention convention) {
  const PatternLayer layer(tokens, head_dim);
  kernels::DilatedAttention attention;
  attention.query = layer.query;
  attention.key = layer.key;
  attention.value = layer.value;
  attention.dilation = documents_dilation(tokens, convention);
  attention.causal = causal;
  attention.scale = layer.scale;
  attention.output = layer.output;
  attention.log_sum_exp = layer.log_sum_exp;
  const Owned1 workspace("workspace", kernels::dilated_workspace_elements(attention));
  const ExecutionSpace space;
  for (auto iteration : state) {
    kernels::dilated_attention(space, attention, workspace.data());
    space.fence();
  }
  set_counters(state, kernels::dilated_attention_work(attention), true);
}

void block_sparse(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim, bool causal,
                  std::int64_t block_tokens, const kernels::BlockSparsity &sparsity) {
  const PatternLayer layer(tokens, head_dim);
  const Owned1 packed = layer.room_for_packed();
  const kernels::AttentionBlock block = layer.block(packed, causal);
  kernels::BlockMaskShape shape;
  shape.block_tokens = block_tokens;
  shape.query_tokens = shape.key_tokens = tokens;
  shape.causal = causal;
  const kernels::BlockMask mask(shape, sparsity);
  const ExecutionSpace space;
  for (auto iteration : state) {
    kernels::pack_key_value(space, layer.key, layer.value, 0, tokens, packed.data());
    kernels::block_sparse_attention(space, block, mask);
    space.fence();
  }
  set_counters(state, kernels::block_sparse_attention_work(block, mask), true);
  state.counters["density"] = mask.density();
}

/// Scoring and choosing the blocks counts too.
void adaptive(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim, std::int64_t block_tokens,
              std::int64_t kept_blocks) {
  const PatternLayer layer(tokens, head_dim);
  const Owned1 packed = layer.room_for_packed();
  const kernels::AttentionBlock block = layer.block(packed, false);
  kernels::BlockMaskShape shape;
  shape.block_tokens = block_tokens;
  shape.query_tokens = shape.key_tokens = tokens;
  const ExecutionSpace space;
  kernels::KernelWork work;
  double density = 0.0;
  for (auto iteration : state) {
    kernels::pack_key_value(space, layer.key, layer.value, 0, tokens, packed.data());
    const kernels::BlockScores scores =
        kernels::pooled_block_scores(space, layer.query, layer.key, block_tokens, layer.scale);
    const kernels::BlockMask mask = kernels::adaptive_block_mask(shape, scores, kept_blocks);
    kernels::block_sparse_attention(space, block, mask);
    space.fence();
    work = kernels::block_sparse_attention_work(block, mask);
    density = mask.density();
  }
  set_counters(state, work, true);
  state.counters["density"] = density;
}

} // namespace

void register_pattern_benchmarks(const BenchmarkSizes &sizes) {
  using kernels::BlockKind;
  using kernels::DilationConvention;
  for (const std::int64_t tokens : sizes.tokens) {
    if (tokens > 8192) {
      continue;
    }
    for (const std::int64_t head_dim : {64, 128}) {
      const std::string size = size_name(head_dim, tokens);
      for (const bool causal : {false, true}) {
        const std::string name = size + (causal ? "/causal" : "/none");
        benchmark::RegisterBenchmark(("pattern_dense" + name).c_str(), dense, tokens, head_dim, causal);
        benchmark::RegisterBenchmark(("dilated/split" + name).c_str(), dilated, tokens, head_dim, causal,
                                     DilationConvention::split);
        benchmark::RegisterBenchmark(("dilated/longnet" + name).c_str(), dilated, tokens, head_dim, causal,
                                     DilationConvention::longnet);
        for (const std::int64_t block : {64, 128}) {
          const std::string blocks = "/block:" + std::to_string(block) + name;
          // A window of 1024 tokens: 512 to either side.
          const kernels::BlockSparsity local{BlockKind::local_window, 512, 1};
          const kernels::BlockSparsity strided{BlockKind::dilated, 2048, 4};
          const kernels::BlockSparsity levels{BlockKind::hierarchical, 256, 8};
          benchmark::RegisterBenchmark(("block_sparse/local_window" + blocks).c_str(), block_sparse, tokens, head_dim,
                                       causal, block, local);
          benchmark::RegisterBenchmark(("block_sparse/dilated" + blocks).c_str(), block_sparse, tokens, head_dim,
                                       causal, block, strided);
          benchmark::RegisterBenchmark(("block_sparse/hierarchical" + blocks).c_str(), block_sparse, tokens, head_dim,
                                       causal, block, levels);
          if (!causal) {
            benchmark::RegisterBenchmark(("block_sparse/adaptive" + blocks).c_str(), adaptive, tokens, head_dim, block,
                                         std::max<std::int64_t>(1, tokens / block / 8));
          }
        }
      }
    }
  }
}

} // namespace ringscale::drivers
