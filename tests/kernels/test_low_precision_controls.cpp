// SPDX-License-Identifier: Apache-2.0
// Mistakes of two-byte storage made on purpose, the packed layout, emulated formats, and declared work.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>

#include "low_precision_case.hpp"

namespace ringscale::kernels::test {
namespace {

AttentionCase small_case(std::int64_t keys, std::int64_t head_dim) {
  AttentionCase shape;
  shape.query_tokens = 70;
  shape.key_tokens = keys;
  shape.head_dim = head_dim;
  return shape;
}

/// Runs every kernel on a case whose packed keys, values and block `damage` has changed, and expects a refusal.
template <class Damage> void expect_refused(const AttentionCase &shape, const Damage &damage) {
  for (const LowPrecisionKernel &kernel : low_precision_kernels()) {
    LowPrecisionCase data(shape, kernel.format);
    const Partial partial = data.rounded.poisoned_partial();
    kernel.run(data.block(partial));
    EXPECT_TRUE(data.compare_with_rounded(partial, kernel.rounds_weights).valid()) << kernel.name << " undamaged";
    damage(data, kernel, partial);
    EXPECT_FALSE(data.compare_with_rounded(partial, kernel.rounds_weights).valid()) << kernel.name;
  }
}

TEST(LowPrecisionControl, OneFormatReadAsTheOtherIsRefused) {
  AttentionCase shape = small_case(300, 64);
  for (const NumberFormat format : {NumberFormat::bfloat16, NumberFormat::float16}) {
    const LowPrecisionCase data(shape, format);
    const Partial partial = data.rounded.poisoned_partial();
    LowPrecisionBlock block = data.block(partial);
    block.format = format == NumberFormat::bfloat16 ? NumberFormat::float16 : NumberFormat::bfloat16;
    attention_block_low_precision(ExecutionSpace(), block);
    ExecutionSpace().fence();
    EXPECT_FALSE(data.compare_with_rounded(partial, true).valid());
    EXPECT_FALSE(data.compare_with_original(partial).valid());
  }
}

TEST(LowPrecisionControl, RoundedWeightsClaimedToBeFloat32AreRefused) {
  if (!has_native_bfloat16()) {
    // Without native products nothing here rounds weights; that the kernels say so is what is left to check.
    for (const LowPrecisionKernel &kernel : low_precision_kernels()) {
      EXPECT_FALSE(kernel.rounds_weights);
    }
    return;
  }
  const LowPrecisionCase data(small_case(300, 64), NumberFormat::bfloat16);
  const Partial partial = data.rounded.poisoned_partial();
  LowPrecisionBlock block = data.block(partial);
  block.arithmetic = LowPrecisionArithmetic::native;
  attention_block_low_precision(ExecutionSpace(), block);
  ExecutionSpace().fence();
  EXPECT_TRUE(data.compare_with_rounded(partial, true).valid());
  EXPECT_FALSE(data.compare_with_rounded(partial, false).valid());
}

TEST(LowPrecisionControl, ArithmeticOnUnroundedInputsIsRefused) {
  // The float32 kernel on the original tensors is no attention of the rounded ones.
  for (const NumberFormat format : {NumberFormat::bfloat16, NumberFormat::float16}) {
    const LowPrecisionCase data(small_case(300, 64), format);
    const Partial partial = data.original.poisoned_partial();
    run_streamed(data.original.block(partial));
    EXPECT_FALSE(data.compare_with_rounded(partial, false).valid());
    EXPECT_TRUE(data.compare_with_original(partial).valid());
  }
}

TEST(LowPrecisionControl, ALastDimensionLostInAnOddHeadIsRefused) {
  for (const std::int64_t head_dim : {3, 17, 65}) {
    expect_refused(small_case(9, head_dim),
                   [&](LowPrecisionCase &data, const LowPrecisionKernel &kernel, const Partial &partial) {
                     const auto key = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.key);
                     for (int token = 0; token < 9; ++token) {
                       key(0, token, 0, static_cast<int>(head_dim - 1)) = 0;
                     }
                     Kokkos::deep_copy(data.key, key);
                     Patterns1 packed;
                     kernel.run(data.span_block(partial, 0, 9, packed));
                   });
  }
}

TEST(LowPrecisionControl, SwappedPairsAreRefused) {
  // The two values of every pair of tokens in each other's place: of the right size, in the wrong order.
  expect_refused(small_case(20, 64),
                 [](LowPrecisionCase &data, const LowPrecisionKernel &kernel, const Partial &partial) {
                   Patterns1 packed;
                   const LowPrecisionBlock block = data.span_block(partial, 0, 20, packed);
                   const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, packed);
                   for (std::size_t index = 64 * 64; index < host.size(); index += 2) {
                     std::swap(host(index), host(index + 1));
                   }
                   Kokkos::deep_copy(packed, host);
                   kernel.run(block);
                 });
}

