// SPDX-License-Identifier: Apache-2.0
#include "schedule/process_grid.hpp"

#include <algorithm>
#include <string>

#include "problem/invalid_input.hpp"

namespace ringscale::schedule {

using problem::InvalidInput;

GridPlace place_of(const ProcessGrid &grid, std::int64_t rank) {
  GridPlace place;
  place.sequence = rank % grid.sequence;
  place.ring = rank / grid.sequence % grid.ring;
  place.model = rank / grid.sequence / grid.ring % grid.model;
  place.data = rank / grid.sequence / grid.ring / grid.model;
  return place;
}

Share equal_share(std::int64_t whole, std::int64_t runs, std::int64_t index) {
  const std::int64_t shortest = whole / runs;
  const std::int64_t longer = whole % runs;
  return {index * shortest + std::min(index, longer), shortest + (index < longer ? 1 : 0)};
}

void validate(const ProcessGrid &grid, const RingProblem &problem) {
  const auto require = [](bool right, const std::string &text) {
    if (!right) {
      throw InvalidInput(text);
    }
  };
  for (const std::int64_t level : {grid.data, grid.model, grid.ring, grid.sequence}) {
    require(level >= 1, "a level of the process grid is " + std::to_string(level) + "; it must be at least 1");
  }
  require(grid.ring == problem.ring_size, "the grid's ring level is " + std::to_string(grid.ring) + ", the ring has " +
                                              std::to_string(problem.ring_size) + " ranks");
  validate(problem);
  const problem::AttentionProblem &attention = problem.attention;
  require(attention.batch >= grid.data, "data level " + std::to_string(grid.data) + " divides a batch of " +
                                            std::to_string(attention.batch) + "; every rank needs an entry");
  const std::int64_t head_ranks = grid.model * grid.sequence;
  require(attention.kv_heads % head_ranks == 0, "kv_heads (" + std::to_string(attention.kv_heads) +
                                                    ") is no multiple of model x sequence (" +
                                                    std::to_string(grid.model) + " x " + std::to_string(grid.sequence) +
                                                    "); each rank needs the same number of whole key/value heads");
  if (grid.sequence > 1) {
    for (std::int64_t rank = 0; rank < problem.ring_size; ++rank) {
      const std::int64_t tokens = keys_of(problem, rank).count();
      require(tokens >= grid.sequence, "ring rank " + std::to_string(rank) + " has " + std::to_string(tokens) +
                                           " tokens for a sequence level of " + std::to_string(grid.sequence) +
                                           "; every rank needs one");
    }
  }
}

GridShare share_of(const ProcessGrid &grid, const RingProblem &problem, std::int64_t rank) {
  const problem::AttentionProblem &attention = problem.attention;
  GridShare share;
  share.place = place_of(grid, rank);
  share.batch = equal_share(attention.batch, grid.data, share.place.data);
  share.model_query_heads = equal_share(attention.query_heads, grid.model, share.place.model);
  share.model_kv_heads = equal_share(attention.kv_heads, grid.model, share.place.model);
  const auto within = [&](const Share &whole) {
    const Share part = equal_share(whole.count, grid.sequence, share.place.sequence);
    return Share{whole.begin + part.begin, part.count};
  };
  share.query_heads = within(share.model_query_heads);
  share.kv_heads = within(share.model_kv_heads);
  share.own_queries = equal_share(queries_of(problem, share.place.ring).count(), grid.sequence, share.place.sequence);
  share.own_keys = equal_share(keys_of(problem, share.place.ring).count(), grid.sequence, share.place.sequence);
  share.ring = problem;
  share.ring.attention.batch = share.batch.count;
  share.ring.attention.query_heads = share.query_heads.count;
  share.ring.attention.kv_heads = share.kv_heads.count;
  share.ring.pattern_heads = problem.pattern_heads == 0 ? attention.query_heads : problem.pattern_heads;
  share.ring.first_pattern_head = problem.first_pattern_head + share.query_heads.begin;
  return share;
}

} // namespace ringscale::schedule
