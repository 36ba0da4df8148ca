// SPDX-License-Identifier: Apache-2.0
// What the attention kernels are built from: admission, packing, exponential, reference, declared work, peak.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <stdexcept>
#include <vector>

#include "attention_case.hpp"
#include "kernels/attention_low_precision.hpp"
#include "kernels/fma_peak.hpp"
#include "kernels/tile/select_tile.hpp"
#include "kernels/work.hpp"

namespace ringscale::kernels::test {
namespace {

TEST(Admission, AdmitsExactlyTheKeysAtOrBeforeTheQuery) {
  for (const std::int64_t query_origin : {-7, 0, 5, 40}) {
    for (const std::int64_t query_stride : {1, 3}) {
      for (const std::int64_t key_origin : {0, 6, 30}) {
        for (const std::int64_t key_stride : {1, 2, 5}) {
          const Admission admission{true, query_origin, query_stride, key_origin, key_stride};
          std::int64_t pairs = 0;
          for (std::int64_t row = 0; row < 25; ++row) {
            std::int64_t admitted = 0;
            for (std::int64_t key = 0; key < 17; ++key) {
              admitted += key_origin + key * key_stride <= query_origin + row * query_stride ? 1 : 0;
            }
            EXPECT_EQ(admission.admitted_keys(row, 17), admitted);
            pairs += row >= 4 && row < 20 ? admitted : 0;
          }
          EXPECT_EQ(admitted_pairs(admission, 4, 20, 17), pairs);
        }
      }
    }
  }
  EXPECT_EQ(Admission{}.admitted_keys(0, 17), 17);
  EXPECT_EQ(admitted_pairs(Admission{}, 4, 20, 17), 16 * 17);
}

TEST(PackedKeyValue, HoldsEveryElementOnceAndZerosElsewhere) {
  AttentionCase shape;
  shape.batch = 2;
  shape.key_tokens = 150;
  shape.query_heads = 3;
  shape.kv_heads = 3;
  shape.head_dim = 5;
  const CaseData data(shape);
  const std::int64_t begin = 11;
  const std::int64_t count = 130;
  ASSERT_EQ(padded_tokens(count), 192);
  const std::int64_t elements = packed_elements(2, count, 3, 5);
  ASSERT_EQ(elements, 2 * 3 * 2 * 192 * 5);
  const Owned1 packed("packed", elements + 1);
  Kokkos::deep_copy(packed, 77.0F);
  const ExecutionSpace space;
  pack_key_value(space, data.key, data.value, begin, count, packed.data());
  space.fence();
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, packed);
  const auto key = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.key);
  const auto value = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.value);
  for (std::int64_t batch = 0; batch < 2; ++batch) {
    for (std::int64_t head = 0; head < 3; ++head) {
      const std::int64_t base = (batch * 3 + head) * packed_head_elements(count, 5);
      for (std::int64_t token = 0; token < 192; ++token) {
        for (std::int64_t dim = 0; dim < 5; ++dim) {
          const std::int64_t at =
              base + token / key_tile_tokens * key_tile_tokens * 5 + dim * key_tile_tokens + token % key_tile_tokens;
          ASSERT_EQ(host(at), token < count ? key(batch, begin + token, head, dim) : 0.0F);
          ASSERT_EQ(host(base + 192 * 5 + token * 5 + dim),
                    token < count ? value(batch, begin + token, head, dim) : 0.0F);
        }
      }
    }
  }
  EXPECT_EQ(host(elements), 77.0F); // nothing is written past the end
  EXPECT_THROW(pack_key_value(space, data.key, data.value, 100, 51, packed.data()), std::invalid_argument);
  EXPECT_THROW(pack_key_value(space, data.key, data.query, 0, 1, packed.data()), std::invalid_argument);
}

#if defined(RINGSCALE_HOST_TILES)
float exp2_of(float x) { return tile::exp2(tile::broadcast(x))[0]; }

/// Largest relative error in units of roundoff (2^-24); measured 2.8 with AVX-512, 2.7 with AVX2 and 3.0 where
/// multiply-adds round twice. The error bound of whole results assumes 4.
constexpr double exp2_roundoffs = 3.5;

