// SPDX-License-Identifier: Apache-2.0
// Block-sparse attention against a boolean mask written pair by pair, in double precision; and its masks.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <vector>

#include "kernels/adaptive_blocks.hpp"
#include "pattern_case.hpp"
#include "problem/pattern.hpp"

namespace ringscale::kernels::test {
namespace {

constexpr BlockKind kinds[] = {BlockKind::local_window, BlockKind::dilated, BlockKind::hierarchical};

BlockMaskShape mask_shape(const PatternCase &shape, std::int64_t block_tokens) {
  BlockMaskShape mask;
  mask.block_tokens = block_tokens;
  mask.query_tokens = shape.query_tokens;
  mask.key_tokens = shape.key_tokens;
  mask.causal = shape.causal;
  mask.query_origin = shape.query_origin;
  mask.key_origin = shape.key_origin;
  return mask;
}

/// Whether two positions meet, from the words of the definition.
bool positions_meet(const BlockSparsity &sparsity, std::int64_t block, std::int64_t query, std::int64_t key) {
  const std::int64_t apart = std::abs(query / block - key / block);
  const bool in_window = apart * block <= sparsity.window_tokens;
  if (sparsity.kind == BlockKind::local_window) {
    return in_window;
  }
  if (sparsity.kind == BlockKind::dilated) {
    return in_window && apart % sparsity.stride_blocks == 0;
  }
  return in_window || key / block % sparsity.stride_blocks == 0;
}

void expect_valid(const PatternData &data, const BlockMask &mask, const OwnedMask &admitted) {
  const ExecutionSpace space;
  reference_masked_attention(space, data.query, data.key, data.value, admitted, data.shape.scale(),
                             data.reference_output, data.reference_log_sum_exp);
  space.fence();
  for (const bool team : {false, true}) {
    const Partial partial = data.poisoned_partial();
    Owned1 packed;
    run_block_sparse(whole_block(data, partial, packed), mask, team);
    const Comparison comparison = data.compare(partial, 1);
    EXPECT_TRUE(comparison.max_error <= comparison.bound.output)
        << (team ? "team " : "") << data.shape.text() << ": " << comparison.max_error << " > "
        << comparison.bound.output;
    EXPECT_TRUE(comparison.max_lse_error <= comparison.bound.log_sum_exp)
        << (team ? "team " : "") << data.shape.text() << ": lse " << comparison.max_lse_error;
  }
  double pairs = 0.0;
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, admitted);
  for (std::size_t index = 0; index < host.size(); ++index) {
    pairs += host.data()[index];
  }
  EXPECT_EQ(mask.pairs_of(data.shape.batch, data.shape.query_heads), pairs) << data.shape.text();
}

void expect_valid(const PatternCase &shape, std::int64_t block, const BlockSparsity &sparsity) {
  const PatternData data(shape);
  const BlockMask mask(mask_shape(shape, block), sparsity);
  const OwnedMask admitted = boolean_mask(shape, [&](std::int64_t, std::int64_t, std::int64_t query, std::int64_t key) {
    return positions_meet(sparsity, block, shape.query_origin + query, shape.key_origin + key);
  });
  expect_valid(data, mask, admitted);
}

TEST(BlockSparseAttention, EqualsTheMaskedReferenceForEveryKind) {
  for (const BlockKind kind : kinds) {
    for (const std::int64_t block : {64, 128}) {
      for (const std::int64_t window : {0, 2}) {
        for (const bool causal : {false, true}) {
          PatternCase shape;
          shape.query_tokens = shape.key_tokens = 700;
          shape.head_dim = 16;
          shape.causal = causal;
          expect_valid(shape, block, {kind, window * block, 3});
        }
      }
    }
  }
}

TEST(BlockSparseAttention, EqualsTheMaskedReferenceForAnyShape) {
  for (const std::int64_t head_dim : {1, 3, 17, 40, 64, 65, 80, 128, 200}) {
    PatternCase shape;
    shape.batch = head_dim == 40 ? 2 : 1;
    shape.query_tokens = 140;
    shape.key_tokens = 203;
    shape.query_heads = 4;
    shape.kv_heads = 2;
    shape.head_dim = head_dim;
    shape.causal = head_dim % 2 == 0;
    expect_valid(shape, 64, {BlockKind::dilated, 192, 2});
  }
  const std::int64_t token_counts[][2] = {{1, 1}, {1, 300}, {300, 1}, {64, 64}, {65, 63}, {500, 190}};
  for (const auto &tokens : token_counts) {
    for (const bool causal : {false, true}) {
      PatternCase shape;
      shape.query_tokens = tokens[0];
      shape.key_tokens = tokens[1];
      shape.head_dim = 24;
      shape.causal = causal;
      expect_valid(shape, 64, {BlockKind::hierarchical, 64, 2}); // the last rows of 500 see far keys only
      expect_valid(shape, 64, {BlockKind::local_window, 64, 1}); // and under this kind none at all
    }
  }
}

TEST(BlockSparseAttention, BlocksLargerThanATileTakeSeveralPieces) {
  PatternCase shape;
  shape.query_tokens = shape.key_tokens = 900;
  shape.head_dim = 8;
  expect_valid(shape, 320, {BlockKind::local_window, 0, 1});
  shape.causal = true;
  expect_valid(shape, 448, {BlockKind::local_window, 448, 1});
}

TEST(BlockSparseAttention, ChunksWithOriginsKeepTheSequencesBlocks) {
  for (const BlockKind kind : kinds) {
    PatternCase shape;
    shape.query_tokens = 200;
    shape.query_origin = 256;
    shape.key_tokens = 150;
    shape.key_origin = 192;
    shape.head_dim = 16;
    shape.causal = true;
    expect_valid(shape, 64, {kind, 128, 3});
  }
}

TEST(BlockSparseAttention, MasksOfTheirOwnForEveryBatchEntryAndHead) {
  PatternCase shape;
  shape.batch = 2;
  shape.query_tokens = 330;
  shape.key_tokens = 270;
  shape.query_heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 32;
  BlockMaskShape own = mask_shape(shape, 64);
  own.batch_masks = 2;
  own.head_masks = 4;
  const auto rule = [](std::int64_t mask, std::int64_t query_block, std::int64_t key_block) {
    return (mask * 7 + query_block * 3 + key_block * 5) % 4 == 0; // some rows meet nothing
  };
  const OwnedMask admitted =
      boolean_mask(shape, [&](std::int64_t batch, std::int64_t head, std::int64_t query, std::int64_t key) {
        return rule(batch * 4 + head, query / 64, key / 64);
      });
  expect_valid(PatternData(shape), BlockMask(own, rule), admitted);
}

TEST(BlockSparseAttention, IsDenseBitForBitWhenEveryBlockIsMet) {
  for (const bool causal : {false, true}) {
    PatternCase shape;
    shape.query_tokens = shape.key_tokens = 600;
    shape.causal = causal;
    const PatternData data(shape);
    const BlockMask mask(mask_shape(shape, 64), {BlockKind::local_window, 6400, 1});
    EXPECT_EQ(mask.density(), 1.0);
    const Partial sparse = data.poisoned_partial();
    const Partial dense = data.poisoned_partial();
    Owned1 packed;
    for (const float probability : {0.0F, 0.25F}) { // the dropout mask depends on positions, not on the cut
      AttentionBlock block = whole_block(data, sparse, packed);
      block.dropout.probability = probability;
      run_block_sparse(block, mask);
      block.output = dense.output;
      block.log_sum_exp = dense.log_sum_exp;
      run_streamed(block);
      EXPECT_TRUE(same_bits(sparse.output, dense.output)) << "dropout " << probability;
    }
  }
}

TEST(AdaptiveBlocks, KeepOwnBlockAndTheHighestPooledScores) {
  for (const bool causal : {false, true}) {
    PatternCase shape;
    shape.batch = 2;
    shape.query_tokens = 390;
    shape.key_tokens = 450;
    shape.query_heads = 4;
    shape.kv_heads = 2;
    shape.head_dim = 24;
    shape.causal = causal;
    const PatternData data(shape);
    const ExecutionSpace space;
    const BlockScores scores = pooled_block_scores(space, data.query, data.key, 64, static_cast<float>(shape.scale()));
    const BlockMask mask = adaptive_block_mask(mask_shape(shape, 64), scores, 3);
    // By definition: means in double precision, then count how many others are better.
    const auto query = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.query);
    const auto key = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.key);
    const auto mean = [](const auto &tensor, std::int64_t batch, std::int64_t head, std::int64_t block,
                         std::int64_t dim) {
      double sum = 0.0;
      std::int64_t count = 0;
      for (std::int64_t token = block * 64; token < (block + 1) * 64 && token < tensor.extent_int(1); ++token) {
        sum += static_cast<double>(tensor(batch, token, head, dim));
        ++count;
      }
      return sum / static_cast<double>(count);
    };
    const auto host_scores = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, scores);
    ASSERT_EQ(scores.extent_int(2), 7);
    ASSERT_EQ(scores.extent_int(3), 8);
    bool kept[2][4][7][8] = {};
    for (int batch = 0; batch < 2; ++batch) {
      for (int head = 0; head < 4; ++head) {
        for (int a = 0; a < 7; ++a) {
          double score[8];
          for (int b = 0; b < 8; ++b) {
            score[b] = 0.0;
            for (int dim = 0; dim < 24; ++dim) {
              score[b] += shape.scale() * mean(query, batch, head, a, dim) * mean(key, batch, head / 2, b, dim);
            }
            EXPECT_TRUE(std::abs(score[b] - static_cast<double>(host_scores(batch, head, a, b))) <= 1e-6);
          }
          for (int b = 0; b < 8; ++b) {
            int better = b == a ? 0 : 1; // its own block
            for (int other = 0; other < 8; ++other) {
              better += b != a && other != a && (!causal || other <= a) && score[other] > score[b] ? 1 : 0;
            }
            kept[batch][head][a][b] = better < 3 && (!causal || b <= a);
          }
        }
      }
    }
    const OwnedMask admitted = boolean_mask(shape, [&](std::int64_t batch, std::int64_t head, std::int64_t q,
                                                       std::int64_t k) { return kept[batch][head][q / 64][k / 64]; });
    expect_valid(data, mask, admitted);
    if (causal) { // a closed form exists: own triangles, and whole earlier blocks
      problem::Pattern pattern;
      pattern.kind = problem::PatternKind::block_sparse;
      pattern.block_sparse.kind = problem::BlockSparseKind::adaptive;
      pattern.block_sparse.kept_blocks = 3;
      EXPECT_EQ(mask.pairs(5), problem::admitted_pairs(pattern, problem::Mask::causal, 390, 450, 4, 1));
    }
  }
}

