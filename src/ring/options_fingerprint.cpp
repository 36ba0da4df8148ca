// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kernels/attention_low_precision.hpp"
#include "kernels/packed_key_value.hpp"
#include "ring/checkpoint_format.hpp"
#include "ring/checkpointed_run.hpp"

namespace ringscale::ring {

namespace {

/// Names and values in one text that no two lists of options share.
class Description {
public:
  void add(std::string_view name, std::string_view word) { text_.append(name).append("=").append(word).append("\n"); }
  void add(std::string_view name, std::int64_t value) { add(name, std::string_view(std::to_string(value))); }
  void add_bits(std::string_view name, std::uint64_t bits) { add(name, std::string_view(std::to_string(bits))); }

  std::uint64_t checksum() const { return byte_checksum(std::as_bytes(std::span(text_))); }

private:
  std::string text_;
};

void add_layer(Description &description, const problem::AttentionProblem &attention) {
  description.add("batch", attention.batch);
  description.add("tokens", attention.tokens);
  description.add("query_heads", attention.query_heads);
  description.add("kv_heads", attention.kv_heads);
  description.add("head_dim", attention.head_dim);
  description.add("mask", problem::name(attention.mask));
  description.add("dtype", problem::name(attention.dtype));
}

void add_pattern(Description &description, const schedule::RingProblem &problem) {
  const problem::Pattern &pattern = problem.pattern;
  description.add("pattern", problem::name(pattern.kind));
  description.add("pattern_heads", problem.pattern_heads);
  description.add("first_pattern_head", problem.first_pattern_head);
  if (pattern.kind == problem::PatternKind::dilated) {
    for (const std::int64_t length : pattern.dilated.segment_lengths) {
      description.add("segment_length", length);
    }
    for (const std::int64_t rate : pattern.dilated.dilation_rates) {
      description.add("dilation_rate", rate);
    }
    description.add("dilation_convention", problem::name(pattern.dilated.convention));
  } else if (pattern.kind == problem::PatternKind::block_sparse) {
    description.add("block_sparse", problem::name(pattern.block_sparse.kind));
    description.add("block_tokens", pattern.block_sparse.block_tokens);
    description.add("window_tokens", pattern.block_sparse.window_tokens);
    description.add("stride_blocks", pattern.block_sparse.stride_blocks);
    description.add("kept_blocks", pattern.block_sparse.kept_blocks);
  }
}

} // namespace

std::uint64_t options_fingerprint(const RingOptions &options, int threads) {
  const schedule::RingProblem &problem = options.problem;
  const schedule::ProcessGrid grid = process_grid(options);
  Description description;
  add_layer(description, problem.attention);
  add_pattern(description, problem);
  description.add("placement", schedule::name(problem.placement));
  description.add("schedule", schedule::name(problem.schedule));
  description.add("inner_ring_size", problem.inner_ring_size);
  description.add("moving", schedule::name(problem.moving));
  description.add("pass", schedule::name(problem.pass));
  description.add("hops", schedule::name(problem.hops));
  description.add("message_layout", schedule::name(problem.layout));
  description.add("granule_tokens", problem.chunks.granule_tokens);
  for (const double sum : problem.chunks.weight_sums) {
    description.add_bits("weight_sum", std::bit_cast<std::uint64_t>(sum));
  }
  description.add("data_size", grid.data);
  description.add("model_size", grid.model);
  description.add("ring_size", grid.ring);
  description.add("sequence_size", grid.sequence);
  description.add("softmax", name(options.softmax));
  description.add("kernel", memory::name(options.kernel));
  description.add("key_tile_tokens", kernels::key_tile_tokens); // of the packed blocks
  if (problem.pass == schedule::Pass::backward) {
    description.add("threads", threads);
  }
  if (problem.attention.dtype == problem::DType::bfloat16) {
    description.add("bfloat16", kernels::has_native_bfloat16() ? "native" : "converted");
  }
  description.add_bits("seed", options.seed);
  description.add("origin_batch", options.origin.batch);
  description.add("origin_query_head", options.origin.query_head);
  description.add("origin_kv_head", options.origin.kv_head);
  return description.checksum();
}

} // namespace ringscale::ring