TEST(Exponential, StaysWithinItsStatedErrorOverTheWholeRange) {
  double largest = 0.0;
  const auto check = [&](float x) {
    const double exact = std::exp2(static_cast<double>(x));
    const double error = std::abs(static_cast<double>(exp2_of(x)) - exact) / exact;
    if (!(error <= largest)) {
      largest = error;
    }
  };
  // Densely over one octave, where the polynomial decides, then every octave down to the smallest normal number.
  for (int step = 0; step <= 2'000'000; ++step) {
    check(static_cast<float>(-1.0 + step * 1e-6));
  }
  for (int octave = -126; octave < 16; ++octave) {
    for (int step = 0; step < 5000; ++step) {
      check(static_cast<float>(octave + step / 5000.0));
    }
  }
  EXPECT_TRUE(largest <= exp2_roundoffs * 0x1.0p-24) << largest / 0x1.0p-24 << " roundoffs";
  EXPECT_GE(largest, 0.4 * 0x1.0p-24); // no float function does better: the comparison does compare
  RecordProperty("exp2_roundoffs", std::to_string(largest / 0x1.0p-24));
  std::printf("exp2: largest relative error %.3f x 2^-24\n", largest / 0x1.0p-24);
}

TEST(Exponential, KeepsTheSpecialValues) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(exp2_of(-infinity), 0.0F);
  EXPECT_EQ(exp2_of(-1e30F), 0.0F);
  EXPECT_EQ(exp2_of(-std::numeric_limits<float>::max()), 0.0F);
  EXPECT_TRUE(std::isnan(exp2_of(std::numeric_limits<float>::quiet_NaN())));
  for (const float x : {-149.0F, -140.5F, -127.0F}) { // subnormal results may be flushed
    EXPECT_GE(exp2_of(x), 0.0F);
    EXPECT_LE(exp2_of(x), 1.01F * std::exp2(x));
  }
  // A whole vector of different lanes: none reads another one's exponent.
  tile::Vector x;
  for (int lane = 0; lane < tile::lanes; ++lane) {
    x[lane] = static_cast<float>(-lane * 7.3);
  }
  const tile::Vector power = tile::exp2(x);
  for (int lane = 0; lane < tile::lanes; ++lane) {
    EXPECT_NEAR(power[lane] / std::exp2(x[lane]), 1.0, 1e-6);
  }
}

TEST(HostSimd, ComparesAndKeepsLaneByLane) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  tile::Vector x = tile::broadcast(1.0F);
  EXPECT_FALSE(tile::any(tile::greater(x, tile::broadcast(1.0F))));
  x[tile::lanes - 1] = nan;
  EXPECT_FALSE(tile::any(tile::greater(x, tile::broadcast(1.0F))));
  x[0] = 1.5F;
  EXPECT_TRUE(tile::any(tile::greater(x, tile::broadcast(1.0F))));
  for (std::int64_t count = -2; count < tile::lanes + 3; ++count) {
    const tile::Vector kept = tile::keep_first(tile::broadcast(3.0F), count, -1.0F);
    for (int lane = 0; lane < tile::lanes; ++lane) {
      EXPECT_EQ(kept[lane], lane < count ? 3.0F : -1.0F);
    }
  }
  for (int lane = 0; lane < tile::lanes; ++lane) {
    x[lane] = static_cast<float>(lane);
  }
  EXPECT_EQ(tile::horizontal_sum(x), static_cast<float>(tile::lanes * (tile::lanes - 1) / 2));
  EXPECT_EQ(tile::horizontal_maximum(x), static_cast<float>(tile::lanes - 1));
}
#endif

TEST(Reference, EqualsAttentionWorkedByHand) {
  // Scores 0 and ln 3 (scale 1): weights 1/4 and 3/4 of values 8 and 4.
  const Owned4 query("query", 1, 2, 1, 1), key("key", 1, 2, 1, 1), value("value", 1, 2, 1, 1);
  const auto host_query = Kokkos::create_mirror_view(query);
  const auto host_key = Kokkos::create_mirror_view(key);
  const auto host_value = Kokkos::create_mirror_view(value);
  host_query(0, 0, 0, 0) = host_query(0, 1, 0, 0) = 1.0F;
  host_key(0, 0, 0, 0) = 0.0F;
  host_key(0, 1, 0, 0) = static_cast<float>(std::log(3.0));
  host_value(0, 0, 0, 0) = 8.0F;
  host_value(0, 1, 0, 0) = 4.0F;
  Kokkos::deep_copy(query, host_query);
  Kokkos::deep_copy(key, host_key);
  Kokkos::deep_copy(value, host_value);
  const Kokkos::View<double ****, Kokkos::LayoutRight, MemorySpace> output("output", 1, 2, 1, 1);
  const Kokkos::View<double ***, Kokkos::LayoutRight, MemorySpace> lse("lse", 1, 2, 1);
  for (const bool causal : {false, true}) {
    const ExecutionSpace space;
    reference_attention(space, query, key, value, causal, 0, 1.0, output, lse);
    space.fence();
    const auto host_output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, output);
    const auto host_lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, lse);
    EXPECT_NEAR(host_output(0, 0, 0, 0), causal ? 8.0 : 5.0, 1e-6);
    EXPECT_NEAR(host_lse(0, 0, 0), causal ? 0.0 : std::log(4.0), 1e-7);
    EXPECT_NEAR(host_output(0, 1, 0, 0), 5.0, 1e-6);
    EXPECT_NEAR(host_lse(0, 1, 0), std::log(4.0), 1e-7);
  }
}

