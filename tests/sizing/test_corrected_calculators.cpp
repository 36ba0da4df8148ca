// SPDX-License-Identifier: Apache-2.0
// The corrected calculators against what docs/sizing.md defines: the answer does, one less does not.
#include <gmock/gmock.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "sizing/calculators.hpp"
#include "sizing/document_device.hpp"

namespace ringscale::sizing {
namespace {

std::int64_t integer(const Outcome &outcome, const std::string &name) {
  return std::get<std::int64_t>(value_of(outcome.values, name));
}
double number(const Outcome &outcome, const std::string &name) {
  return std::get<double>(value_of(outcome.values, name));
}
bool flag(const Outcome &outcome, const std::string &name) { return std::get<bool>(value_of(outcome.values, name)); }

constexpr std::int64_t billion = 1'000'000'000;

TEST(DocumentDevice, BytesAreQueryOutputTwoBlocksAndLogSumExps) {
  // 8 x 64 float16: query 1024, output 1024, two blocks of key and value 4096, log-sum-exp 32 bytes a token.
  EXPECT_EQ(document_bytes(8000, 8), 7200.0 * 1000.0 + 2 * 64.0);
  EXPECT_EQ(document_bytes(8000, 1), 5152.0 * 8000.0 + 64.0) << "alone: one block";
  EXPECT_EQ(document_bytes_per_token(), 7200.0);
}

TEST(DocumentDevice, TimeIsExactWorkAtTheDocumentsRate) {
  EXPECT_NEAR(document_flop_per_s(), 1.5245e12, 0.001e12);
  EXPECT_DOUBLE_EQ(document_time_s(8192, 1), 8192.0 / 90867.0);
  EXPECT_DOUBLE_EQ(document_time_s(2 * 8192, 1), 4.0 * document_time_s(8192, 1)) << "work is quadratic";
  EXPECT_DOUBLE_EQ(document_time_s(8192, 4), document_time_s(8192, 1) / 4.0);
}

TEST(DocumentDevice, RingSizesAreTheSmallestThatFit) {
  for (const std::int64_t tokens : {std::int64_t{1000}, std::int64_t{10'000'000}, billion}) {
    for (const double memory_gb : {0.5, 8.0, 80.0}) {
      const std::int64_t ranks = document_ring_size(tokens, memory_gb);
      ASSERT_GT(ranks, 0);
      EXPECT_LE(document_bytes(tokens, ranks), memory_gb * 1e9);
      if (ranks > 1) {
        EXPECT_GT(document_bytes(tokens, ranks - 1), memory_gb * 1e9);
      }
    }
  }
  EXPECT_EQ(document_ring_size(billion, 0.0), 0);
}

TEST(DocumentDevice, CountsOf80GBDevicesAndChunksByMemory) {
  // The table of docs/sizing.md beside the documents' 8, 8, 64, 640 and 6400 devices.
  const std::vector<std::pair<std::int64_t, std::int64_t>> counts{
      {1'000'000, 1}, {100'000'000, 10}, {billion, 91}, {10 * billion, 901}, {100 * billion, 9001}};
  for (const auto &[tokens, devices] : counts) {
    EXPECT_EQ(document_ring_size(tokens, 80.0), devices) << tokens;
  }
  // What one device holds by itself, beside 64K, 262K, 1M and 2M tokens.
  const std::vector<std::pair<double, std::int64_t>> chunks{
      {4.0, 776'397}, {8.0, 1'552'795}, {16.0, 3'105'590}, {24.0, 4'658'385}};
  for (const auto &[memory_gb, tokens] : chunks) {
    EXPECT_LE(document_bytes(tokens, 1), memory_gb * 1e9);
    EXPECT_GT(document_bytes(tokens + 1, 1), memory_gb * 1e9);
  }
}

TEST(CorrectedRingConfig, UsesTheDevicesThereAreAndSaysWhatIsNeeded) {
  const Outcome enough = corrected_ring_config(billion, 4000, 8.0);
  EXPECT_EQ(integer(enough, "ring_size"), 4000);
  EXPECT_EQ(integer(enough, "chunk_size"), 250'000);
  EXPECT_EQ(integer(enough, "devices_needed"), 901); // 7200e9 + headers over 8e9, divided up
  EXPECT_TRUE(flag(enough, "fits"));
  EXPECT_NEAR(number(enough, "memory_per_device_gb"), 1.800, 1e-3);
  EXPECT_NEAR(number(enough, "time_s"), 4.0 * 1e18 * 512.0 / (4000.0 * document_flop_per_s()), 1.0);
  const Outcome too_few = corrected_ring_config(billion, 64, 80.0);
  EXPECT_EQ(integer(too_few, "ring_size"), 64) << "never more than there are";
  EXPECT_EQ(integer(too_few, "devices_needed"), 91);
  EXPECT_FALSE(flag(too_few, "fits"));
  EXPECT_GT(number(too_few, "memory_per_device_gb"), 80.0);
}

TEST(CorrectedRingConfig, LeavesNoTokenOut) {
  for (const std::int64_t devices : {1, 7, 3814, 999'983}) {
    const Outcome outcome = corrected_ring_config(billion, devices, 8.0);
    EXPECT_GE(integer(outcome, "chunk_size") * integer(outcome, "ring_size"), billion);
    EXPECT_LT((integer(outcome, "chunk_size") - 1) * integer(outcome, "ring_size"), billion);
  }
  const Outcome few_tokens = corrected_ring_config(1000, 4000, 8.0);
  EXPECT_EQ(integer(few_tokens, "ring_size"), 1000);
  EXPECT_EQ(integer(few_tokens, "chunk_size"), 1);
  EXPECT_FALSE(corrected_ring_config(1000, 0, 8.0).error.empty());
}

TEST(CorrectedOptimalRingSize, DividesUpAndNamesWhatIsMissing) {
  const Outcome two = corrected_optimal_ring_size(10'000'000, 32, 40.0);
  EXPECT_EQ(integer(two, "ring_size"), 2);
  EXPECT_LE(number(two, "memory_per_gpu_gb"), 40.0);
  EXPECT_GT(document_bytes(10'000'000, 1), 40e9) << "and one is too few";
  const Outcome capped = corrected_optimal_ring_size(billion, 32, 40.0);
  EXPECT_FALSE(flag(capped, "fits"));
  EXPECT_EQ(integer(capped, "needed_ring_size"), 181);
  EXPECT_EQ(integer(capped, "ring_size"), 32);
  EXPECT_GT(number(capped, "memory_per_gpu_gb"), 40.0);
}

TEST(CorrectedBlockSize, IsNeverLongerThanWhatADeviceHas) {
  EXPECT_EQ(integer(corrected_block_size(8, 1'000'000, "medium"), "block_size"), 1024);
  EXPECT_EQ(integer(corrected_block_size(8, 1024, "medium"), "block_size"), 128);
  EXPECT_EQ(integer(corrected_block_size(8, 256, "medium"), "block_size"), 32);
  EXPECT_EQ(integer(corrected_block_size(8, 257, "medium"), "block_size"), 33) << "the longest chunk";
  for (std::int64_t tokens = 1; tokens < 20'000; tokens += 37) {
    const std::int64_t block = integer(corrected_block_size(1, tokens, "large"), "block_size");
    EXPECT_LE(block, std::min<std::int64_t>(tokens, 2048));
    EXPECT_GE(block, std::min<std::int64_t>(tokens, 256));
  }
  EXPECT_FALSE(corrected_block_size(9, 8, "medium").error.empty());
  EXPECT_FALSE(corrected_block_size(0, 8, "medium").error.empty());
}

TEST(CorrectedSegmentLengths, DivideWhatADeviceHas) {
  const Outcome example = corrected_segment_lengths(1'000'000, 8, 3);
  EXPECT_EQ(text_of(value_of(example.values, "segment_lengths")), "[1250, 3125, 6250]");
  EXPECT_EQ(integer(example, "padding_tokens"), 0);
  EXPECT_EQ(text_of(value_of(corrected_segment_lengths(1 << 20, 8, 3).values, "segment_lengths")),
            "[2048, 4096, 8192]");
  for (std::int64_t tokens = 8; tokens < 200'000; tokens = tokens * 3 / 2 + 1) {
    for (const std::int64_t ranks : {1, 3, 8}) {
      const Outcome outcome = corrected_segment_lengths(tokens, ranks, 4);
      const std::int64_t local = integer(outcome, "local_tokens");
      EXPECT_EQ(local * ranks - tokens, integer(outcome, "padding_tokens"));
      EXPECT_GE(local * ranks, tokens);
      std::int64_t before = 0;
      for (const std::int64_t length :
           std::get<std::vector<std::int64_t>>(value_of(outcome.values, "segment_lengths"))) {
        EXPECT_EQ(local % length, 0);
        EXPECT_GT(length, before);
        before = length;
      }
    }
  }
  EXPECT_FALSE(corrected_segment_lengths(7, 8, 3).error.empty());
}

TEST(CorrectedSegmentLengths, AddNoMoreTokensThanNeeded) {
  // 101 is prime: 25, 50 and 100 have no near divisor; the first length that has one for each is found by trying all.
  const Outcome outcome = corrected_segment_lengths(101, 1, 3);
  const auto has_near_divisor = [](std::int64_t local, std::int64_t target) {
    for (std::int64_t divisor = 1; divisor <= target; ++divisor) {
      if (2 * divisor > target && local % divisor == 0) {
        return true;
      }
    }
    return false;
  };
  std::int64_t local = 101;
  while (!(has_near_divisor(local, 25) && has_near_divisor(local, 50) && has_near_divisor(local, 100))) {
    ++local;
  }
  EXPECT_GT(local, 101);
  EXPECT_EQ(integer(outcome, "local_tokens"), local);
}

TEST(CorrectedOthers, NeverReturnNothing) {
  EXPECT_EQ(integer(corrected_ring_gpus(1'000'000), "ring_gpus_needed"), 1);
  EXPECT_EQ(integer(corrected_ring_gpus(billion), "ring_gpus_needed"), 91);
  EXPECT_EQ(integer(corrected_batch_size(4096, 32'768, 32), "batch_size"), 8);
  const Outcome over = corrected_batch_size(65'536, 32'768, 32);
  EXPECT_EQ(integer(over, "batch_size"), 1);
  EXPECT_TRUE(flag(over, "exceeds_max_tokens"));
  EXPECT_FALSE(flag(corrected_batch_size(32'768, 32'768, 32), "exceeds_max_tokens"));
  EXPECT_EQ(integer(corrected_accumulation_steps(64, 8), "accumulation_steps"), 8);
  EXPECT_EQ(integer(corrected_accumulation_steps(64, 10), "accumulation_steps"), 7);
  EXPECT_FALSE(corrected_accumulation_steps(64, 0).error.empty());
  EXPECT_FALSE(corrected_batch_size(0, 32'768, 32).error.empty());
  EXPECT_FALSE(corrected_ring_gpus(0).error.empty());
}

} // namespace
} // namespace ringscale::sizing
