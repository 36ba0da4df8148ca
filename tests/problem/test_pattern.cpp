// SPDX-License-Identifier: Apache-2.0
// Patterns: the closed-form pair counts against counting by the one formula, written anew here, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "problem/invalid_input.hpp"
#include "problem/pattern.hpp"

namespace ringscale::problem {
namespace {

Pattern dilated(std::vector<std::int64_t> lengths, std::vector<std::int64_t> rates, DilationConvention convention) {
  Pattern pattern;
  pattern.kind = PatternKind::dilated;
  pattern.dilated = {std::move(lengths), std::move(rates), convention};
  return pattern;
}

Pattern blocks(BlockSparseKind kind, std::int64_t block, std::int64_t window, std::int64_t stride) {
  Pattern pattern;
  pattern.kind = PatternKind::block_sparse;
  pattern.block_sparse.kind = kind;
  pattern.block_sparse.block_tokens = block;
  pattern.block_sparse.window_tokens = window;
  pattern.block_sparse.stride_blocks = stride;
  return pattern;
}

std::string message_of(const Pattern &pattern) {
  try {
    validate(pattern);
  } catch (const InvalidInput &error) {
    return error.what();
  }
  return "";
}

/// Pairs of a head by definition: segments as lists of existing positions, then every second, third ... of them.
std::int64_t enumerated_dilated_pairs(const DilatedPattern &pattern, bool causal, std::int64_t query_tokens,
                                      std::int64_t key_tokens, std::int64_t heads, std::int64_t head) {
  std::int64_t pairs = 0;
  const auto groups = static_cast<std::int64_t>(pattern.segment_lengths.size());
  // Deal the heads out one by one: run lengths differ by at most one and the longer ones come first.
  std::vector<std::int64_t> run_length(static_cast<std::size_t>(groups), 0);
  for (std::int64_t dealt = 0; dealt < heads; ++dealt) {
    ++run_length[static_cast<std::size_t>(dealt % groups)];
  }
  std::vector<std::int64_t> group_of_head;
  for (std::int64_t group = 0; group < groups; ++group) {
    group_of_head.insert(group_of_head.end(), static_cast<std::size_t>(run_length[static_cast<std::size_t>(group)]),
                         group);
  }
  for (std::int64_t group = 0; group < groups; ++group) {
    const std::int64_t length = pattern.segment_lengths[static_cast<std::size_t>(group)];
    const std::int64_t rate = pattern.dilation_rates[static_cast<std::size_t>(group)];
    std::int64_t phase = group % rate;
    if (pattern.convention == DilationConvention::split) {
      if (group_of_head[static_cast<std::size_t>(head)] != group) {
        continue;
      }
    } else {
      const std::int64_t heads_per_phase = heads / rate + (heads % rate == 0 ? 0 : 1);
      phase = pattern.convention == DilationConvention::longnet ? head % rate : head / heads_per_phase;
    }
    for (std::int64_t begin = 0; begin < query_tokens; begin += length) {
      for (std::int64_t query = begin + phase; query < begin + length && query < query_tokens; query += rate) {
        for (std::int64_t key = begin + phase; key < begin + length && key < key_tokens; key += rate) {
          pairs += causal && key > query ? 0 : 1;
        }
      }
    }
  }
  return pairs;
}

constexpr DilationConvention conventions[] = {DilationConvention::split, DilationConvention::longnet,
                                              DilationConvention::longnet_blocked};

TEST(DilatedPairs, EqualCountingForAnyLengthsRatesAndHeads) {
  const std::vector<std::vector<std::int64_t>> lengths = {{8}, {7, 16}, {1, 5, 64}, {16, 16, 300, 3}, {10, 20, 40, 80}};
  const std::vector<std::vector<std::int64_t>> rates = {{1}, {3, 2}, {1, 7, 4}, {2, 2, 1, 5}, {1, 2, 4, 8}};
  std::int64_t compared = 0;
  for (std::size_t shape = 0; shape < lengths.size(); ++shape) {
    for (const DilationConvention convention : conventions) {
      const Pattern pattern = dilated(lengths[shape], rates[shape], convention);
      EXPECT_EQ(message_of(pattern), "");
      for (const std::int64_t query_tokens : {1, 7, 40, 65}) {
        for (const std::int64_t key_tokens : {1, 16, 40, 53}) {
          for (const std::int64_t heads : {1, 3, 8}) {
            for (std::int64_t head = 0; head < heads; ++head) {
              for (const Mask mask : {Mask::none, Mask::causal}) {
                const std::int64_t expected = enumerated_dilated_pairs(pattern.dilated, mask == Mask::causal,
                                                                       query_tokens, key_tokens, heads, head);
                EXPECT_EQ(admitted_pairs(pattern, mask, query_tokens, key_tokens, heads, head), expected);
                std::int64_t by_multiplicity = 0;
                for (std::int64_t query = 0; query < query_tokens; ++query) {
                  for (std::int64_t key = 0; key < key_tokens; ++key) {
                    by_multiplicity += multiplicity(pattern, mask, heads, head, query, key);
                  }
                }
                EXPECT_EQ(by_multiplicity, expected);
                ++compared;
              }
            }
          }
        }
      }
    }
  }
  EXPECT_EQ(compared, 5 * 3 * 4 * 4 * 12 * 2);
}

TEST(DilatedPairs, AreDenseForOneLongSegmentAtRateOne) {
  for (const DilationConvention convention : conventions) {
    for (const Mask mask : {Mask::none, Mask::causal}) {
      EXPECT_EQ(admitted_pairs(dilated({100}, {1}, convention), mask, 100, 100, 4, 3), admitted_pairs(100, mask));
      EXPECT_EQ(admitted_pairs(dilated({std::int64_t{1} << 40}, {1}, convention), mask, 100, 100, 4, 3),
                admitted_pairs(100, mask));
    }
  }
}

TEST(DilatedPairs, KnownSlipsGiveOtherCounts) {
  // Eight heads in three groups are runs of 3, 3 and 2: a first head of g * (8 / 3) would put head 2 into group 1.
  const Pattern pattern = dilated({16, 32, 64}, {1, 2, 4}, DilationConvention::split);
  const std::int64_t first = admitted_pairs(pattern, Mask::none, 64, 64, 8, 0);
  EXPECT_EQ(admitted_pairs(pattern, Mask::none, 64, 64, 8, 2), first);
  EXPECT_NE(admitted_pairs(pattern, Mask::none, 64, 64, 8, 3), first);
  // A segment that is padded to its length with zero keys would count 16 * 16 again; it has 6 tokens.
  EXPECT_EQ(admitted_pairs(pattern, Mask::none, 22, 22, 8, 0), 16 * 16 + 6 * 6);
}

TEST(DilatedPairs, StayExactForBillionsOfTokens) {
  const Pattern pattern =
      dilated({std::int64_t{1} << 20, std::int64_t{1} << 30}, {1, 1024}, DilationConvention::longnet);
  const std::int64_t tokens = std::int64_t{1} << 31;
  EXPECT_EQ(admitted_pairs(pattern, Mask::none, tokens, tokens, 4, 0),
            (std::int64_t{1} << 51) + (std::int64_t{1} << 41));
  EXPECT_THROW(admitted_pairs(pattern, Mask::none, tokens + 1, tokens, 4, 0), InvalidInput);
}

/// Whether a query block meets a key block, by listing what the kind says.
bool block_admitted(const BlockSparsePattern &pattern, std::int64_t query_block, std::int64_t key_block) {
  std::set<std::int64_t> met;
  const std::int64_t reach = pattern.window_tokens / pattern.block_tokens;
  const std::int64_t step = pattern.kind == BlockSparseKind::dilated ? pattern.stride_blocks : 1;
  for (std::int64_t offset = 0; offset <= reach; offset += step) {
    met.insert(query_block - offset);
    met.insert(query_block + offset);
  }
  const bool shared = pattern.kind == BlockSparseKind::hierarchical && key_block % pattern.stride_blocks == 0;
  return met.count(key_block) > 0 || shared;
}

TEST(BlockSparsePairs, EqualCountingForEveryKindAndAnyTokens) {
  for (const BlockSparseKind kind :
       {BlockSparseKind::local_window, BlockSparseKind::dilated, BlockSparseKind::hierarchical}) {
    for (const std::int64_t window : {0, 64, 192, 6400}) {
      for (const std::int64_t stride : {1, 2, 3}) {
        const Pattern pattern = blocks(kind, 64, window, stride);
        EXPECT_EQ(message_of(pattern), "");
        for (const std::int64_t query_tokens : {1, 64, 200, 449}) {
          for (const std::int64_t key_tokens : {1, 63, 256, 450}) {
            for (const Mask mask : {Mask::none, Mask::causal}) {
              std::int64_t expected = 0;
              std::int64_t by_multiplicity = 0;
              for (std::int64_t query = 0; query < query_tokens; ++query) {
                for (std::int64_t key = 0; key < key_tokens; key += 64) { // whole blocks of keys at a time
                  const std::int64_t count = std::min<std::int64_t>(64, key_tokens - key);
                  const std::int64_t admitted =
                      mask == Mask::none ? count : std::clamp<std::int64_t>(query - key + 1, 0, count);
                  expected += block_admitted(pattern.block_sparse, query / 64, key / 64) ? admitted : 0;
                  by_multiplicity += admitted * multiplicity(pattern, Mask::none, 2, 1, query, key);
                }
              }
              EXPECT_EQ(admitted_pairs(pattern, mask, query_tokens, key_tokens, 2, 1), expected)
                  << name(kind) << " window " << window << " stride " << stride << " tokens " << query_tokens << " "
                  << key_tokens << " " << name(mask);
              EXPECT_EQ(by_multiplicity, expected);
            }
          }
        }
      }
    }
  }
}

TEST(BlockSparsePairs, AdaptiveCountsKeepOwnBlockAndStopWhereDataDecides) {
  Pattern pattern = blocks(BlockSparseKind::adaptive, 64, 0, 1);
  pattern.block_sparse.kept_blocks = 3;
  EXPECT_EQ(admitted_pairs(pattern, Mask::none, 100, 640, 1, 0), 100 * 3 * 64);
  EXPECT_EQ(admitted_pairs(pattern, Mask::none, 100, 130, 1, 0), 100 * 130); // all three blocks are kept
  std::int64_t expected = 0;
  for (std::int64_t query = 0; query < 500; ++query) {
    expected += query % 64 + 1 + 64 * std::min<std::int64_t>(2, query / 64);
  }
  EXPECT_EQ(admitted_pairs(pattern, Mask::causal, 500, 500, 1, 0), expected);
  // Behind the last of five whole key blocks a row keeps any three.
  expected = 180 * 3 * 64;
  for (std::int64_t query = 0; query < 320; ++query) {
    expected += query % 64 + 1 + 64 * std::min<std::int64_t>(2, query / 64);
  }
  EXPECT_EQ(admitted_pairs(pattern, Mask::causal, 500, 320, 1, 0), expected);
  EXPECT_THROW(admitted_pairs(pattern, Mask::none, 500, 500, 1, 0), InvalidInput);
  EXPECT_THROW(admitted_pairs(pattern, Mask::causal, 500, 300, 1, 0), InvalidInput);
  EXPECT_THROW(multiplicity(pattern, Mask::none, 1, 0, 0, 0), InvalidInput);
}

TEST(Pattern, PairsOfAllHeadsAreTheSum) {
  const Pattern pattern = dilated({16, 64}, {1, 4}, DilationConvention::split);
  EXPECT_EQ(admitted_pairs_of_all_heads(pattern, Mask::none, 64, 64, 3), 2 * 4 * 256 + 256);
  EXPECT_EQ(admitted_pairs_of_all_heads(Pattern{}, Mask::causal, 7, 7, 3), 3 * 28);
}

TEST(Pattern, ValidateNamesTheBadFieldAndWhatWouldBeRight) {
  const auto split = DilationConvention::split;
  EXPECT_THAT(message_of(dilated({}, {}, split)), testing::HasSubstr("segment_lengths is empty; give at least one"));
  EXPECT_THAT(message_of(dilated({8, 16}, {1}, split)), testing::HasSubstr("give one rate for each segment length"));
  EXPECT_THAT(message_of(dilated({8, 0}, {1, 1}, split)), testing::HasSubstr("segment_lengths[1] is 0"));
  EXPECT_THAT(message_of(dilated({8, 8}, {1, -2}, split)), testing::HasSubstr("dilation_rates[1] is -2"));
  const auto window = BlockSparseKind::local_window;
  EXPECT_THAT(message_of(blocks(window, 100, 0, 1)), testing::HasSubstr("must be a multiple of 64, such as 128"));
  EXPECT_THAT(message_of(blocks(window, 0, 0, 1)), testing::HasSubstr("block_tokens is 0"));
  EXPECT_THAT(message_of(blocks(window, 64, 100, 1)), testing::HasSubstr("multiple of block_tokens, 64, such as 128"));
  EXPECT_THAT(message_of(blocks(window, 64, -64, 1)), testing::HasSubstr("window_tokens is -64"));
  EXPECT_THAT(message_of(blocks(BlockSparseKind::dilated, 64, 64, 0)), testing::HasSubstr("stride_blocks is 0"));
  Pattern adaptive = blocks(BlockSparseKind::adaptive, 64, 1, 0); // neither window nor stride is read
  EXPECT_EQ(message_of(adaptive), "");
  adaptive.block_sparse.kept_blocks = 0;
  EXPECT_THAT(message_of(adaptive), testing::HasSubstr("kept_blocks is 0"));
}

TEST(Pattern, WordsGoBothWays) {
  for (const char *word : {"dense", "dilated", "block_sparse"}) {
    EXPECT_EQ(name(parse_pattern_kind(word)), word);
  }
  for (const char *word : {"split", "longnet", "longnet_blocked"}) {
    EXPECT_EQ(name(parse_dilation_convention(word)), word);
  }
  for (const char *word : {"local_window", "dilated", "hierarchical", "adaptive"}) {
    EXPECT_EQ(name(parse_block_sparse_kind(word)), word);
  }
  EXPECT_THROW(parse_pattern_kind("sparse"), InvalidInput);
  EXPECT_THROW(parse_dilation_convention("long"), InvalidInput);
  EXPECT_THROW(parse_block_sparse_kind("window"), InvalidInput);
}

} // namespace
} // namespace ringscale::problem