TEST(BlockMask, PairsEqualTheClosedFormOfThePattern) {
  for (const BlockKind kind : kinds) {
    for (const bool causal : {false, true}) {
      PatternCase shape;
      shape.query_tokens = 1000;
      shape.key_tokens = 777;
      shape.causal = causal;
      const BlockMask mask(mask_shape(shape, 128), {kind, 256, 3});
      problem::Pattern pattern;
      pattern.kind = problem::PatternKind::block_sparse;
      pattern.block_sparse.kind = static_cast<problem::BlockSparseKind>(kind);
      pattern.block_sparse.block_tokens = 128;
      pattern.block_sparse.window_tokens = 256;
      pattern.block_sparse.stride_blocks = 3;
      const auto masked = causal ? problem::Mask::causal : problem::Mask::none;
      EXPECT_EQ(mask.pairs(0), problem::admitted_pairs(pattern, masked, 1000, 777, 1, 0));
      const double dense = static_cast<double>(problem::admitted_pairs(problem::Pattern{}, masked, 1000, 777, 1, 0));
      EXPECT_DOUBLE_EQ(mask.density(), static_cast<double>(mask.pairs(0)) / dense);
    }
  }
}

TEST(BlockMask, ListsJoinNeighboursAndAreTransposed) {
  PatternCase shape;
  shape.query_tokens = 200;
  shape.key_tokens = 300;
  const BlockMask mask(mask_shape(shape, 64), {BlockKind::hierarchical, 64, 4});
  // Query blocks 0..3, key blocks 0..4; block 2 meets 0 (shared), 1, 2, 3 and 4 (shared): one range; block 0 meets
  // 0, 1 and 4: two.
  const auto keys = mask.key_lists();
  EXPECT_EQ(keys.count(keys.place(0, 0, 2)), 1);
  EXPECT_EQ(keys.begin(2)->end, 300);
  EXPECT_EQ(keys.count(keys.place(0, 0, 0)), 2);
  EXPECT_EQ(keys.begin(0)[0].end, 128);
  EXPECT_EQ(keys.begin(0)[1].begin, 256);
  const auto rows = mask.row_lists();
  EXPECT_EQ(rows.count(0), 1); // all rows meet the shared block 0
  EXPECT_EQ(rows.begin(0)->end, 200);
  EXPECT_EQ(rows.begin(3)->begin, 128); // block 3 is met by blocks 2 and 3
  EXPECT_EQ(rows.begin(3)->end, 200);
  EXPECT_EQ(mask.bytes() - mask.key_list_bytes(), 5 * 8 + 6 * 8);
}

