// SPDX-License-Identifier: Apache-2.0
#include "memory/closed_form.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "memory/checked_product.hpp"
#include "problem/words.hpp"

namespace ringscale::memory {

using problem::AttentionProblem;
using problem::InvalidInput;
using problem::TokenSet;
using schedule::Placement;
using schedule::RingProblem;

namespace {

constexpr std::array<std::pair<std::string_view, KernelKind>, 2> kernel_words{
    {{"streamed", KernelKind::streamed}, {"materialised", KernelKind::materialised}}};

std::int64_t longest_span(const TokenSet &tokens) { return std::max(tokens.first.count, tokens.second.count); }

/// Runs and stripes of the first ranks are the long ones; of zigzag pairs, the last rank's two runs are both long
/// whenever any pair has two long ones. So one of these two ranks owns the largest block, span by span.
std::array<std::int64_t, 2> candidate_owners(const RingProblem &problem) { return {0, problem.ring_size - 1}; }

TokenSet keys_of(const RingProblem &problem, std::int64_t owner) {
  return key_tokens(problem.placement, problem.attention.tokens, problem.ring_size, owner);
}

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
  return checked_product({2, attention.batch, padded_tokens, attention.kv_heads, attention.head_dim,
                          problem::storage_bytes(attention.dtype)});
}

std::int64_t block_buffer_bytes(const RingProblem &problem, const KernelFootprint &footprint) {
  std::int64_t most = 0;
  for (const std::int64_t owner : candidate_owners(problem)) {
    most = std::max(most, packed_bytes(problem.attention, keys_of(problem, owner), footprint));
  }
  return block_header_bytes + most;
}

std::int64_t score_elements(const RingProblem &problem, std::int64_t rank) {
  const AttentionProblem &attention = problem.attention;
  std::int64_t most_keys = 0;
  for (const std::int64_t owner : candidate_owners(problem)) {
    most_keys = std::max(most_keys, longest_span(keys_of(problem, owner)));
  }
  const std::int64_t rows = longest_span(query_tokens(problem.placement, attention.tokens, problem.ring_size, rank));
  return checked_product({attention.batch, attention.query_heads, rows, most_keys});
}

MemoryByPurpose closed_form(const RingProblem &problem, std::int64_t rank, const KernelFootprint &footprint,
                            KernelKind kernel) {
  validate(problem);
  const AttentionProblem &attention = problem.attention;
  const std::int64_t element = problem::storage_bytes(attention.dtype);
  const std::int64_t rows = checked_product(
      {attention.batch, query_tokens(problem.placement, attention.tokens, problem.ring_size, rank).count(),
       attention.query_heads});
  MemoryByPurpose memory;
  memory[Purpose::query] = checked_product({rows, attention.head_dim, element});
  memory[Purpose::output] = memory[Purpose::query];
  // The log-sum-exp stays in single precision whatever the tensors are stored in.
  memory[Purpose::partial] = checked_product({rows, sizeof(float)});
  memory[Purpose::key_value] = block_buffer_bytes(problem, footprint);
  memory[Purpose::communication] = hop_count(problem) > 0 ? memory[Purpose::key_value] : 0;
  if (kernel == KernelKind::materialised) {
    memory[Purpose::scores] = checked_product({score_elements(problem, rank), sizeof(float)});
  }
  memory[Purpose::workspace] = footprint.workspace_bytes;
  return memory;
}

std::int64_t rank_with_most_memory(const RingProblem &problem) {
  const auto most_of = [&](std::int64_t rank) {
    return query_tokens(problem.placement, problem.attention.tokens, problem.ring_size, rank).count();
  };
  return most_of(problem.ring_size - 1) > most_of(0) ? problem.ring_size - 1 : 0;
}

} // namespace ringscale::memory
