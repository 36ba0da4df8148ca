// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "problem/invalid_input.hpp"
#include "schedule/placement.hpp"

namespace ringscale::schedule {
namespace {

constexpr Placement all_placements[] = {Placement::contiguous, Placement::zigzag, Placement::striped,
                                        Placement::replicated_queries};

/// How often each token is owned over the whole ring.
std::vector<int> owners(std::int64_t tokens, std::int64_t ring_size, Placement placement, bool queries) {
  std::vector<int> count(static_cast<std::size_t>(tokens), 0);
  for (std::int64_t rank = 0; rank < ring_size; ++rank) {
    const problem::TokenSet set =
        queries ? query_tokens(placement, tokens, ring_size, rank) : key_tokens(placement, tokens, ring_size, rank);
    for (std::int64_t index = 0; index < set.count(); ++index) {
      ++count.at(static_cast<std::size_t>(set.position(index)));
    }
  }
  return count;
}

TEST(Placement, EveryTokenHasOneOwnerForAnyRingSize) {
  for (const Placement placement : all_placements) {
    for (std::int64_t ring_size = 1; ring_size <= 9; ++ring_size) {
      for (std::int64_t tokens = ring_size; tokens <= 60; ++tokens) {
        ASSERT_THAT(owners(tokens, ring_size, placement, false), testing::Each(1))
            << name(placement) << " tokens " << tokens << " ring " << ring_size;
        const int query_owners = placement == Placement::replicated_queries ? static_cast<int>(ring_size) : 1;
        ASSERT_THAT(owners(tokens, ring_size, placement, true), testing::Each(query_owners));
      }
    }
  }
}

TEST(Placement, MostKeyTokensIsTheMaximumOverRanks) {
  for (const Placement placement : all_placements) {
    for (std::int64_t ring_size = 1; ring_size <= 9; ++ring_size) {
      for (std::int64_t tokens = ring_size; tokens <= 60; ++tokens) {
        std::int64_t most = 0;
        for (std::int64_t rank = 0; rank < ring_size; ++rank) {
          most = std::max(most, key_tokens(placement, tokens, ring_size, rank).count());
        }
        ASSERT_EQ(most_key_tokens(placement, tokens, ring_size), most)
            << name(placement) << " tokens " << tokens << " ring " << ring_size;
        ASSERT_LE(most, (tokens + ring_size - 1) / ring_size + 1);
      }
    }
  }
}

TEST(Placement, ZigzagPairsTheFirstChunkWithTheLast) {
  const problem::TokenSet tokens = key_tokens(Placement::zigzag, 16, 4, 1);
  EXPECT_EQ(tokens.first, (problem::TokenSpan{2, 2, 1}));
  EXPECT_EQ(tokens.second, (problem::TokenSpan{12, 2, 1}));
}

TEST(Placement, StripesTakeEveryPthToken) {
  const problem::TokenSet tokens = key_tokens(Placement::striped, 11, 4, 2);
  EXPECT_EQ(tokens.first, (problem::TokenSpan{2, 3, 4})); // 2, 6, 10
}

/// Both chunk shapes whose runs are not simply equal.
std::vector<ChunkShape> uneven_shapes(std::int64_t ring_size) {
  std::vector<double> weights;
  for (std::int64_t rank = 0; rank < ring_size; ++rank) {
    weights.push_back(1.0 + 2.5 * static_cast<double>(rank % 3));
  }
  ChunkShape granular;
  granular.granule_tokens = 4;
  return {granular, weighted_chunks(weights), weighted_chunks(weights, 3)};
}

TEST(Placement, UnevenChunksCoverEveryTokenOnceAndBeginAtGranules) {
  for (const Placement placement : {Placement::contiguous, Placement::zigzag, Placement::replicated_queries}) {
    for (std::int64_t ring_size = 1; ring_size <= 7; ++ring_size) {
      for (const ChunkShape &shape : uneven_shapes(ring_size)) {
        for (std::int64_t tokens = 8 * ring_size; tokens <= 100; ++tokens) {
          std::vector<int> count(static_cast<std::size_t>(tokens), 0);
          std::int64_t most = 0;
          for (std::int64_t rank = 0; rank < ring_size; ++rank) {
            const problem::TokenSet set = key_tokens(placement, tokens, ring_size, rank, shape);
            ASSERT_GE(set.first.count, 1);
            ASSERT_EQ(set.first.begin % shape.granule_tokens, 0);
            ASSERT_EQ(set.span_count() == 2 ? set.second.begin % shape.granule_tokens : 0, 0);
            for (std::int64_t index = 0; index < set.count(); ++index) {
              ++count.at(static_cast<std::size_t>(set.position(index)));
            }
            most = std::max(most, set.count());
          }
          ASSERT_THAT(count, testing::Each(1)) << name(placement) << " " << tokens << " on " << ring_size;
          ASSERT_EQ(most_key_tokens(placement, tokens, ring_size, shape), most);
        }
      }
    }
  }
}

TEST(Placement, ChunksAreInProportionToTheirWeights) {
  const ChunkShape shape = weighted_chunks({1.0, 3.0, 4.0});
  EXPECT_EQ(key_tokens(Placement::contiguous, 8003, 3, 0, shape).count(), 1001);
  EXPECT_EQ(key_tokens(Placement::contiguous, 8003, 3, 1, shape).count(), 3001);
  EXPECT_EQ(key_tokens(Placement::contiguous, 8003, 3, 2, shape).count(), 4001);
  EXPECT_EQ(key_tokens(Placement::zigzag, 8006, 3, 1, shape).count(), 3002);
  EXPECT_THROW(weighted_chunks({1.0, 0.0}), problem::InvalidInput);
  EXPECT_THROW(key_tokens(Placement::contiguous, 100, 2, 0, shape), problem::InvalidInput);
  EXPECT_THROW(key_tokens(Placement::striped, 100, 3, 0, shape), problem::InvalidInput);
  EXPECT_THROW(key_tokens(Placement::zigzag, 5, 3, 0, shape), problem::InvalidInput);
}

TEST(Placement, BadRingsAreRefusedWithTheirNumbers) {
  EXPECT_THROW(key_tokens(Placement::contiguous, 10, 0, 0), problem::InvalidInput);
  EXPECT_THROW(key_tokens(Placement::contiguous, 10, 4, 4), problem::InvalidInput);
  EXPECT_THROW(query_tokens(Placement::replicated_queries, 10, 4, -1), problem::InvalidInput);
  try {
    (void)key_tokens(Placement::zigzag, 3, 4, 0);
    FAIL() << "3 tokens on 4 ranks were taken";
  } catch (const problem::InvalidInput &error) {
    EXPECT_STREQ(error.what(), "tokens (3) is smaller than ring_size (4); every rank needs at least one token");
  }
}

} // namespace
} // namespace ringscale::schedule