TEST(LowPrecisionControl, OneKeyLostOfFewIsRefused) {
  expect_refused(small_case(21, 64),
                 [](LowPrecisionCase &data, const LowPrecisionKernel &kernel, const Partial &partial) {
                   Patterns1 packed;
                   kernel.run(data.span_block(partial, 0, 20, packed));
                 });
}

TEST(LowPrecisionControl, AWrongScaleIsRefused) {
  expect_refused(small_case(60, 64),
                 [](LowPrecisionCase &data, const LowPrecisionKernel &kernel, const Partial &partial) {
                   LowPrecisionBlock block = data.block(partial);
                   block.scale *= 1.05F;
                   kernel.run(block);
                 });
}

TEST(LowPrecisionControl, NotANumberReachesTheComparisonAndStaysInItsRow) {
  const AttentionCase shape = small_case(300, 64);
  for (const LowPrecisionKernel &kernel : low_precision_kernels()) {
    LowPrecisionCase data(shape, kernel.format);
    const Partial clean = data.rounded.poisoned_partial();
    kernel.run(data.block(clean));
    const auto query = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.query);
    query(0, 33, 0, 17) = 0x7FFF; // a NaN of both formats
    Kokkos::deep_copy(data.query, query);
    const Partial partial = data.rounded.poisoned_partial();
    kernel.run(data.block(partial));
    EXPECT_TRUE(std::isnan(data.compare_with_rounded(partial, kernel.rounds_weights).max_error)) << kernel.name;
    const auto expected = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, clean.output);
    const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.output);
    for (int row = 0; row < 70; ++row) {
      EXPECT_EQ(std::isnan(output(0, row, 0, 5)), row == 33) << kernel.name << " row " << row;
      if (row != 33) {
        EXPECT_EQ(output(0, row, 0, 5), expected(0, row, 0, 5)) << kernel.name << " row " << row;
      }
    }
  }
}

TEST(PackedLowPrecision, HoldsEveryElementOnceAndZerosElsewhere) {
  AttentionCase shape;
  shape.batch = 2;
  shape.key_tokens = 150;
  shape.query_heads = shape.kv_heads = 3;
  const ExecutionSpace space;
  for (const std::int64_t head_dim : {1, 5, 8}) {
    shape.head_dim = head_dim;
    const LowPrecisionCase data(shape, NumberFormat::float16);
    const std::int64_t pairs = (head_dim + 1) / 2;
    const std::int64_t elements = packed_low_precision_elements(2, 130, 3, head_dim);
    ASSERT_EQ(elements, 2 * 3 * 192 * (2 * pairs + head_dim));
    if (head_dim % 2 == 0) {
      ASSERT_EQ(2 * 2 * elements, 4 * packed_elements(2, 130, 3, head_dim)); // half the bytes
    }
    const Patterns1 packed("packed", elements + 1);
    const Patterns1 from_floats("packed", elements + 1);
    Kokkos::deep_copy(packed, std::uint16_t{77});
    pack_key_value(space, ConstStorageTensor4(data.key), ConstStorageTensor4(data.value), 11, 130, packed.data());
    pack_key_value(space, data.original.key, data.original.value, 11, 130, NumberFormat::float16, from_floats.data());
    space.fence();
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, packed);
    const auto second = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, from_floats);
    const auto key = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.key);
    const auto value = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.value);
    std::int64_t at = 0;
    for (int batch = 0; batch < 2; ++batch) {
      for (int head = 0; head < 3; ++head) {
        // Walked in the order of memory: tile, pair of dimensions, token, which of the pair.
        for (std::int64_t tile = 0; tile < 192 / key_tile_tokens; ++tile) {
          for (std::int64_t pair = 0; pair < pairs; ++pair) {
            for (std::int64_t token = tile * key_tile_tokens; token < (tile + 1) * key_tile_tokens; ++token) {
              for (std::int64_t dim = 2 * pair; dim < 2 * pair + 2; ++dim, ++at) {
                const bool exists = token < 130 && dim < head_dim;
                ASSERT_EQ(host(at), exists ? key(batch, 11 + token, head, dim) : 0) << at;
                ASSERT_EQ(second(at), host(at));
              }
            }
          }
        }
        for (std::int64_t pair = 0; pair < 192 / 2; ++pair) {
          for (std::int64_t dim = 0; dim < head_dim; ++dim) {
            for (std::int64_t token = 2 * pair; token < 2 * pair + 2; ++token, ++at) {
              ASSERT_EQ(host(at), token < 130 ? value(batch, 11 + token, head, dim) : 0) << at;
              ASSERT_EQ(second(at), host(at));
            }
          }
        }
      }
    }
    EXPECT_EQ(host(elements), 77); // nothing is written past the end
  }
  const LowPrecisionCase data(shape, NumberFormat::float16);
  EXPECT_THROW(pack_key_value(space, data.original.key, data.original.value, 100, 51, NumberFormat::float16, nullptr),
               std::invalid_argument);
  EXPECT_THROW(pack_key_value(space, data.original.key, data.original.query, 0, 1, NumberFormat::float16, nullptr),
               std::invalid_argument);
  EXPECT_THROW(pack_key_value(space, data.original.key, data.original.value, 0, 1, NumberFormat::tfloat32, nullptr),
               std::invalid_argument);
}

