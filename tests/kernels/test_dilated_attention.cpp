// SPDX-License-Identifier: Apache-2.0
// Dilated attention against the one formula in double precision, over conventions, lengths, rates and shapes.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/dilated_row_blocks.hpp"
#include "kernels/tile/select_tile.hpp"
#include "pattern_case.hpp"
#include "problem/pattern.hpp"

namespace ringscale::kernels::test {
namespace {

constexpr DilationConvention conventions[] = {DilationConvention::split, DilationConvention::longnet,
                                              DilationConvention::longnet_blocked};

template <class Member> using ThisTile = tile::SelectTile<64, Member>;

void expect_valid(const PatternData &data, const Dilation &dilation) {
  data.compute_dilated_reference(dilation);
  for (const bool team : {false, true}) {
    const Partial partial = data.poisoned_partial();
    run_dilated(data.dilated(dilation, partial), team);
    const Comparison comparison = data.compare(partial, static_cast<std::int64_t>(dilation.segment_lengths.size()));
    EXPECT_TRUE(comparison.max_error <= comparison.bound.output)
        << (team ? "team " : "") << data.shape.text() << " convention " << static_cast<int>(dilation.convention) << ": "
        << comparison.max_error << " > " << comparison.bound.output;
    EXPECT_TRUE(comparison.max_lse_error <= comparison.bound.log_sum_exp)
        << (team ? "team " : "") << data.shape.text() << ": lse " << comparison.max_lse_error;
  }
}

TEST(DilatedAttention, EqualsTheFormulaForEveryConventionAndHeadCount) {
  const std::vector<std::vector<std::int64_t>> lengths = {{32}, {48, 96}, {16, 64, 1000}, {7, 50, 50, 130}};
  const std::vector<std::vector<std::int64_t>> rates = {{2}, {1, 3}, {1, 2, 4}, {3, 1, 1, 7}};
  for (const DilationConvention convention : conventions) {
    for (std::size_t pattern = 0; pattern < lengths.size(); ++pattern) {
      for (const std::int64_t heads : {1, 2, 3, 8}) {
        for (const bool causal : {false, true}) {
          PatternCase shape;
          shape.query_tokens = shape.key_tokens = 131;
          shape.query_heads = shape.kv_heads = heads;
          shape.head_dim = 16;
          shape.causal = causal;
          expect_valid(PatternData(shape), {lengths[pattern], rates[pattern], convention});
        }
      }
    }
  }
}

TEST(DilatedAttention, EqualsTheFormulaForAnyHeadDim) {
  for (const std::int64_t head_dim : {1, 3, 17, 40, 64, 65, 80, 128, 200}) {
    PatternCase shape;
    shape.query_tokens = shape.key_tokens = 97;
    shape.query_heads = shape.kv_heads = 2;
    shape.head_dim = head_dim;
    shape.causal = head_dim % 2 == 0;
    expect_valid(PatternData(shape), {{40, 97}, {1, 2}, DilationConvention::longnet});
  }
}

TEST(DilatedAttention, EqualsTheFormulaForGroupedHeadsAndBatches) {
  const std::int64_t heads[][2] = {{8, 2}, {8, 1}, {6, 3}, {12, 4}};
  for (const auto &pair : heads) {
    for (const DilationConvention convention : conventions) {
      PatternCase shape;
      shape.batch = 2;
      shape.query_tokens = shape.key_tokens = 90;
      shape.query_heads = pair[0];
      shape.kv_heads = pair[1];
      shape.head_dim = 32;
      shape.causal = convention == DilationConvention::split;
      expect_valid(PatternData(shape), {{30, 64, 90}, {1, 3, 5}, convention});
    }
  }
}

TEST(DilatedAttention, EqualsTheFormulaForAnyTokenCounts) {
  const std::int64_t token_counts[][2] = {{1, 1}, {1, 70}, {70, 1}, {5, 63}, {64, 64}, {200, 129}, {129, 300}};
  for (const auto &tokens : token_counts) {
    for (const bool causal : {false, true}) {
      PatternCase shape;
      shape.query_tokens = tokens[0];
      shape.key_tokens = tokens[1];
      shape.query_heads = shape.kv_heads = 3;
      shape.head_dim = 24;
      shape.causal = causal;
      expect_valid(PatternData(shape), {{33, 256}, {1, 2}, DilationConvention::longnet});
      expect_valid(PatternData(shape), {{200, 64, 9}, {1, 2, 4}, DilationConvention::split});
    }
  }
}

TEST(DilatedAttention, ManyRowsTakeSeveralBlocksOfASegment) {
  for (const bool causal : {false, true}) {
    PatternCase shape;
    shape.query_tokens = shape.key_tokens = 1100;
    shape.query_heads = shape.kv_heads = 2;
    shape.head_dim = 64;
    shape.causal = causal;
    expect_valid(PatternData(shape), {{500, 1100}, {1, 2}, DilationConvention::split});
  }
}

TEST(DilatedAttention, RowsThatNoGroupCoversAreZeroWithLogSumExpMinusInfinity) {
  PatternCase shape;
  shape.query_tokens = shape.key_tokens = 100;
  const PatternData data(shape);
  const Dilation dilation{{50}, {4}, DilationConvention::split};
  for (const bool team : {false, true}) {
    const Partial partial = data.poisoned_partial();
    run_dilated(data.dilated(dilation, partial), team);
    const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.output);
    const auto lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.log_sum_exp);
    for (int row = 0; row < 100; ++row) {
      const bool covered = row % 50 % 4 == 0;
      EXPECT_EQ(lse(0, row, 0) == -std::numeric_limits<float>::infinity(), !covered) << row;
      EXPECT_EQ(output(0, row, 0, 5) == 0.0F, !covered) << row;
    }
  }
  // A rate beyond the segment leaves its later phases without a token.
  PatternCase many_heads = shape;
  many_heads.query_heads = many_heads.kv_heads = 8;
  expect_valid(PatternData(many_heads), {{4}, {7}, DilationConvention::longnet});
}

