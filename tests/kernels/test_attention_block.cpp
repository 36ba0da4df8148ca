// SPDX-License-Identifier: Apache-2.0
// The streamed, the materialised and the team kernel against the double-precision reference, over a grid of shapes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "attention_case.hpp"
#include "kernels/dense_row_blocks.hpp"
#include "kernels/tile/team_tile.hpp"

namespace ringscale::kernels::test {
namespace {

template <class Member> struct TeamTiles { using Type = tile::TeamTile<Member>; };

/// The primitives that device back ends use, run on this build's back end.
void run_team(const AttentionBlock &block) {
  const ExecutionSpace space;
  launch_attention_block<TeamTiles>(space, block);
  space.fence();
}

void expect_valid(const CaseData &data) {
  using Kernel = void (*)(const AttentionBlock &);
  const std::pair<const char *, Kernel> kernels[] = {
      {"streamed", run_streamed}, {"materialised", run_materialised}, {"team", run_team}};
  for (const auto &[name, kernel] : kernels) {
    const Partial partial = data.poisoned_partial();
    kernel(data.block(partial));
    const Comparison comparison = data.compare(partial);
    EXPECT_TRUE(comparison.max_error <= comparison.bound.output)
        << name << " " << data.shape.text() << ": " << comparison.max_error << " > " << comparison.bound.output;
    EXPECT_TRUE(comparison.max_lse_error <= comparison.bound.log_sum_exp)
        << name << " " << data.shape.text() << ": lse " << comparison.max_lse_error << " > "
        << comparison.bound.log_sum_exp;
  }
}

Admission causal(std::int64_t query_origin, std::int64_t query_stride, std::int64_t key_origin,
                 std::int64_t key_stride) {
  return {true, query_origin, query_stride, key_origin, key_stride};
}

class HeadDimTest : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(HeadDimTest, EqualsReferenceForAnyTokenCounts) {
  const std::int64_t token_counts[][2] = {{1, 1},  {1, 200}, {5, 63},   {6, 64},    {7, 65},
                                          {49, 1}, {48, 96}, {50, 257}, {193, 129}, {200, 600}};
  for (const auto &tokens : token_counts) {
    for (const bool mask : {false, true}) {
      AttentionCase shape;
      shape.query_tokens = tokens[0];
      shape.key_tokens = tokens[1];
      shape.head_dim = GetParam();
      shape.admission.causal = mask;
      expect_valid(CaseData(shape));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Dims, HeadDimTest, ::testing::Values(1, 3, 16, 17, 40, 64, 65, 80, 128, 200, 256, 300, 1024));

TEST(AttentionBlock, EqualsReferenceForGroupedHeadsAndBatches) {
  const std::int64_t heads[][2] = {{1, 1}, {8, 8}, {8, 2}, {6, 1}, {9, 3}};
  for (const auto &pair : heads) {
    for (const std::int64_t batch : {1, 2, 3}) {
      for (const bool mask : {false, true}) {
        AttentionCase shape;
        shape.batch = batch;
        shape.query_tokens = 75;
        shape.key_tokens = 130;
        shape.query_heads = pair[0];
        shape.kv_heads = pair[1];
        shape.head_dim = 32;
        shape.admission = mask ? causal(55, 1, 0, 1) : Admission{};
        expect_valid(CaseData(shape));
      }
    }
  }
}

TEST(AttentionBlock, EqualsReferenceForCausalOffsetsAndStrides) {
  const Admission admissions[] = {
      causal(0, 1, 0, 1),    // the diagonal block
      causal(300, 1, 0, 1),  // every key admitted
      causal(37, 1, 101, 1), // rows without a key, then a diagonal
      causal(0, 1, 1000, 1), // no key admitted at all
      causal(3, 4, 1, 4),    // stripes of a ring of four
      causal(1, 4, 3, 4),    // stripes, the key stripe behind the query stripe
      causal(0, 7, 2, 3),    // strides that differ
      causal(200, 1, 0, 3),  // sparse keys
      causal(-5, 1, 0, 1),   // positions before the first key
      causal(64, 1, 0, 2),
  };
  for (const Admission &admission : admissions) {
    for (const std::int64_t keys : {1, 64, 150, 700}) {
      AttentionCase shape;
      shape.query_tokens = 211;
      shape.key_tokens = keys;
      shape.query_heads = 2;
      shape.admission = admission;
      expect_valid(CaseData(shape));
    }
  }
}

TEST(AttentionBlock, RowsWithoutAnAdmittedKeyAreZeroWithLogSumExpMinusInfinity) {
  AttentionCase shape;
  shape.query_tokens = 60;
  shape.key_tokens = 60;
  shape.admission = causal(0, 1, 10, 1);
  const CaseData data(shape);
  for (const auto kernel : {run_streamed, run_materialised, run_team}) {
    const Partial partial = data.poisoned_partial();
    kernel(data.block(partial));
    const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.output);
    const auto lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.log_sum_exp);
    for (int row = 0; row < 10; ++row) {
      EXPECT_EQ(lse(0, row, 0), -std::numeric_limits<float>::infinity());
      for (int dim = 0; dim < 64; ++dim) {
        EXPECT_EQ(output(0, row, 0, dim), 0.0F);
      }
    }
    EXPECT_TRUE(data.compare(partial).valid());
  }
}

TEST(AttentionBlock, LargeScoresNeitherOverflowNorLoseAccuracy) {
  // Synthetic scores have standard deviation 1; times 50 they pass +-150, and rows follow each other at random.
  for (const double factor : {10.0, 50.0}) {
    for (const std::int64_t head_dim : {64, 40}) {
      AttentionCase shape;
      shape.query_tokens = 100;
      shape.key_tokens = 1500;
      shape.head_dim = head_dim;
      shape.query_factor = factor;
      const CaseData data(shape);
      const auto lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.reference_log_sum_exp);
      double largest = 0.0;
      for (std::size_t row = 0; row < lse.size(); ++row) {
        largest = std::max(largest, lse.data()[row]);
      }
      EXPECT_GT(largest, factor * 3.0); // the case is as hard as it claims to be
      expect_valid(data);
    }
  }
}

TEST(AttentionBlock, RisingScoresRescaleInEveryTile) {
  // Keys that grow along the sequence move every row's maximum again and again.
  for (const double sign : {1.0, -1.0}) {
    AttentionCase shape;
    shape.query_tokens = 61;
    shape.key_tokens = 1000;
    CaseData data(shape);
    const auto query = Kokkos::create_mirror_view(data.query);
    const auto key = Kokkos::create_mirror_view(data.key);
    Kokkos::deep_copy(query, data.query);
    Kokkos::deep_copy(key, data.key);
    for (int row = 0; row < 61; ++row) {
      query(0, row, 0, 0) = 8.0F;
    }
    for (int token = 0; token < 1000; ++token) {
      key(0, token, 0, 0) = static_cast<float>(sign * (0.1 * token - 50.0));
    }
    Kokkos::deep_copy(data.query, query);
    Kokkos::deep_copy(data.key, key);
    data.compute_reference();
    for (const auto kernel : {run_streamed, run_materialised, run_team}) {
      const Partial partial = data.poisoned_partial();
      kernel(data.block(partial));
      const Comparison comparison = data.compare(partial);
      // Norms reach further than the 10.3 that the synthetic bound stands for, so the bound is stated anew.
      problem::DataMagnitude magnitude = problem::synthetic_magnitude(64);
      magnitude.max_query_norm += 8.0;
      magnitude.max_key_norm += 50.0;
      const auto bound = problem::attention_error_bound(problem::DType::float32, 1000, 64, 1, magnitude);
      EXPECT_TRUE(comparison.max_error <= bound.output) << comparison.max_error << " > " << bound.output;
      EXPECT_TRUE(comparison.max_lse_error <= bound.log_sum_exp) << comparison.max_lse_error;
    }
  }
}

TEST(AttentionBlock, SlicesOfRowsEqualTheWholeCallBitForBit) {
  for (const std::int64_t head_dim : {64, 40}) {
    for (const bool mask : {false, true}) {
      AttentionCase shape;
      shape.query_tokens = 205;
      shape.key_tokens = 333;
      shape.query_heads = 2;
      shape.head_dim = head_dim;
      shape.admission = mask ? causal(100, 1, 0, 1) : Admission{};
      const CaseData data(shape);
      const Partial whole = data.poisoned_partial();
      run_streamed(data.block(whole));
      for (const std::int64_t slice : {1, 7, 48, 100, 204}) {
        const Partial sliced = data.poisoned_partial();
        for (std::int64_t begin = 0; begin < 205; begin += slice) {
          AttentionBlock block = data.block(sliced);
          block.query_begin = begin;
          block.query_end = std::min<std::int64_t>(begin + slice, 205);
          run_streamed(block);
        }
        const auto host_whole = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, whole.output);
        const auto host_sliced = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, sliced.output);
        EXPECT_EQ(std::memcmp(host_whole.data(), host_sliced.data(), host_whole.size() * sizeof(float)), 0)
            << "slice " << slice << " " << shape.text();
        const auto lse_whole = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, whole.log_sum_exp);
        const auto lse_sliced = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, sliced.log_sum_exp);
        EXPECT_EQ(std::memcmp(lse_whole.data(), lse_sliced.data(), lse_whole.size() * sizeof(float)), 0);
      }
    }
  }
}

