// SPDX-License-Identifier: Apache-2.0
// The tile of tensor cores, with plain loops in their place: against the double-precision reference, beside the team
// tile that converts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "matrix_tile_case.hpp"

namespace ringscale::kernels::test {
namespace {

void expect_valid(const AttentionCase &shape) {
  for (const NumberFormat format : formats) {
    const LowPrecisionCase data(shape, format);
    using Kernel = void (*)(const LowPrecisionBlock &);
    std::vector<Kernel> kernels{run_matrix<0>};
    if (shape.head_dim == 64 || shape.head_dim == 128) {
      kernels.push_back(shape.head_dim == 64 ? run_matrix<64> : run_matrix<128>);
    }
    for (const Kernel kernel : kernels) {
      const Partial partial = data.rounded.poisoned_partial();
      kernel(data.block(partial));
      const Comparison comparison = data.compare_with_rounded(partial, true);
      EXPECT_TRUE(comparison.max_error <= comparison.bound.output)
          << shape.text() << ": " << comparison.max_error << " > " << comparison.bound.output;
      EXPECT_TRUE(comparison.max_lse_error <= comparison.bound.log_sum_exp)
          << shape.text() << ": lse " << comparison.max_lse_error << " > " << comparison.bound.log_sum_exp;
    }
  }
}

template <class View> bool same_bits(const View &first, const View &second) {
  const auto one = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, first);
  const auto other = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, second);
  return std::memcmp(one.data(), other.data(), one.size() * sizeof(*one.data())) == 0;
}

bool same_bits(const Partial &first, const Partial &second) {
  return same_bits(first.output, second.output) && same_bits(first.log_sum_exp, second.log_sum_exp);
}

class MatrixTileHeadDim : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(MatrixTileHeadDim, EqualsReferenceForAnyTokenCounts) {
  const std::int64_t token_counts[][2] = {{1, 1}, {1, 200}, {15, 16}, {17, 63}, {33, 64}, {50, 129}};
  for (const auto &tokens : token_counts) {
    for (const bool mask : {false, true}) {
      AttentionCase shape;
      shape.query_tokens = tokens[0];
      shape.key_tokens = tokens[1];
      shape.head_dim = GetParam();
      shape.admission.causal = mask;
      expect_valid(shape);
    }
  }
}

// 256 is the last that fits into shared memory, 600 has more than one chunk holds of 16 values.
INSTANTIATE_TEST_SUITE_P(Dims, MatrixTileHeadDim,
                         ::testing::Values(1, 2, 3, 16, 17, 40, 64, 65, 80, 128, 200, 256, 300, 600));

TEST(MatrixTile, EqualsReferenceForGroupedHeadsBatchesAndOffsets) {
  const std::int64_t heads[][2] = {{4, 4}, {8, 2}, {6, 1}};
  const Admission admissions[] = {{}, {true, 55, 1, 0, 1}, {true, 37, 1, 101, 1}, {true, 3, 4, 1, 4}};
  for (const auto &pair : heads) {
    for (const Admission &admission : admissions) {
      AttentionCase shape;
      shape.batch = 2;
      shape.query_tokens = 75;
      shape.key_tokens = 131;
      shape.query_heads = pair[0];
      shape.kv_heads = pair[1];
      shape.head_dim = 33;
      shape.admission = admission;
      expect_valid(shape);
    }
  }
}

TEST(MatrixTile, LargeAndRisingScoresRescaleExactly) {
  for (const double factor : {10.0, 50.0}) {
    AttentionCase shape;
    shape.query_tokens = 61;
    shape.key_tokens = 1000;
    shape.query_factor = factor;
    expect_valid(shape);
  }
}

TEST(MatrixTile, RowsWithoutAnAdmittedKeyAreZeroWithLogSumExpMinusInfinity) {
  AttentionCase shape;
  shape.query_tokens = 60;
  shape.key_tokens = 60;
  shape.admission = {true, 0, 1, 10, 1};
  for (const NumberFormat format : formats) {
    const LowPrecisionCase data(shape, format);
    const Partial partial = data.rounded.poisoned_partial();
    run_matrix(data.block(partial));
    const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.output);
    const auto lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.log_sum_exp);
    for (int row = 0; row < 10; ++row) {
      EXPECT_EQ(lse(0, row, 0), -std::numeric_limits<float>::infinity());
      EXPECT_EQ(output(0, row, 0, 63), 0.0F);
    }
    EXPECT_TRUE(data.compare_with_rounded(partial, true).valid());
  }
}

TEST(MatrixTile, MergesSpansIntoFloat32AndIntoStorage) {
  AttentionCase shape;
  shape.query_tokens = 50;
  shape.key_tokens = 700;
  shape.query_heads = 2;
  shape.head_dim = 40;
  shape.admission = {true, 400, 1, 0, 1};
  for (const NumberFormat format : formats) {
    const LowPrecisionCase data(shape, format);
    const Patterns4 storage("storage", 1, 50, 2, 40);
    for (const bool rounded : {false, true}) {
      const Partial partial = data.rounded.empty_partial();
      for (std::int64_t span = 0; span < 5; ++span) {
        Patterns1 packed;
        LowPrecisionBlock block = data.span_block(partial, 140 * span, 140, packed);
        block.merge = Merge::online;
        if (rounded) {
          block.storage_output = storage;
        }
        run_matrix(block);
      }
      if (rounded) {
        unpack_elements(ExecutionSpace(), storage.data(), static_cast<std::int64_t>(storage.size()), format,
                        partial.output.data());
      }
      Comparison comparison = data.compare_with_rounded(partial, true, 5);
      if (rounded) {
        problem::Roundings roundings;
        roundings.weights = roundings.partials = dtype_of(format);
        comparison.bound = problem::attention_error_bound(roundings, 700, 40, 5, problem::synthetic_magnitude(40));
      }
      EXPECT_TRUE(comparison.valid()) << comparison.max_error << " > " << comparison.bound.output;
    }
  }
}