TEST(BlockSparseAttention, WorkCountsAdmittedPairsAndLists) {
  PatternCase shape;
  shape.batch = 2;
  shape.query_tokens = shape.key_tokens = 256;
  shape.query_heads = shape.kv_heads = 3;
  shape.head_dim = 8;
  const PatternData data(shape);
  const Partial partial = data.poisoned_partial();
  Owned1 packed;
  const AttentionBlock block = whole_block(data, partial, packed);
  const BlockMask mask(mask_shape(shape, 64), {BlockKind::local_window, 0, 1});
  const KernelWork work = block_sparse_attention_work(block, mask);
  EXPECT_DOUBLE_EQ(work.flop, 4.0 * 2 * 3 * (4 * 64 * 64) * 8);
  EXPECT_DOUBLE_EQ(work.read_bytes, 4.0 * 3 * (2 * 256 * 3 * 8) + 4 * 8 + 5 * 8);
  EXPECT_DOUBLE_EQ(work.written_bytes, 4.0 * 2 * 256 * 3 * 9);
  const KernelWork scoring = pooled_block_scores_work(data.query, data.key, 64);
  EXPECT_DOUBLE_EQ(scoring.flop, 2.0 * 2 * 256 * 3 * 8 + 2.0 * 2 * 3 * 4 * 4 * 8);
  EXPECT_DOUBLE_EQ(scoring.written_bytes, 4.0 * 2 * 3 * 4 * 4);
}