TEST(Reference, RefusesShapesThatDoNotFit) {
  AttentionCase shape;
  shape.query_tokens = 3;
  shape.key_tokens = 4;
  const CaseData data(shape);
  EXPECT_THROW(reference_attention(ExecutionSpace(), data.query, data.key, data.query, false, 0, 1.0,
                                   data.reference_output, data.reference_log_sum_exp),
               std::invalid_argument);
}

TEST(Work, CountsUsefulFlopAndCompulsoryBytes) {
  AttentionCase shape;
  shape.batch = 2;
  shape.query_tokens = 100;
  shape.key_tokens = 70;
  shape.query_heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 8;
  const CaseData data(shape);
  const Partial partial = data.empty_partial();
  AttentionBlock block = data.block(partial);
  KernelWork work = attention_block_work(block);
  EXPECT_EQ(work.flop, 4.0 * 100 * 70 * 2 * 4 * 8);
  EXPECT_EQ(work.read_bytes, 4.0 * (2 * 100 * 4 * 8 + 2 * 2 * 2 * 128 * 8)); // query, and keys and values padded to 128
  EXPECT_EQ(work.written_bytes, 4.0 * (2 * 100 * 4 * (8 + 1)));
  const KernelWork materialised = attention_materialised_work(block);
  EXPECT_EQ(materialised.flop, work.flop);
  EXPECT_EQ(materialised_score_elements(block), 2 * 4 * 100 * 70);
  EXPECT_EQ(materialised.written_bytes - work.written_bytes, 3 * 4.0 * 2 * 4 * 100 * 70);
  EXPECT_EQ(materialised.read_bytes - work.read_bytes, 4 * 4.0 * 2 * 4 * 100 * 70);

  block.admission = {true, 0, 1, 0, 1};
  block.query_end = 50;
  block.merge = Merge::online;
  work = attention_block_work(block);
  EXPECT_EQ(work.flop, 4.0 * (50 * 51 / 2) * 2 * 4 * 8);
  EXPECT_EQ(work.read_bytes, 4.0 * (2 * 50 * 4 * (8 + 9) + 2 * 2 * 2 * 128 * 8)); // the held partial is read as well

  block.heads = {1, 2}; // one of the first two that read the first key/value head, one of the others
  work = attention_block_work(block);
  EXPECT_EQ(work.flop, 4.0 * (50 * 51 / 2) * 2 * 2 * 8);
  EXPECT_EQ(work.read_bytes, 4.0 * (2 * 50 * 2 * (8 + 9) + 2 * 2 * 2 * 128 * 8));
  block.heads = {2, 2};
  EXPECT_EQ(attention_block_work(block).read_bytes, 4.0 * (2 * 50 * 2 * (8 + 9) + 2 * 1 * 2 * 128 * 8));

  const KernelWork pack = pack_key_value_work(2, 70, 2, 8);
  EXPECT_EQ(pack.read_bytes, 4.0 * 2 * 2 * 70 * 2 * 8);
  EXPECT_EQ(pack.written_bytes, 4.0 * static_cast<double>(packed_elements(2, 70, 2, 8)));
  const KernelWork merge = merge_partials_work(2, 100, 4, 8);
  EXPECT_EQ(merge.flop, 3.0 * 2 * 100 * 4 * 8);
  EXPECT_EQ(merge.read_bytes, 2 * 4.0 * 2 * 100 * 4 * 9);
  EXPECT_EQ(merge.written_bytes, 4.0 * 2 * 100 * 4 * 9);
  EXPECT_GT(attention_workspace_bytes(128), attention_workspace_bytes(64));
  for (const NumberFormat format : {NumberFormat::bfloat16, NumberFormat::float16}) {
    EXPECT_GT(attention_low_precision_workspace_bytes(format, 128),
              attention_low_precision_workspace_bytes(format, 64));
  }
  EXPECT_THROW(attention_low_precision_workspace_bytes(NumberFormat::float32, 64), std::invalid_argument);
}

TEST(FmaPeak, IsFiniteAndAboveAnythingThatDoesNotCompute) {
  const double peak = measure_fma_peak_gflop_per_s(ExecutionSpace(), 0.01);
  EXPECT_TRUE(std::isfinite(peak));
  EXPECT_GT(peak, 0.01);
}

} // namespace
} // namespace ringscale::kernels::test
