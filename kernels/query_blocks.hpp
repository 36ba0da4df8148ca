// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstdint>

#include "kernels/attention_block.hpp"

namespace ringscale::kernels {

/// How the query rows of an AttentionBlock are cut into teams: league = batch x heads x blocks.
struct QueryBlocks {
  std::int64_t blocks = 0;
  std::int64_t rows_per_block = 0;
  std::int64_t first_head = 0;
  std::int64_t heads = 0;
  std::int64_t query_begin = 0;
  std::int64_t query_end = 0;

  struct Place {
    std::int64_t batch, head, row_begin, row_end;
  };

  /// Rows of equal blocks, as large as `most_rows` (a multiple of `granularity`) unless that leaves threads idle.
  template <class Block>
  static QueryBlocks cut(const Block &block, std::int64_t most_rows, std::int64_t granularity,
                         std::int64_t concurrency) {
    QueryBlocks cut;
    cut.first_head = block.heads.begin;
    cut.heads = block.heads.count_of(block.query.extent_int(2));
    cut.query_begin = block.query_begin;
    cut.query_end = block.query_end;
    const std::int64_t rows = block.query_end - block.query_begin;
    const std::int64_t heads = block.query.extent_int(0) * cut.heads;
    const std::int64_t smallest = most_rows / 4;
    // Four teams per thread keep the last round short.
    while (concurrency > 1 && most_rows / 2 >= smallest &&
           (rows + most_rows - 1) / most_rows * heads < 4 * concurrency) {
      most_rows /= 2;
    }
    most_rows = most_rows < granularity ? granularity : most_rows / granularity * granularity;
    cut.blocks = (rows + most_rows - 1) / most_rows;
    const std::int64_t even = cut.blocks == 0 ? 0 : (rows + cut.blocks - 1) / cut.blocks;
    cut.rows_per_block = (even + granularity - 1) / granularity * granularity;
    return cut;
  }

  std::int64_t league_size(std::int64_t batch) const { return batch * heads * blocks; }

  /// Later rows first: under a causal mask they are the longest.
  KOKKOS_INLINE_FUNCTION Place place(std::int64_t league_rank) const {
    const std::int64_t block = blocks - 1 - league_rank % blocks;
    const std::int64_t head = league_rank / blocks;
    const std::int64_t begin = query_begin + block * rows_per_block;
    const std::int64_t end = begin + rows_per_block;
    return {head / heads, first_head + head % heads, begin < query_end ? begin : query_end,
            end < query_end ? end : query_end};
  }
};

/// Where the query rows and the packed keys and values of one team begin.
struct HeadData {
  const float *query;
  const float *keys;
  const float *values;
  std::int64_t query_stride; ///< floats from one query row to the next
  std::int64_t head_dim;

  KOKKOS_INLINE_FUNCTION HeadData(const AttentionBlock &block, const QueryBlocks::Place &place)
      : query(&block.query(place.batch, place.row_begin, place.head, 0)),
        query_stride(static_cast<std::int64_t>(block.query.extent(2) * block.query.extent(3))),
        head_dim(static_cast<std::int64_t>(block.query.extent(3))) {
    const std::int64_t kv_head = place.head / (block.query.extent_int(2) / block.kv_heads);
    const std::int64_t one = padded_tokens(block.key_tokens) * head_dim;
    const std::int64_t head = place.batch * block.kv_heads + kv_head;
    const bool apart = block.packed_value != nullptr;
    keys = block.packed_key_value + (apart ? 1 : 2) * head * one;
    values = apart ? block.packed_value + head * one : keys + one;
  }
};

} // namespace ringscale::kernels