TEST(MatrixTile, IsAsFarFromTheConvertingTileAsTheirBoundsAllow) {
  AttentionCase shape;
  shape.query_tokens = 70;
  shape.key_tokens = 300;
  shape.admission = {true, 230, 1, 0, 1};
  for (const LowPrecisionKernel &kernel : low_precision_kernels()) {
    const LowPrecisionCase data(shape, kernel.format);
    const Partial converted = data.rounded.poisoned_partial();
    kernel.run(data.block(converted));
    const Partial partial = data.rounded.poisoned_partial();
    run_matrix<64>(data.block(partial));
    const double bound = data.compare_with_rounded(partial, true).bound.output +
                         data.compare_with_rounded(converted, kernel.rounds_weights).bound.output;
    const auto first = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.output);
    const auto second = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, converted.output);
    double most = 0.0;
    for (std::size_t index = 0; index < first.size(); ++index) {
      const double apart = std::abs(static_cast<double>(first.data()[index]) - second.data()[index]);
      most = apart <= most ? most : apart; // NaN stays
    }
    EXPECT_TRUE(most <= bound) << kernel.name << ": " << most << " > " << bound;
  }
}

TEST(MatrixTile, WeightsFarBelowTheLargestCountInFloat16Too) {
  // One key 18.0 above 4095 equal ones: each weighs 2^-26 of it, together 6e-5. They alone have a value.
  // Times 128, a weight is 2^-19 of the largest: half a step of float16 there, 2^-25, is 2^-6 of it.
  AttentionCase shape;
  shape.key_tokens = 4096;
  shape.head_dim = 16;
  const LowPrecisionCase data(shape, NumberFormat::float16);
  const auto pattern = [](float value) { return static_cast<std::uint16_t>(encode<float16_format>(value)); };
  Kokkos::deep_copy(data.query, pattern(0.0F));
  Kokkos::deep_copy(data.key, pattern(0.0F));
  Kokkos::deep_copy(data.value, pattern(1024.0F));
  const auto set_first = [&](const Patterns4 &tensor, float value) {
    Kokkos::deep_copy(Kokkos::subview(tensor, 0, 0, 0, 0), pattern(value));
  };
  set_first(data.query, 1.0F);
  set_first(data.key, 18.0F);
  Kokkos::deep_copy(Kokkos::subview(data.value, 0, 0, 0, Kokkos::ALL), pattern(0.0F));
  const Partial partial = data.rounded.poisoned_partial();
  Patterns1 packed;
  LowPrecisionBlock block = data.span_block(partial, 0, 4096, packed);
  block.scale = 1.0F;
  run_matrix(block);
  const double weight = 4095.0 * std::exp(-18.0);
  const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.output);
  EXPECT_NEAR(output(0, 0, 0, 5), 1024.0 * weight / (1.0 + weight), 1024.0 * weight / 64.0);
}

TEST(MatrixTile, SlicesThreadsAndScratchLevelsChangeNoBit) {
  AttentionCase shape;
  shape.query_tokens = 205;
  shape.key_tokens = 333;
  shape.query_heads = 2;
  shape.admission = {true, 100, 1, 0, 1};
  for (const NumberFormat format : formats) {
    const LowPrecisionCase data(shape, format);
    const Partial whole = data.rounded.poisoned_partial();
    run_matrix<64>(data.block(whole));
    for (const std::int64_t slice : {1, 7, 100}) {
      const Partial sliced = data.rounded.poisoned_partial();
      for (std::int64_t begin = 0; begin < 205; begin += slice) {
        LowPrecisionBlock block = data.block(sliced);
        block.query_begin = begin;
        block.query_end = std::min<std::int64_t>(begin + slice, 205);
        run_matrix<64>(block);
      }
      EXPECT_TRUE(same_bits(whole, sliced)) << slice;
    }
    const Partial apart = data.rounded.poisoned_partial();
    launch_matrix<64>(Kokkos::Experimental::partition_space(ExecutionSpace(), 1, 1)[0], data.block(apart));
    EXPECT_TRUE(same_bits(whole, apart));
    const Partial global = data.rounded.poisoned_partial();
    run_matrix<64, MatrixProduct, ScratchChoice::global>(data.block(global));
    EXPECT_TRUE(same_bits(whole, global));
    const Partial smaller = data.rounded.poisoned_partial(); // 16 rows a team instead of 32, other chunks
    run_matrix<0>(data.block(smaller));
    EXPECT_TRUE(same_bits(whole, smaller));
  }
}

} // namespace
} // namespace ringscale::kernels::test
