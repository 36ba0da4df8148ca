// SPDX-License-Identifier: Apache-2.0
// The dropout mask, and that forward and backward passes of all kernels see the same one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "gradient_case.hpp"
#include "kernels/dense_row_blocks.hpp"
#include "kernels/tile/team_tile.hpp"

namespace ringscale::kernels::test {
namespace {

constexpr float poison = std::numeric_limits<float>::quiet_NaN();

template <class Member> struct TeamTiles { using Type = tile::TeamTile<Member>; };

void run_team(const AttentionBlock &block) {
  const ExecutionSpace space;
  launch_attention_block<TeamTiles>(space, block);
  space.fence();
}

/// A fraction of `count` draws of probability p lies within six standard deviations: one failure in 5e8.
void expect_fraction(std::int64_t hits, std::int64_t count, double p, const char *what) {
  const double deviation = std::sqrt(p * (1.0 - p) / static_cast<double>(count));
  EXPECT_TRUE(std::abs(static_cast<double>(hits) / static_cast<double>(count) - p) <= 6.0 * deviation) << what;
}

TEST(Dropout, KeepsTheRightFraction) {
  for (const float probability : {0.01F, 0.1F, 0.5F, 0.9F}) {
    const Dropout dropout{probability, 11};
    const double kept = 1.0 - static_cast<double>(probability);
    std::int64_t all = 0;
    for (std::int64_t row = 0; row < 300; ++row) {
      std::int64_t in_row = 0;
      std::int64_t in_column = 0;
      for (std::int64_t key = 0; key < 3000; ++key) {
        in_row += dropout.keeps(1, 2, row, key) ? 1 : 0;
        in_column += dropout.keeps(1, 2, key, row) ? 1 : 0;
      }
      expect_fraction(in_row, 3000, kept, "row");
      expect_fraction(in_column, 3000, kept, "column");
      all += in_row;
    }
    expect_fraction(all, 300 * 3000, kept, "all");
  }
}

TEST(Dropout, NeighboursAreIndependent) {
  // Two pairs that differ by one in one coordinate, or have another seed, are both kept with probability 1/4.
  using Neighbour = std::function<bool(std::int64_t, std::int64_t)>;
  const Dropout dropout{0.5F, 11};
  const Dropout other_seed{0.5F, 12};
  const Neighbour neighbours[] = {
      [&](std::int64_t row, std::int64_t key) { return dropout.keeps(0, 0, row, key + 1); },
      [&](std::int64_t row, std::int64_t key) { return dropout.keeps(0, 0, row + 1, key); },
      [&](std::int64_t row, std::int64_t key) { return dropout.keeps(0, 0, row + 1, key + 1); },
      [&](std::int64_t row, std::int64_t key) { return dropout.keeps(0, 1, row, key); },
      [&](std::int64_t row, std::int64_t key) { return dropout.keeps(1, 0, row, key); },
      [&](std::int64_t row, std::int64_t key) { return dropout.keeps(0, 0, key, row + 1); },
      [&](std::int64_t row, std::int64_t key) { return other_seed.keeps(0, 0, row, key); },
  };
  for (std::size_t index = 0; index < std::size(neighbours); ++index) {
    std::int64_t both = 0;
    for (std::int64_t row = 0; row < 700; ++row) {
      for (std::int64_t key = 0; key < 700; ++key) {
        both += dropout.keeps(0, 0, row, key) && neighbours[index](row, key) ? 1 : 0;
      }
    }
    expect_fraction(both, 700 * 700, 0.25, std::to_string(index).c_str());
  }
}

AttentionCase grouped_case(std::int64_t head_dim, bool causal) {
  AttentionCase shape;
  shape.batch = 2;
  shape.query_tokens = 70;
  shape.key_tokens = 301;
  shape.query_heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = head_dim;
  shape.admission = {causal, 240, 1, 3, 1};
  return shape;
}

TEST(Dropout, ForwardAndBackwardEqualTheReference) {
  for (const std::int64_t head_dim : {64, 128, 21}) {
    for (const bool causal : {false, true}) {
      const Dropout dropout{0.3F, 5};
      GradientData data(grouped_case(head_dim, causal), dropout);
      // The mask multiplies what a weight is worth, and so its error.
      Kokkos::deep_copy(data.data.reference_output, data.output);
      for (const auto kernel : {run_streamed, run_materialised, run_team}) {
        const Partial partial = data.data.poisoned_partial();
        AttentionBlock block = data.data.block(partial);
        block.dropout = dropout;
        kernel(block);
        const Comparison comparison = data.data.compare(partial);
        EXPECT_TRUE(comparison.max_error <= comparison.bound.output * static_cast<double>(dropout.kept_factor()))
            << comparison.max_error;
        EXPECT_TRUE(comparison.max_lse_error <= comparison.bound.log_sum_exp);
      }
      for (const auto kernel : {run_backward, run_team_backward}) {
        const Gradients gradients = data.filled(poison);
        kernel(data.block(gradients));
        const GradientComparison comparison = data.compare(gradients);
        EXPECT_TRUE(comparison.valid()) << comparison.text();
      }
    }
  }
}

TEST(Dropout, NegativeControlAnotherSeedIsRefused) {
  const Dropout dropout{0.3F, 5};
  GradientData data(grouped_case(64, false), dropout);
  Kokkos::deep_copy(data.data.reference_output, data.output);
  const Partial partial = data.data.poisoned_partial();
  AttentionBlock forward = data.data.block(partial);
  forward.dropout = {0.3F, 6};
  run_streamed(forward);
  EXPECT_FALSE(data.data.compare(partial).max_error <= 2.0 * data.data.compare(partial).bound.output);
  const Gradients gradients = data.filled(poison);
  BackwardBlock block = data.block(gradients);
  block.dropout.seed = 6;
  run_backward(block);
  const GradientComparison comparison = data.compare(gradients);
  EXPECT_FALSE(comparison.error.query <= comparison.bound.query);
  EXPECT_FALSE(comparison.error.key <= comparison.bound.key);
  EXPECT_FALSE(comparison.error.value <= comparison.bound.value);
}

TEST(Dropout, SlicesOfRowsEqualTheWholeCallBitForBit) {
  GradientData data(grouped_case(64, true));
  const auto run = [&](const Partial &partial, std::int64_t slice) {
    for (std::int64_t begin = 0; begin < 70; begin += slice) {
      AttentionBlock block = data.data.block(partial);
      block.dropout = {0.2F, 9};
      block.query_begin = begin;
      block.query_end = std::min<std::int64_t>(begin + slice, 70);
      run_streamed(block);
    }
  };
  const Partial whole = data.data.poisoned_partial();
  run(whole, 70);
  const auto expected = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, whole.output);
  for (const std::int64_t slice : {1, 7, 48}) {
    const Partial sliced = data.data.poisoned_partial();
    run(sliced, slice);
    const auto found = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, sliced.output);
    EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0) << slice;
  }
}

