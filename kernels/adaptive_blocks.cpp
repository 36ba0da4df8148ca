// SPDX-License-Identifier: Apache-2.0
#include "kernels/adaptive_blocks.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace ringscale::kernels {

namespace {

using Means = Kokkos::View<float ****, Kokkos::LayoutRight, MemorySpace>; // [batch, blocks, heads, head_dim]
using Range = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::int64_t>>;

void require(bool condition, const std::string &message) {
  if (!condition) {
    throw std::invalid_argument("adaptive blocks: " + message);
  }
}

std::int64_t blocks_of(ConstTensor4 tensor, std::int64_t block_tokens) {
  return (tensor.extent_int(1) + block_tokens - 1) / block_tokens;
}

/// Mean of one head's rows of one block; an index is (batch, block, head).
struct PoolBlock {
  ConstTensor4 tensor;
  std::int64_t block_tokens;
  Means means;

  KOKKOS_FUNCTION void operator()(const std::int64_t index) const {
    const std::int64_t head = index % tensor.extent_int(2);
    const std::int64_t block = index / tensor.extent_int(2) % means.extent_int(1);
    const std::int64_t batch = index / tensor.extent_int(2) / means.extent_int(1);
    const std::int64_t begin = block * block_tokens;
    const std::int64_t end = begin + block_tokens < tensor.extent_int(1) ? begin + block_tokens : tensor.extent_int(1);
    float *mean = &means(batch, block, head, 0);
    for (int dim = 0; dim < tensor.extent_int(3); ++dim) {
      mean[dim] = 0.0F;
    }
    for (std::int64_t token = begin; token < end; ++token) {
      const float *row = &tensor(batch, token, head, 0);
      for (int dim = 0; dim < tensor.extent_int(3); ++dim) {
        mean[dim] += row[dim];
      }
    }
    const float inverse = 1.0F / static_cast<float>(end - begin);
    for (int dim = 0; dim < tensor.extent_int(3); ++dim) {
      mean[dim] *= inverse;
    }
  }
};

/// One query block of one head against all key blocks; an index is (batch, query head, query block).
struct ScoreBlocks {
  Means query;
  Means key;
  float scale;
  BlockScores scores;

  KOKKOS_FUNCTION void operator()(const std::int64_t index) const {
    const std::int64_t query_block = index % scores.extent_int(2);
    const std::int64_t head = index / scores.extent_int(2) % scores.extent_int(1);
    const std::int64_t batch = index / scores.extent_int(2) / scores.extent_int(1);
    const std::int64_t kv_head = head / (query.extent_int(2) / key.extent_int(2));
    const float *row = &query(batch, query_block, head, 0);
    for (std::int64_t key_block = 0; key_block < scores.extent_int(3); ++key_block) {
      const float *column = &key(batch, key_block, kv_head, 0);
      float sum = 0.0F;
      for (int dim = 0; dim < query.extent_int(3); ++dim) {
        sum += row[dim] * column[dim];
      }
      scores(batch, head, query_block, key_block) = sum * scale;
    }
  }
};

Means pool(const ExecutionSpace &space, ConstTensor4 tensor, std::int64_t block_tokens) {
  const std::int64_t blocks = blocks_of(tensor, block_tokens);
  const Means means(Kokkos::view_alloc(space, Kokkos::WithoutInitializing, "block means"), tensor.extent(0), blocks,
                    tensor.extent(2), tensor.extent(3));
  Kokkos::parallel_for("ringscale::pool_blocks",
                       Range(space, 0, static_cast<std::int64_t>(tensor.extent(0) * tensor.extent(2)) * blocks),
                       PoolBlock{tensor, block_tokens, means});
  return means;
}

} // namespace

