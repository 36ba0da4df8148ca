// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "problem/attention_problem.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::problem {
namespace {

AttentionProblem small_problem() {
  AttentionProblem problem;
  problem.tokens = 10;
  problem.query_heads = 4;
  problem.kv_heads = 2;
  problem.head_dim = 8;
  return problem;
}

std::string message_of(const AttentionProblem &problem) {
  try {
    validate(problem);
  } catch (const InvalidInput &error) {
    return error.what();
  }
  return "";
}

TEST(AttentionProblem, WorkIsFourFlopPerPairHeadAndDimension) {
  AttentionProblem problem = small_problem();
  // 100 pairs x 4 heads x 8 dims x (2 multiply-adds of Q K^T + 2 of P V).
  EXPECT_DOUBLE_EQ(forward_flop(problem), 4.0 * 100 * 4 * 8);
  problem.mask = Mask::causal;
  EXPECT_DOUBLE_EQ(forward_flop(problem), 4.0 * 55 * 4 * 8);
  problem.batch = 3;
  EXPECT_DOUBLE_EQ(forward_flop(problem), 3 * 4.0 * 55 * 4 * 8);
}

TEST(AttentionProblem, AdmittedPairsCountsCausalOnce) {
  EXPECT_EQ(admitted_pairs(std::int64_t{7}, Mask::none), 49);
  EXPECT_EQ(admitted_pairs(std::int64_t{7}, Mask::causal), 28);
  EXPECT_THROW(admitted_pairs((std::int64_t{1} << 31) + 1, Mask::none), InvalidInput);
}

TEST(AttentionProblem, ValidateNamesTheBadField) {
  EXPECT_EQ(message_of(small_problem()), "");
  AttentionProblem problem = small_problem();
  problem.tokens = 0;
  EXPECT_THAT(message_of(problem), testing::HasSubstr("tokens is 0"));
  problem = small_problem();
  problem.head_dim = -3;
  EXPECT_THAT(message_of(problem), testing::HasSubstr("head_dim is -3"));
  problem = small_problem();
  problem.kv_heads = 3;
  EXPECT_THAT(message_of(problem), testing::HasSubstr("multiple of kv_heads"));
  problem = small_problem();
  problem.tokens = std::int64_t{1} << 50;
  problem.query_heads = 1 << 12;
  problem.kv_heads = 1 << 12;
  EXPECT_THAT(message_of(problem), testing::HasSubstr("2^62 bytes"));
  problem.tokens = std::numeric_limits<std::int64_t>::max();
  EXPECT_THAT(message_of(problem), testing::HasSubstr("tokens is 9223372036854775807"));
}

TEST(AttentionProblem, WordsRoundTripAndUnknownOnesListTheAllowed) {
  EXPECT_EQ(parse_mask(name(Mask::causal)), Mask::causal);
  EXPECT_EQ(parse_mask(name(Mask::none)), Mask::none);
  for (const DType dtype : all_dtypes) {
    EXPECT_EQ(parse_dtype(name(dtype)), dtype);
  }
  EXPECT_EQ(name(DType::bfloat16), "bfloat16");
  EXPECT_EQ(name(DType::float8_e4m3), "float8_e4m3");
  try {
    (void)parse_mask("sliding");
    FAIL() << "an unknown mask was taken";
  } catch (const InvalidInput &error) {
    EXPECT_STREQ(error.what(), "mask 'sliding' is unknown; one of: none, causal");
  }
}

TEST(AttentionProblem, StorageIsCountedInRealBytes) {
  EXPECT_EQ(storage_bytes(DType::float32), 4);
  EXPECT_EQ(storage_bytes(DType::tfloat32), 4);
  EXPECT_EQ(storage_bytes(DType::bfloat16), 2);
  EXPECT_EQ(storage_bytes(DType::float16), 2);
  EXPECT_EQ(storage_bytes(DType::float8_e4m3), 1);
  EXPECT_EQ(storage_bytes(DType::float8_e5m2), 1);
}

TEST(AttentionProblem, ScaleIsOneOverRootOfHeadDim) {
  EXPECT_DOUBLE_EQ(softmax_scale(64), 0.125);
  EXPECT_DOUBLE_EQ(softmax_scale(100), 0.1);
}

} // namespace
} // namespace ringscale::problem