TEST(AttentionBlock, SlicesOfHeadsEqualTheWholeCallBitForBit) {
  AttentionCase shape;
  shape.batch = 2;
  shape.query_tokens = 60;
  shape.key_tokens = 133;
  shape.query_heads = 6;
  shape.head_dim = 40;
  shape.admission = causal(73, 1, 0, 1);
  for (const std::int64_t kv_heads : {6, 2}) {
    shape.kv_heads = kv_heads;
    const CaseData data(shape);
    const Partial whole = data.poisoned_partial();
    run_streamed(data.block(whole));
    for (const std::int64_t heads : {1, 4, 6}) {
      const Partial sliced = data.poisoned_partial();
      for (std::int64_t begin = 0; begin < 6; begin += heads) {
        AttentionBlock block = data.block(sliced);
        block.heads = {begin, std::min<std::int64_t>(heads, 6 - begin)};
        run_streamed(block);
      }
      const auto host_whole = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, whole.output);
      const auto host_sliced = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, sliced.output);
      EXPECT_EQ(std::memcmp(host_whole.data(), host_sliced.data(), host_whole.size() * sizeof(float)), 0) << heads;
    }
    // A head that no call computes keeps its poison.
    const Partial lacking = data.poisoned_partial();
    AttentionBlock block = data.block(lacking);
    block.heads = {1, 5};
    run_streamed(block);
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, lacking.output);
    for (int head = 0; head < 6; ++head) {
      EXPECT_EQ(std::isnan(host(1, 59, head, 39)), head == 0) << head;
    }
    for (const HeadRange wrong : {HeadRange{-1, 2}, HeadRange{5, 2}, HeadRange{7, 0}}) {
      block.heads = wrong;
      EXPECT_THROW(run_streamed(block), std::invalid_argument);
    }
  }
}