TEST(BlockSparseAttention, RefusesShapesThatDoNotFit) {
  PatternCase shape;
  shape.query_tokens = shape.key_tokens = 100;
  const PatternData data(shape);
  const Partial partial = data.poisoned_partial();
  Owned1 packed;
  const AttentionBlock good = whole_block(data, partial, packed);
  const BlockSparsity window{BlockKind::local_window, 64, 1};
  EXPECT_NO_THROW(check_block_sparse_attention(good, BlockMask(mask_shape(shape, 64), window)));
  BlockMaskShape bad = mask_shape(shape, 64);
  bad.key_tokens = 101;
  EXPECT_THROW(block_sparse_attention(ExecutionSpace(), good, BlockMask(bad, window)), std::invalid_argument);
  bad = mask_shape(shape, 64);
  bad.causal = true;
  EXPECT_THROW(check_block_sparse_attention(good, BlockMask(bad, window)), std::invalid_argument);
  bad = mask_shape(shape, 64);
  bad.head_masks = 2;
  EXPECT_THROW(check_block_sparse_attention(good, BlockMask(bad, window)), std::invalid_argument);
  EXPECT_THROW(BlockMask(mask_shape(shape, 65), window), std::invalid_argument);
  EXPECT_THROW(BlockMask(mask_shape(shape, 128), window), std::invalid_argument);
  bad = mask_shape(shape, 64);
  bad.query_origin = 10;
  EXPECT_THROW(BlockMask(bad, window), std::invalid_argument);
  AttentionBlock part = good;
  part.query_begin = 1;
  EXPECT_THROW(check_block_sparse_attention(part, BlockMask(mask_shape(shape, 64), window)), std::invalid_argument);
  EXPECT_THROW(adaptive_block_mask(mask_shape(shape, 64), BlockScores("scores", 1, 1, 2, 3), 1), std::invalid_argument);
  EXPECT_THROW(adaptive_block_mask(mask_shape(shape, 64), BlockScores("scores", 1, 1, 2, 2), 0), std::invalid_argument);
}

} // namespace
} // namespace ringscale::kernels::test