BlockScores pooled_block_scores(const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key,
                                std::int64_t block_tokens, float scale) {
  Kokkos::Profiling::ScopedRegion region("ringscale::pooled_block_scores");
  require(block_tokens > 0, "block_tokens must be positive");
  require(key.extent(0) == query.extent(0) && key.extent(3) == query.extent(3) && key.extent(2) > 0 &&
              query.extent(2) % key.extent(2) == 0,
          "the shapes of query and key do not fit each other");
  const Means query_means = pool(space, query, block_tokens);
  const Means key_means = pool(space, key, block_tokens);
  const BlockScores scores(Kokkos::view_alloc(space, Kokkos::WithoutInitializing, "block scores"), query.extent(0),
                           query.extent(2), query_means.extent(1), key_means.extent(1));
  const auto rows = static_cast<std::int64_t>(query.extent(0) * query.extent(2) * query_means.extent(1));
  Kokkos::parallel_for("ringscale::score_blocks", Range(space, 0, rows),
                       ScoreBlocks{query_means, key_means, scale, scores});
  space.fence(); // the means end here
  return scores;
}

KernelWork pooled_block_scores_work(ConstTensor4 query, ConstTensor4 key, std::int64_t block_tokens) {
  const auto heads = static_cast<double>(query.extent(0) * query.extent(2));
  const auto query_blocks = static_cast<double>(blocks_of(query, block_tokens));
  const auto key_blocks = static_cast<double>(blocks_of(key, block_tokens));
  const auto elements = static_cast<double>(query.size() + key.size());
  KernelWork work;
  work.flop = elements + 2.0 * heads * query_blocks * key_blocks * static_cast<double>(query.extent(3));
  work.read_bytes = sizeof(float) * elements;
  work.written_bytes = sizeof(float) * heads * query_blocks * key_blocks;
  return work;
}

BlockMask adaptive_block_mask(const BlockMaskShape &shape, const BlockScores &scores, std::int64_t kept_blocks) {
  require(kept_blocks > 0, "kept_blocks must be positive");
  BlockMaskShape own = shape;
  own.batch_masks = scores.extent_int(0);
  own.head_masks = scores.extent_int(1);
  const std::int64_t query_blocks = own.query_blocks();
  const std::int64_t key_blocks = own.key_blocks();
  require(scores.extent_int(2) == query_blocks && scores.extent_int(3) == key_blocks,
          "the scores are not of this shape's blocks");
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, scores);
  std::vector<bool> kept(host.size(), false);
  std::vector<std::int64_t> candidates;
  for (std::int64_t row = 0; row < own.masks() * query_blocks; ++row) {
    const std::int64_t query_block = row % query_blocks;
    const std::int64_t own_block = query_block + (own.query_origin - own.key_origin) / own.block_tokens;
    const float *score = host.data() + row * key_blocks;
    candidates.clear();
    for (std::int64_t key_block = 0; key_block < key_blocks; ++key_block) {
      if (!own.causal || key_block <= own_block) {
        candidates.push_back(key_block);
      }
    }
    const auto better = [&](std::int64_t first, std::int64_t second) {
      if ((first == own_block) != (second == own_block)) {
        return first == own_block;
      }
      const bool first_is_number = !std::isnan(score[first]);
      const bool second_is_number = !std::isnan(score[second]);
      if (first_is_number != second_is_number) {
        return first_is_number;
      }
      return score[first] > score[second] || (!(score[first] < score[second]) && first < second);
    };
    const auto count = std::min(kept_blocks, static_cast<std::int64_t>(candidates.size()));
    std::partial_sort(candidates.begin(), candidates.begin() + count, candidates.end(), better);
    for (std::int64_t index = 0; index < count; ++index) {
      kept[static_cast<std::size_t>(row * key_blocks + candidates[static_cast<std::size_t>(index)])] = true;
    }
  }
  return BlockMask(own, [&](std::int64_t mask, std::int64_t query_block, std::int64_t key_block) {
    return static_cast<bool>(
        kept[static_cast<std::size_t>((mask * query_blocks + query_block) * key_blocks + key_block)]);
  });
}

} // namespace ringscale::kernels
