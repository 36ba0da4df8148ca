// SPDX-License-Identifier: Apache-2.0
// Attention on two-byte storage against the double-precision reference: of the rounded inputs, which leaves the error
// of the arithmetic, and of the original ones, which adds that of the storage.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "low_precision_case.hpp"

namespace ringscale::kernels::test {
namespace {

void expect_valid(const AttentionCase &shape) {
  for (const LowPrecisionKernel &kernel : low_precision_kernels()) {
    const LowPrecisionCase data(shape, kernel.format);
    const Partial partial = data.rounded.poisoned_partial();
    kernel.run(data.block(partial));
    const Comparison arithmetic = data.compare_with_rounded(partial, kernel.rounds_weights);
    EXPECT_TRUE(arithmetic.max_error <= arithmetic.bound.output)
        << kernel.name << " " << shape.text() << ": " << arithmetic.max_error << " > " << arithmetic.bound.output;
    EXPECT_TRUE(arithmetic.max_lse_error <= arithmetic.bound.log_sum_exp)
        << kernel.name << " " << shape.text() << ": lse " << arithmetic.max_lse_error;
    const Comparison total = data.compare_with_original(partial);
    EXPECT_TRUE(total.valid()) << kernel.name << " " << shape.text() << ": total " << total.max_error << " > "
                               << total.bound.output;
  }
}

class LowPrecisionHeadDim : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(LowPrecisionHeadDim, EqualsReferenceForAnyTokenCounts) {
  const std::int64_t token_counts[][2] = {{1, 1}, {5, 63}, {6, 64}, {7, 65}, {49, 1}, {50, 257}, {193, 129}, {20, 600}};
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

INSTANTIATE_TEST_SUITE_P(Dims, LowPrecisionHeadDim, ::testing::Values(1, 2, 3, 17, 40, 64, 65, 80, 128, 200));

TEST(LowPrecision, EqualsReferenceForGroupedHeadsBatchesAndOffsets) {
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

TEST(LowPrecision, LargeAndRisingScoresRescaleExactly) {
  for (const double factor : {10.0, 50.0}) {
    AttentionCase shape;
    shape.query_tokens = 61;
    shape.key_tokens = 1000;
    shape.query_factor = factor;
    expect_valid(shape);
  }
}

TEST(LowPrecision, RowsWithoutAnAdmittedKeyAreZeroWithLogSumExpMinusInfinity) {
  AttentionCase shape;
  shape.query_tokens = 60;
  shape.key_tokens = 60;
  shape.admission = {true, 0, 1, 10, 1};
  for (const LowPrecisionKernel &kernel : low_precision_kernels()) {
    const LowPrecisionCase data(shape, kernel.format);
    const Partial partial = data.rounded.poisoned_partial();
    kernel.run(data.block(partial));
    const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.output);
    const auto lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.log_sum_exp);
    for (int row = 0; row < 10; ++row) {
      EXPECT_EQ(lse(0, row, 0), -std::numeric_limits<float>::infinity()) << kernel.name;
      EXPECT_EQ(output(0, row, 0, 63), 0.0F) << kernel.name;
    }
  }
}

TEST(LowPrecision, ANegativeOrZeroScaleIsTaken) {
  AttentionCase shape;
  shape.query_tokens = 20;
  shape.key_tokens = 90;
  shape.admission = {true, 30, 1, 0, 1};
  for (const LowPrecisionKernel &kernel : low_precision_kernels()) {
    for (const float scale : {-0.25F, 0.0F}) {
      const LowPrecisionCase data(shape, kernel.format);
      const ExecutionSpace space;
      reference_attention(space, data.rounded.query, data.rounded.key, data.rounded.value, shape.admission,
                          static_cast<double>(scale), data.rounded.reference_output,
                          data.rounded.reference_log_sum_exp);
      const Partial partial = data.rounded.poisoned_partial();
      LowPrecisionBlock block = data.block(partial);
      block.scale = scale;
      kernel.run(block);
      // |scale| is at most twice that of the bound, and so are scores.
      Comparison comparison = data.compare_with_rounded(partial, kernel.rounds_weights);
      EXPECT_TRUE(comparison.max_error <= 2.0 * comparison.bound.output) << kernel.name << " " << scale;
      EXPECT_TRUE(comparison.max_lse_error <= 2.0 * comparison.bound.log_sum_exp) << kernel.name << " " << scale;
    }
  }
}

/// Output and log-sum-exp of a run over `spans` spans of the keys, merged in order.
Partial merged(const LowPrecisionCase &data, const LowPrecisionKernel &kernel, std::int64_t spans, Patterns4 storage) {
  const Partial partial = data.rounded.empty_partial();
  const std::int64_t keys = data.rounded.shape.key_tokens;
  for (std::int64_t span = 0; span < spans; ++span) {
    const std::int64_t begin = keys * span / spans;
    Patterns1 packed;
    LowPrecisionBlock block = data.span_block(partial, begin, keys * (span + 1) / spans - begin, packed);
    block.merge = Merge::online;
    block.storage_output = storage;
    kernel.run(block);
  }
  return partial;
}

TEST(LowPrecision, MergesSpansIntoFloat32AndIntoStorage) {
  AttentionCase shape;
  shape.query_tokens = 50;
  shape.key_tokens = 700;
  shape.query_heads = 2;
  shape.head_dim = 40;
  shape.admission = {true, 400, 1, 0, 1};
  for (const LowPrecisionKernel &kernel : low_precision_kernels()) {
    const LowPrecisionCase data(shape, kernel.format);
    const Comparison full = data.compare_with_rounded(merged(data, kernel, 5, {}), kernel.rounds_weights, 5);
    EXPECT_TRUE(full.valid()) << kernel.name << ": " << full.max_error << " > " << full.bound.output;
    const Patterns4 storage("storage", 1, 50, 2, 40);
    Partial partial = merged(data, kernel, 5, storage);
    unpack_elements(ExecutionSpace(), storage.data(), static_cast<std::int64_t>(storage.size()), kernel.format,
                    partial.output.data());
    Comparison rounded = data.compare_with_rounded(partial, kernel.rounds_weights, 5);
    const problem::DType dtype = dtype_of(kernel.format);
    EXPECT_GT(rounded.max_error, full.max_error) << kernel.name;
    problem::Roundings roundings;
    roundings.weights = kernel.rounds_weights ? dtype : problem::DType::float32;
    roundings.partials = dtype;
    rounded.bound = problem::attention_error_bound(roundings, 700, 40, 5, problem::synthetic_magnitude(40));
    EXPECT_TRUE(rounded.valid()) << kernel.name << ": " << rounded.max_error << " > " << rounded.bound.output;
  }
}

TEST(LowPrecision, SlicesOfRowsAndHeadsEqualTheWholeCallBitForBit) {
  for (const std::int64_t head_dim : {64, 41}) {
    AttentionCase shape;
    shape.query_tokens = 205;
    shape.key_tokens = 333;
    shape.query_heads = 2;
    shape.head_dim = head_dim;
    shape.admission = {true, 100, 1, 0, 1};
    for (const LowPrecisionKernel &kernel : low_precision_kernels()) {
      const LowPrecisionCase data(shape, kernel.format);
      const Partial whole = data.rounded.poisoned_partial();
      kernel.run(data.block(whole));
      for (const std::int64_t slice : {1, 7, 100}) {
        const Partial sliced = data.rounded.poisoned_partial();
        for (std::int64_t begin = 0; begin < 205; begin += slice) {
          LowPrecisionBlock block = data.block(sliced);
          block.query_begin = begin;
          block.query_end = std::min<std::int64_t>(begin + slice, 205);
          for (std::int64_t head = 0; head < 2; ++head) {
            block.heads = {head, 1};
            kernel.run(block);
          }
        }
        const auto first = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, whole.output);
        const auto second = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, sliced.output);
        EXPECT_EQ(std::memcmp(first.data(), second.data(), first.size() * sizeof(float)), 0)
            << kernel.name << " slice " << slice << " " << shape.text();
      }
    }
  }
}