TEST(Emulation, OfNarrowFormatsStaysWithinItsBoundAndIsNotFloat32) {
  const std::pair<NumberFormat, problem::DType> formats[] = {{NumberFormat::tfloat32, problem::DType::tfloat32},
                                                             {NumberFormat::float8_e4m3, problem::DType::float8_e4m3},
                                                             {NumberFormat::float8_e5m2, problem::DType::float8_e5m2}};
  double coarser = 0.0;
  for (const auto &[format, dtype] : formats) {
    const CaseData original(small_case(300, 64));
    CaseData rounded(small_case(300, 64));
    const ExecutionSpace space;
    for (const Owned4 &tensor : {rounded.query, rounded.key, rounded.value}) {
      round_elements(space, tensor.data(), static_cast<std::int64_t>(tensor.size()), format, tensor.data());
    }
    rounded.compute_reference();
    const Partial partial = rounded.poisoned_partial();
    run_streamed(rounded.block(partial));
    EXPECT_TRUE(rounded.compare(partial).valid());   // the arithmetic is float32's
    EXPECT_FALSE(original.compare(partial).valid()); // the inputs are not
    Comparison total = original.compare(partial);
    total.bound = problem::attention_error_bound(dtype, 300, 64, 1, problem::synthetic_magnitude(64));
    EXPECT_TRUE(total.valid()) << total.max_error << " > " << total.bound.output;
    EXPECT_GT(total.max_error, coarser); // the formats are in order of coarseness
    coarser = total.max_error;
  }
}

TEST(Work, OfTwoByteStorageCountsRealBytes) {
  AttentionCase shape;
  shape.batch = 2;
  shape.query_tokens = 100;
  shape.key_tokens = 70;
  shape.query_heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 9;
  shape.admission = {true, 0, 1, 0, 1};
  const LowPrecisionCase data(shape, NumberFormat::bfloat16);
  const Partial partial = data.rounded.empty_partial();
  LowPrecisionBlock block = data.block(partial);
  block.query_end = 50;
  std::int64_t pairs = 0;
  for (int row = 0; row < 50; ++row) {
    for (int key = 0; key < 70; ++key) {
      pairs += key <= row ? 1 : 0;
    }
  }
  KernelWork work = attention_low_precision_work(block);
  const double key_value = 2.0 * 2 * 2 * 128 * (10 + 9); // bytes: keys in pairs of dimensions, tokens padded to 128
  EXPECT_EQ(work.flop, 4.0 * static_cast<double>(pairs) * 2 * 4 * 9);
  EXPECT_EQ(work.read_bytes, 2.0 * 2 * 50 * 4 * 9 + key_value);
  EXPECT_EQ(work.written_bytes, 2.0 * 50 * 4 * (4 * 9 + 4));
  const Patterns4 storage("storage", 2, 100, 4, 9);
  block.storage_output = storage;
  block.merge = Merge::online;
  work = attention_low_precision_work(block);
  EXPECT_EQ(work.written_bytes, 2.0 * 50 * 4 * (2 * 9 + 4));
  EXPECT_EQ(work.read_bytes, 2.0 * 2 * 50 * 4 * 9 + key_value + work.written_bytes);
}

} // namespace
} // namespace ringscale::kernels::test
