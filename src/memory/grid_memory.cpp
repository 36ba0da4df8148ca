// SPDX-License-Identifier: Apache-2.0
#include "memory/grid_memory.hpp"

#include <algorithm>

#include "memory/checked_product.hpp"

namespace ringscale::memory {

using schedule::GridShare;

namespace {

constexpr auto float_bytes = static_cast<std::int64_t>(sizeof(float));

std::int64_t rows(const GridShare &share, std::int64_t tokens, std::int64_t heads, std::int64_t element_bytes) {
  const problem::AttentionProblem &attention = share.ring.attention;
  return checked_product({attention.batch, tokens, heads, attention.head_dim, element_bytes});
}

std::int64_t stored_bytes(const GridShare &share) { return problem::storage_bytes(share.ring.attention.dtype); }

} // namespace

std::int64_t own_query_bytes(const GridShare &share) {
  return rows(share, share.own_queries.count, share.model_query_heads.count, stored_bytes(share));
}

std::int64_t own_output_bytes(const GridShare &share) {
  return rows(share, share.own_queries.count, share.model_query_heads.count, float_bytes);
}

std::int64_t own_key_bytes(const GridShare &share) {
  return rows(share, share.own_keys.count, share.model_kv_heads.count, stored_bytes(share));
}

std::int64_t exchange_buffer_bytes(const GridShare &share) {
  const std::int64_t in_ring =
      rows(share, queries_of(share.ring, share.place.ring).count(), share.query_heads.count, float_bytes);
  return std::max(own_output_bytes(share), in_ring);
}

MemoryByPurpose grid_memory(const schedule::ProcessGrid &grid, const schedule::RingProblem &problem, std::int64_t rank,
                            const KernelFootprint &footprint, KernelKind kernel) {
  const GridShare share = share_of(grid, problem, rank);
  MemoryByPurpose memory = closed_form(share.ring, share.place.ring, footprint, kernel);
  if (grid.sequence > 1) {
    memory[Purpose::query] += own_query_bytes(share);
    memory[Purpose::key_value] += 2 * own_key_bytes(share);
    memory[Purpose::communication] += 2 * exchange_buffer_bytes(share);
    if (problem.pass == schedule::Pass::backward) {
      // The output gradient, and the gradients of query, key and value.
      memory[Purpose::gradient] += 2 * own_query_bytes(share) + 2 * own_key_bytes(share);
    } else {
      memory[Purpose::output] += own_output_bytes(share);
    }
  }
  return memory;
}

} // namespace ringscale::memory