TEST(DilatedAttention, IsDenseForOneSegmentAtRateOne) {
  for (const std::int64_t segment : {150, 151, 100000}) {
    for (const DilationConvention convention : conventions) {
      PatternCase shape;
      shape.query_tokens = shape.key_tokens = 150;
      shape.query_heads = shape.kv_heads = 3;
      shape.causal = segment == 151;
      const PatternData data(shape);
      const Partial dilated = data.poisoned_partial();
      run_dilated(data.dilated({{segment}, {1}, convention}, dilated));
      const Partial dense = data.poisoned_partial();
      Owned1 packed;
      run_streamed(whole_block(data, dense, packed));
      // Same rows, same order of keys; only the last rounding of the online join may differ.
      const auto one = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, dilated.output);
      const auto other = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, dense.output);
      for (std::size_t index = 0; index < one.size(); ++index) {
        EXPECT_TRUE(std::abs(one.data()[index] - other.data()[index]) <= 0x1p-22F) << index;
      }
    }
  }
}

TEST(DilatedAttention, ChunksWithOriginsJoinToTheWhole) {
  // Keys come in three chunks whose borders cut segments anywhere; queries are the tokens 60 .. 159.
  const Dilation dilation{{48, 100, 170}, {1, 3, 4}, DilationConvention::longnet};
  for (const bool causal : {false, true}) {
    PatternCase shape;
    shape.query_tokens = 100;
    shape.query_origin = 60;
    shape.key_tokens = 170;
    shape.query_heads = 4;
    shape.kv_heads = 2;
    shape.head_dim = 40;
    shape.causal = causal;
    const PatternData data(shape);
    expect_valid(data, dilation);
    const Partial joined = data.poisoned_partial();
    const std::int64_t borders[] = {0, 37, 128, 170};
    for (int chunk = 0; chunk < 3; ++chunk) {
      DilatedAttention part = data.dilated(dilation, joined);
      // Batch is 1, so a range of tokens is contiguous.
      const std::int64_t count = borders[chunk + 1] - borders[chunk];
      const std::int64_t skipped = borders[chunk] * shape.kv_heads * shape.head_dim;
      part.key = ConstTensor4(data.key.data() + skipped, 1, count, shape.kv_heads, shape.head_dim);
      part.value = ConstTensor4(data.value.data() + skipped, 1, count, shape.kv_heads, shape.head_dim);
      part.key_origin = borders[chunk];
      part.accumulate = chunk > 0;
      run_dilated(part);
    }
    EXPECT_TRUE(data.compare(joined, 9).valid());
  }
}

/// The first group's rows alone, cut as for `threads` threads.
Owned4 output_cut_for(const PatternData &data, const Dilation &dilation, std::int64_t threads) {
  const Partial partial = data.poisoned_partial();
  const DilatedAttention attention = data.dilated(dilation, partial);
  const DilatedLayout layout = dilated_layouts(attention).front();
  const Owned1 packed("packed", layout.packed_elements());
  const ExecutionSpace space;
  clear_partial(space, partial.output, partial.log_sum_exp);
  pack_dilated_group(space, attention, layout, packed.data());
  using Kernel = StreamedAttention<ThisTile, DilatedRowBlocks>;
  const DilatedRowBlocks blocks = DilatedRowBlocks::cut(attention, layout, packed.data(), Kernel::Tile::rows_per_block,
                                                        Kernel::Tile::row_granularity, threads);
  Kernel::launch(space, "test", blocks.league_size(), Kernel{blocks, 64, attention.scale, Merge::online});
  space.fence();
  return partial.output;
}