TEST(AttentionBlock, LeavesOtherRowsAlone) {
  AttentionCase shape;
  shape.query_tokens = 50;
  shape.key_tokens = 70;
  const CaseData data(shape);
  const Partial partial = data.empty_partial();
  Kokkos::deep_copy(partial.output, 123.0F);
  AttentionBlock block = data.block(partial);
  block.query_begin = 10;
  block.query_end = 13;
  run_streamed(block);
  const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.output);
  for (int row = 0; row < 50; ++row) {
    for (int dim = 0; dim < 64; ++dim) {
      EXPECT_EQ(output(0, row, 0, dim) == 123.0F, row < 10 || row >= 13);
    }
  }
}

TEST(AttentionBlock, RefusesShapesThatDoNotFit) {
  AttentionCase shape;
  shape.query_tokens = 8;
  shape.key_tokens = 8;
  shape.query_heads = 4;
  shape.kv_heads = 2;
  const CaseData data(shape);
  const Partial partial = data.empty_partial();
  const AttentionBlock good = data.block(partial);
  EXPECT_NO_THROW(check_attention_block(good));
  AttentionBlock bad = good;
  bad.kv_heads = 3;
  EXPECT_THROW(attention_block(ExecutionSpace(), bad), std::invalid_argument);
  bad = good;
  bad.query_end = 9;
  EXPECT_THROW(attention_block(ExecutionSpace(), bad), std::invalid_argument);
  bad = good;
  bad.packed_key_value = nullptr;
  EXPECT_THROW(attention_block(ExecutionSpace(), bad), std::invalid_argument);
  bad = good;
  bad.admission.key_stride = 0;
  EXPECT_THROW(attention_block(ExecutionSpace(), bad), std::invalid_argument);
  bad = good;
  bad.log_sum_exp = Tensor3(partial.log_sum_exp.data(), 1, 8, 3);
  EXPECT_THROW(attention_block(ExecutionSpace(), bad), std::invalid_argument);
  EXPECT_THROW(attention_block_materialised(ExecutionSpace(), good, nullptr), std::invalid_argument);
}

} // namespace
} // namespace ringscale::kernels::test
