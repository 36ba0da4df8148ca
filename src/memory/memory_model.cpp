// SPDX-License-Identifier: Apache-2.0
#include "memory/memory_model.hpp"

#include <utility>

#include "memory/checked_product.hpp"
#include "problem/words.hpp"

namespace ringscale::memory {

using schedule::Placement;
using schedule::RingProblem;

namespace {

constexpr std::array<std::pair<std::string_view, MemoryModel>, all_memory_models.size()> model_words{
    {{"ring_sharded", MemoryModel::ring_sharded},
     {"ring_sharded_materialised", MemoryModel::ring_sharded_materialised},
     {"ring_replicated_queries", MemoryModel::ring_replicated_queries},
     {"ring_replicated_queries_materialised", MemoryModel::ring_replicated_queries_materialised},
     {"ideal_sharded", MemoryModel::ideal_sharded},
     {"divided_key_value_materialised", MemoryModel::divided_key_value_materialised},
     {"serial_chunk_loop", MemoryModel::serial_chunk_loop},
     {"block_diagonal_chunk_loop", MemoryModel::block_diagonal_chunk_loop},
     {"single_device_materialised", MemoryModel::single_device_materialised}}};

MemoryByPurpose executor_memory(RingProblem problem, bool replicated, const KernelFootprint &footprint,
                                KernelKind kernel) {
  if (replicated) {
    problem.placement = Placement::replicated_queries;
  } else if (problem.placement == Placement::replicated_queries) {
    problem.placement = Placement::contiguous;
  }
  return closed_form(problem, rank_with_most_memory(problem), footprint, kernel);
}

/// Whole tensors of `query_tokens` queries and `key_tokens` keys and values, and the scores of rows x columns.
MemoryByPurpose plain_tensors(const problem::AttentionProblem &attention, std::int64_t query_tokens,
                              std::int64_t key_tokens, std::int64_t score_rows, std::int64_t score_columns) {
  const std::int64_t element = problem::storage_bytes(attention.dtype);
  MemoryByPurpose memory;
  memory[Purpose::query] =
      checked_product({attention.batch, query_tokens, attention.query_heads, attention.head_dim, element});
  memory[Purpose::key_value] =
      checked_product({2, attention.batch, key_tokens, attention.kv_heads, attention.head_dim, element});
  memory[Purpose::scores] =
      checked_product({attention.batch, attention.query_heads, score_rows, score_columns, element});
  return memory;
}

} // namespace

std::string_view name(MemoryModel model) { return problem::word_of(model_words, model); }
MemoryModel parse_memory_model(std::string_view word) { return problem::parse_word("memory model", model_words, word); }

MemoryByPurpose model_memory(MemoryModel model, const RingProblem &problem, const KernelFootprint &footprint) {
  validate(problem);
  const problem::AttentionProblem &attention = problem.attention;
  const std::int64_t tokens = attention.tokens;
  const std::int64_t chunk = (tokens + problem.ring_size - 1) / problem.ring_size;
  switch (model) {
  case MemoryModel::ring_sharded:
    return executor_memory(problem, false, footprint, KernelKind::streamed);
  case MemoryModel::ring_sharded_materialised:
    return executor_memory(problem, false, footprint, KernelKind::materialised);
  case MemoryModel::ring_replicated_queries:
    return executor_memory(problem, true, footprint, KernelKind::streamed);
  case MemoryModel::ring_replicated_queries_materialised:
    return executor_memory(problem, true, footprint, KernelKind::materialised);
  case MemoryModel::ideal_sharded: {
    MemoryByPurpose memory = plain_tensors(attention, chunk, chunk, 0, 0);
    memory[Purpose::output] = memory[Purpose::query];
    return memory;
  }
  case MemoryModel::divided_key_value_materialised:
    return plain_tensors(attention, tokens, chunk, tokens, chunk);
  case MemoryModel::serial_chunk_loop:
    return plain_tensors(attention, tokens, tokens, tokens, chunk);
  case MemoryModel::block_diagonal_chunk_loop:
    return plain_tensors(attention, tokens, tokens, chunk, chunk);
  case MemoryModel::single_device_materialised:
    return plain_tensors(attention, tokens, tokens, tokens, tokens);
  }
  throw problem::InvalidInput("unknown memory model");
}

} // namespace ringscale::memory