TEST(Dropout, SpansOfKeysSeeTheSameMask) {
  const Dropout dropout{0.3F, 5};
  GradientData data(grouped_case(64, true), dropout);
  Kokkos::deep_copy(data.data.reference_output, data.output);
  const Partial partial = data.data.empty_partial();
  for (const std::int64_t begin : {0, 100, 101}) {
    const std::int64_t end = begin == 0 ? 100 : begin == 100 ? 101 : 301;
    Owned1 packed;
    AttentionBlock block = data.data.span_block(partial, begin, end - begin, packed);
    block.dropout = dropout;
    block.merge = Merge::online;
    run_streamed(block);
  }
  const Comparison comparison = data.data.compare(partial, 3);
  EXPECT_TRUE(comparison.max_error <= comparison.bound.output * static_cast<double>(dropout.kept_factor()));
}

TEST(Dropout, ProbabilityZeroChangesNoBit) {
  GradientData data(grouped_case(64, true));
  const Partial plain = data.data.poisoned_partial();
  run_streamed(data.data.block(plain));
  const Partial seeded = data.data.poisoned_partial();
  AttentionBlock block = data.data.block(seeded);
  block.dropout.seed = 99;
  run_streamed(block);
  const auto found = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, seeded.output);
  const auto expected = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, plain.output);
  EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0);
}

TEST(Dropout, MeanOverSeedsIsTheUndroppedOutput) {
  AttentionCase shape;
  shape.query_tokens = 6;
  shape.key_tokens = 50;
  shape.head_dim = 8;
  const GradientData data(shape);
  constexpr int seeds = 1000;
  const std::size_t elements = data.output.size();
  std::vector<double> mean(elements, 0.0);
  std::vector<double> square(elements, 0.0);
  for (int seed = 0; seed < seeds; ++seed) {
    const Partial partial = data.data.poisoned_partial();
    AttentionBlock block = data.data.block(partial);
    block.dropout = {0.25F, static_cast<std::uint64_t>(seed)};
    run_streamed(block);
    const auto found = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.output);
    for (std::size_t index = 0; index < elements; ++index) {
      const auto value = static_cast<double>(found.data()[index]);
      mean[index] += value / seeds;
      square[index] += value * value / seeds;
    }
  }
  const auto expected = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.output);
  for (std::size_t index = 0; index < elements; ++index) {
    const double deviation = std::sqrt((square[index] - mean[index] * mean[index]) / seeds);
    EXPECT_GT(deviation, 0.0);
    EXPECT_TRUE(std::abs(mean[index] - expected.data()[index]) <= 6.0 * deviation)
        << mean[index] << " " << expected.data()[index];
  }
}

TEST(Dropout, RefusesProbabilitiesOutOfRange) {
  const CaseData data(grouped_case(64, false));
  for (const float probability : {-0.5F, 1.0F, poison}) {
    AttentionBlock block = data.block(data.empty_partial());
    block.dropout.probability = probability;
    EXPECT_THROW(run_streamed(block), std::invalid_argument);
  }
}

} // namespace
} // namespace ringscale::kernels::test