TEST(DilatedAttention, GivesTheSameBitsForAnyNumberOfThreads) {
  for (const bool causal : {false, true}) {
    PatternCase shape;
    shape.query_tokens = shape.key_tokens = 900;
    shape.query_heads = shape.kv_heads = 2;
    shape.causal = causal;
    const PatternData data(shape);
    const Dilation dilation{{900}, {2}, DilationConvention::longnet};
    const Owned4 one = output_cut_for(data, dilation, 1);
    for (const std::int64_t threads : {2, 3, 64}) {
      EXPECT_TRUE(same_bits(one, output_cut_for(data, dilation, threads))) << threads;
    }
    const Partial first = data.poisoned_partial();
    run_dilated(data.dilated(dilation, first));
    const Partial again = data.poisoned_partial();
    run_dilated(data.dilated(dilation, again));
    EXPECT_TRUE(same_bits(first.output, again.output));
  }
}

TEST(DilatedAttention, WorkIsFourFlopPerAdmittedPairAndDimension) {
  for (const DilationConvention convention : conventions) {
    for (const bool causal : {false, true}) {
      PatternCase shape;
      shape.batch = 2;
      shape.query_tokens = 77;
      shape.key_tokens = 90;
      shape.query_heads = 6;
      shape.kv_heads = 3;
      shape.head_dim = 8;
      shape.causal = causal;
      const PatternData data(shape);
      const Dilation dilation{{20, 50, 300}, {1, 2, 5}, convention};
      problem::Pattern pattern;
      pattern.kind = problem::PatternKind::dilated;
      pattern.dilated = {dilation.segment_lengths, dilation.dilation_rates,
                         static_cast<problem::DilationConvention>(convention)};
      double pairs = 0.0;
      for (int head = 0; head < 6; ++head) {
        for (int query = 0; query < 77; ++query) {
          for (int key = 0; key < 90; ++key) {
            pairs += static_cast<double>(problem::multiplicity(
                pattern, causal ? problem::Mask::causal : problem::Mask::none, 6, head, query, key));
          }
        }
      }
      const Partial partial = data.poisoned_partial();
      EXPECT_DOUBLE_EQ(dilated_attention_work(data.dilated(dilation, partial)).flop, 4.0 * 2 * pairs * 8);
    }
  }
}

TEST(DilatedAttention, BytesOfOneGroupCountedByHand) {
  PatternCase shape;
  shape.query_tokens = shape.key_tokens = 10;
  shape.query_heads = shape.kv_heads = 2;
  shape.head_dim = 4;
  const PatternData data(shape);
  const Partial partial = data.poisoned_partial();
  // Tokens 0, 3 of segment 0..4 and 5, 8 of 5..9: four rows and four keys a head.
  const DilatedAttention attention = data.dilated({{5}, {3}, DilationConvention::split}, partial);
  const KernelWork work = dilated_attention_work(attention);
  const double tensor_rows = 4.0 * 2;
  EXPECT_DOUBLE_EQ(work.read_bytes, 4.0 * tensor_rows * (4 + 4 + 1 + 2 * 4 + 2 * 4));
  EXPECT_DOUBLE_EQ(work.written_bytes, 4.0 * (tensor_rows * (4 + 1 + 2 * 4) + 10 * 2 * (4 + 1)));
  // Two heads x two segments, each padded to one tile of 64 keys and values.
  EXPECT_EQ(dilated_workspace_elements(attention), 2 * 2 * 2 * 64 * 4);
}

TEST(DilatedAttention, RefusesShapesThatDoNotFit) {
  PatternCase shape;
  shape.query_tokens = shape.key_tokens = 8;
  shape.query_heads = 4;
  shape.kv_heads = 2;
  const PatternData data(shape);
  const Partial partial = data.poisoned_partial();
  const DilatedAttention good = data.dilated({{8}, {1}, DilationConvention::split}, partial);
  EXPECT_NO_THROW(check_dilated_attention(good));
  DilatedAttention bad = good;
  bad.dilation.dilation_rates = {1, 2};
  EXPECT_THROW(dilated_workspace_elements(bad), std::invalid_argument);
  bad.dilation.dilation_rates = {0};
  EXPECT_THROW(dilated_workspace_elements(bad), std::invalid_argument);
  bad = good;
  bad.value = data.query;
  EXPECT_THROW(dilated_attention(ExecutionSpace(), bad, nullptr), std::invalid_argument);
  bad = good;
  bad.query_origin = -1;
  EXPECT_THROW(dilated_attention(ExecutionSpace(), bad, nullptr), std::invalid_argument);
  bad = good;
  bad.log_sum_exp = Tensor3(partial.log_sum_exp.data(), 1, 8, 3);
  EXPECT_THROW(dilated_attention(ExecutionSpace(), bad, nullptr), std::invalid_argument);
  EXPECT_THROW(dilated_attention(ExecutionSpace(), good, nullptr), std::invalid_argument);
}

} // namespace
} // namespace ringscale::kernels::test