TEST(LowPrecision, ThreadsChangeNoBit) {
  AttentionCase shape;
  shape.query_tokens = 150;
  shape.key_tokens = 300;
  shape.query_heads = 3;
  for (const LowPrecisionKernel &kernel : low_precision_kernels()) {
    const LowPrecisionCase data(shape, kernel.format);
    const Partial together = data.rounded.poisoned_partial();
    kernel.run(data.block(together));
    const Partial apart = data.rounded.poisoned_partial();
    const auto instances = Kokkos::Experimental::partition_space(ExecutionSpace(), 1, 1);
    launch_on(instances[0], kernel, data.block(apart));
    const auto first = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, together.output);
    const auto second = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, apart.output);
    EXPECT_EQ(std::memcmp(first.data(), second.data(), first.size() * sizeof(float)), 0) << kernel.name;
  }
}

TEST(LowPrecision, RefusesWhatDoesNotFit) {
  AttentionCase shape;
  shape.query_tokens = 8;
  shape.key_tokens = 8;
  shape.query_heads = 4;
  shape.kv_heads = 2;
  const LowPrecisionCase data(shape, NumberFormat::float16);
  const Partial partial = data.rounded.empty_partial();
  const LowPrecisionBlock good = data.block(partial);
  EXPECT_NO_THROW(check_low_precision_block(good));
  const auto refused = [&](const auto &damage) {
    LowPrecisionBlock bad = good;
    damage(bad);
    EXPECT_THROW(attention_block_low_precision(ExecutionSpace(), bad), std::invalid_argument);
  };
  refused([](LowPrecisionBlock &block) { block.kv_heads = 3; });
  refused([](LowPrecisionBlock &block) { block.query_end = 9; });
  refused([](LowPrecisionBlock &block) { block.packed_key_value = nullptr; });
  refused([](LowPrecisionBlock &block) { block.admission.key_stride = 0; });
  refused([](LowPrecisionBlock &block) { block.format = NumberFormat::float8_e4m3; });
  refused([](LowPrecisionBlock &block) { block.format = NumberFormat::float32; });
  refused([](LowPrecisionBlock &block) { block.arithmetic = LowPrecisionArithmetic::native; }); // float16 has none
  refused([](LowPrecisionBlock &block) { block.output = {}; });
  const Patterns4 storage("storage", 1, 8, 4, 63);
  refused([&](LowPrecisionBlock &block) { block.storage_output = storage; });
}

} // namespace
} // namespace ringscale::kernels::test
