// SPDX-License-Identifier: Apache-2.0
#include "memory/closed_form.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "memory/checked_product.hpp"
#include "problem/words.hpp"
#include "schedule/ring_plan.hpp"

namespace ringscale::memory {

using problem::AttentionProblem;
using problem::InvalidInput;
using problem::TokenSet;
using schedule::RingProblem;

namespace {

constexpr std::array<std::pair<std::string_view, KernelKind>, 2> kernel_words{
    {{"streamed", KernelKind::streamed}, {"materialised", KernelKind::materialised}}};

std::int64_t longest_span(const TokenSet &tokens) { return std::max(tokens.first.count, tokens.second.count); }

std::vector<std::int64_t> candidate_owners(const RingProblem &problem) {
  return schedule::ranks_with_most_tokens(problem.ring_size, problem.chunks);
}

/// Bytes of `tokens` rows of `heads` heads, as stored.
std::int64_t row_bytes(const AttentionProblem &attention, std::int64_t tokens, std::int64_t heads) {
  return checked_product({attention.batch, tokens, heads, attention.head_dim, problem::storage_bytes(attention.dtype)});
}

/// Keys and values as they are.
std::int64_t plain_bytes(const RingProblem &problem, std::int64_t owner) {
  return checked_product(
      {2, row_bytes(problem.attention, keys_of(problem, owner).count(), problem.attention.kv_heads)});
}

/// Bytes of the single-precision number that each row of each query head has, log-sum-exp or row dot.
std::int64_t row_number_bytes(const RingProblem &problem, std::int64_t owner) {
  return checked_product(
      {problem.attention.batch, queries_of(problem, owner).count(), problem.attention.query_heads, sizeof(float)});
}

std::int64_t query_bytes(const RingProblem &problem, std::int64_t owner) {
  return row_bytes(problem.attention, queries_of(problem, owner).count(), problem.attention.query_heads);
}

/// A forward output is a partial until the last block is met, and so stays in single precision.
std::int64_t output_bytes(const RingProblem &problem, std::int64_t owner) {
  const AttentionProblem &attention = problem.attention;
  return checked_product(
      {attention.batch, queries_of(problem, owner).count(), attention.query_heads, attention.head_dim, sizeof(float)});
}

std::int64_t key_value_bytes(const RingProblem &problem, std::int64_t owner, const KernelFootprint &footprint) {
  const bool plain = problem.pass == schedule::Pass::backward || problem.pattern.kind == problem::PatternKind::dilated;
  return plain ? plain_bytes(problem, owner) : packed_bytes(problem.attention, keys_of(problem, owner), footprint);
}

bool queries_move(const RingProblem &problem) { return problem.moving == schedule::Moving::query; }

} // namespace

std::string_view name(KernelKind kernel) { return problem::word_of(kernel_words, kernel); }
KernelKind parse_kernel(std::string_view word) { return problem::parse_word("kernel", kernel_words, word); }

std::int64_t packed_bytes(const AttentionProblem &attention, const TokenSet &tokens, const KernelFootprint &footprint) {
  const std::int64_t tile = footprint.key_tile_tokens;
  if (tile < 1) {
    throw InvalidInput("key_tile_tokens is " + std::to_string(tile) + "; it must be at least 1");
  }
  std::int64_t padded_tokens = 0;
  for (int index = 0; index < tokens.span_count(); ++index) {
    padded_tokens += (tokens.span(index).count + tile - 1) / tile * tile;
  }
  // Two-byte keys lie in pairs of dimensions: an odd head_dim ends with a zero.
  const std::int64_t element = problem::storage_bytes(attention.dtype);
  const std::int64_t key_dim = element == 2 ? (attention.head_dim + 1) / 2 * 2 : attention.head_dim;
  return checked_product({attention.batch, padded_tokens, attention.kv_heads, key_dim + attention.head_dim, element});
}

std::int64_t block_payload_bytes(const RingProblem &problem, std::int64_t owner, const KernelFootprint &footprint) {
  if (!queries_move(problem)) {
    return key_value_bytes(problem, owner, footprint);
  }
  const std::int64_t queries = query_bytes(problem, owner);
  return problem.pass == schedule::Pass::forward ? queries : 2 * queries + 2 * row_number_bytes(problem, owner);
}

std::int64_t result_payload_bytes(const RingProblem &problem, std::int64_t owner) {
  if (!makes_results(problem)) {
    return 0;
  }
  if (problem.pass == schedule::Pass::forward) {
    return output_bytes(problem, owner) + row_number_bytes(problem, owner);
  }
  return queries_move(problem) ? query_bytes(problem, owner) : plain_bytes(problem, owner);
}

std::int64_t result_buffer_bytes(const RingProblem &problem) {
  std::int64_t most = 0;
  for (const std::int64_t owner : candidate_owners(problem)) {
    most = std::max(most, result_payload_bytes(problem, owner));
  }
  return block_header_bytes + most;
}

std::int64_t copy_buffer_count(const RingProblem &problem) {
  const bool copies = problem.layout == schedule::MessageLayout::copied && hop_count(problem) > 0;
  return copies ? channel_count(problem) : 0;
}

std::int64_t block_buffer_bytes(const RingProblem &problem, const KernelFootprint &footprint) {
  std::int64_t most = 0;
  for (const std::int64_t owner : candidate_owners(problem)) {
    most = std::max(most, block_payload_bytes(problem, owner, footprint));
  }
  return block_header_bytes + most;
}

std::int64_t score_elements(const RingProblem &problem, std::int64_t rank) {
  const AttentionProblem &attention = problem.attention;
  std::int64_t most_keys = 0;
  for (const std::int64_t owner : candidate_owners(problem)) {
    most_keys = std::max(most_keys, longest_span(keys_of(problem, owner)));
  }
  const std::int64_t rows = longest_span(queries_of(problem, rank));
  return checked_product({attention.batch, attention.query_heads, rows, most_keys});
}

MemoryByPurpose closed_form(const RingProblem &problem, std::int64_t rank, const KernelFootprint &footprint,
                            KernelKind kernel) {
  validate(problem);
  const schedule::BufferCounts buffers = buffer_counts(problem, rank);
  const std::int64_t block = block_buffer_bytes(problem, footprint);
  const bool moving = queries_move(problem);
  const bool backward = problem.pass == schedule::Pass::backward;
  const std::int64_t home = makes_results(problem) ? result_buffer_bytes(problem) : 0;
  MemoryByPurpose memory;
  // What moves stands in block buffer 0, what stays in a buffer of its own; partials stay in single precision whatever
  // the tensors are stored in.
  memory[Purpose::query] = moving ? block : query_bytes(problem, rank);
  memory[Purpose::key_value] = moving ? key_value_bytes(problem, rank, footprint) : block;
  if (backward) {
    // The output and log-sum-exps of the forward pass; the row dots are made from them. Gradients: of the output, of
    // what stays, and at home of what moved.
    memory[Purpose::output] = query_bytes(problem, rank);
    memory[Purpose::partial] = (moving ? 1 : 2) * row_number_bytes(problem, rank);
    memory[Purpose::gradient] = home + (moving ? plain_bytes(problem, rank) : 2 * query_bytes(problem, rank));
  } else {
    memory[Purpose::output] = moving ? home : output_bytes(problem, rank);
    memory[Purpose::partial] = moving ? 0 : row_number_bytes(problem, rank);
  }
  memory[Purpose::communication] = checked_product({buffers.block_buffers - 1 + copy_buffer_count(problem), block}) +
                                   checked_product({buffers.result_buffers, home});
  if (kernel == KernelKind::materialised) {
    memory[Purpose::scores] = checked_product({score_elements(problem, rank), sizeof(float)});
  }
  // Gradients of other ranks' keys that replicated queries make and nobody needs.
  const bool discards = makes_results(problem) && !has_results(problem) && step_count(problem) > 1;
  memory[Purpose::workspace] = footprint.workspace_bytes + (discards ? home : 0);
  return memory;
}

std::int64_t rank_with_most_memory(const RingProblem &problem) {
  std::int64_t most = 0;
  for (const std::int64_t rank : candidate_owners(problem)) {
    most = queries_of(problem, rank).count() > queries_of(problem, most).count() ? rank : most;
  }
  return most;
}

} // namespace ringscale::memory
