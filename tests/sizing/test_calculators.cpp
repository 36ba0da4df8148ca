// SPDX-License-Identifier: Apache-2.0
// The documents' calculators as printed: what they return on the documents' own calls and where they fail.
#include <gmock/gmock.h>

#include <algorithm>

#include "problem/invalid_input.hpp"
#include "sizing/calculators.hpp"

namespace ringscale::sizing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string printed(const Outcome &outcome, const std::string &name) {
  return outcome.error.empty() ? text_of(value_of(outcome.values, name)) : outcome.error;
}

void expect_config(const Outcome &outcome, const char *chunk, const char *ring, const char *memory, const char *time) {
  EXPECT_EQ(printed(outcome, "chunk_size"), chunk);
  EXPECT_EQ(printed(outcome, "ring_size"), ring);
  EXPECT_EQ(printed(outcome, "devices_needed"), ring);
  EXPECT_EQ(printed(outcome, "memory_per_device"), memory);
  EXPECT_EQ(printed(outcome, "processing_time_estimate"), time);
}

constexpr std::int64_t billion = 1'000'000'000;

TEST(PrintedRingConfig, DocumentedCalls) {
  expect_config(printed_ring_config(billion, 4000, 8.0), "250000", "4000", "2.00GB", "12.0s");
  expect_config(printed_ring_config(billion, 3814, 8.0), "262144", "3814", "2.10GB", "11.4s");
  expect_config(printed_ring_config(std::int64_t{1} << 30, 262'144, 8.0), "4096", "262144", "0.03GB", "786.4s");
  expect_config(printed_ring_config(1000 * billion, 244'140'625, 8.0), "4096", "244140625", "0.03GB", "732421.9s");
}

TEST(PrintedRingConfig, AsksForMoreDevicesThanThereAre) {
  const Outcome outcome = printed_ring_config(billion, 64, 80.0);
  EXPECT_EQ(printed(outcome, "chunk_size"), "262144");
  EXPECT_EQ(printed(outcome, "ring_size"), "3814");
}

TEST(PrintedRingConfig, MemoryTiers) {
  EXPECT_EQ(printed(printed_ring_config(billion, 1000, 8.0), "chunk_size"), "262144");
  EXPECT_EQ(printed(printed_ring_config(billion, 1000, 7.9), "chunk_size"), "131072");
  EXPECT_EQ(printed(printed_ring_config(billion, 1000, 4.0), "chunk_size"), "131072");
  EXPECT_EQ(printed(printed_ring_config(billion, 1000, 3.9), "chunk_size"), "65536");
}

TEST(PrintedRingConfig, DividesByZero) {
  EXPECT_THAT(printed_ring_config(1000, 4000, 8.0).error, StartsWith("ZeroDivisionError"));
  EXPECT_THAT(printed_ring_config(1000, 0, 8.0).error, StartsWith("ZeroDivisionError"));
  EXPECT_TRUE(printed_ring_config(4000, 4000, 8.0).error.empty()) << "one token a device is a chunk";
}

TEST(PrintedOptimalRingSize, DocumentedCalls) {
  EXPECT_EQ(printed(printed_optimal_ring_size(10'000'000, 32, 40.0), "ring_size"), "1");
  EXPECT_EQ(printed(printed_optimal_ring_size(11'000'000, 32, 40.0), "ring_size"), "1");
  EXPECT_EQ(printed(printed_optimal_ring_size(billion, 32, 40.0), "ring_size"), "32");
  EXPECT_EQ(printed(printed_optimal_ring_size(billion, 97, 40.0), "ring_size"), "97");
  EXPECT_EQ(printed(printed_optimal_ring_size(billion, 1000, 40.0), "ring_size"), "97");
  EXPECT_EQ(printed(printed_optimal_ring_size(billion, 1000, 60.0), "ring_size"), "65");
  EXPECT_THAT(printed_optimal_ring_size(billion, 32, 0.0).error, StartsWith("ZeroDivisionError"));
}

TEST(PrintedOptimalRingSize, TheDocumentedAnswerNeedsATargetOf2To5GB) {
  for (const double target : {2.5, 3.0, 4.0, 4.8}) {
    const std::string ring = printed(printed_optimal_ring_size(10'000'000, 32, target), "ring_size");
    EXPECT_GE(std::stol(ring), 8) << target;
    EXPECT_LE(std::stol(ring), 16) << target;
  }
  EXPECT_EQ(printed(printed_optimal_ring_size(10'000'000, 32, 5.0), "ring_size"), "7");
}

TEST(PrintedBlockSize, DocumentedCalls) {
  EXPECT_EQ(printed(printed_block_size(8, 1'000'000, "medium"), "block_size"), "1024");
  EXPECT_EQ(printed(printed_block_size(8, 1'000'000, "small"), "block_size"), "512");
  EXPECT_EQ(printed(printed_block_size(1, billion, "large"), "block_size"), "2048");
  EXPECT_EQ(printed(printed_block_size(8, 1024, "medium"), "block_size"), "256") << "of 128 tokens";
  EXPECT_EQ(printed(printed_block_size(8, 256, "medium"), "block_size"), "256") << "of 32 tokens";
  EXPECT_THAT(printed_block_size(0, 1024, "medium").error, StartsWith("ZeroDivisionError"));
  EXPECT_THROW((void)printed_block_size(8, 1024, "huge"), problem::InvalidInput);
}

TEST(PrintedSegmentLengths, DocumentedCalls) {
  EXPECT_EQ(printed(printed_segment_lengths(1'000'000, 8, 3), "segment_lengths"), "[2048, 4096, 8192]");
  EXPECT_EQ(printed(printed_segment_lengths(24, 8, 3), "segment_lengths"), "[0, 0, 0]");
  EXPECT_EQ(printed(printed_segment_lengths(4096, 1, 5), "segment_lengths"), "[1024, 2048, 4096, 4096, 4096]");
  EXPECT_EQ(printed(printed_segment_lengths(4096, 1, 0), "segment_lengths"), "[]");
  EXPECT_THAT(printed_segment_lengths(24, 0, 3).error, StartsWith("ZeroDivisionError"));
}

TEST(PrintedOthers, DocumentedCalls) {
  const std::vector<std::pair<std::int64_t, const char *>> gpus{
      {1'000'000, "0"}, {10'000'000, "0"}, {100'000'000, "6"}, {billion, "66"}};
  for (const auto &[tokens, expected] : gpus) {
    EXPECT_EQ(printed(printed_ring_gpus(tokens), "ring_gpus_needed"), expected) << tokens;
  }
  const std::vector<std::pair<std::int64_t, const char *>> batches{{4096, "8"},   {8192, "4"},   {16'384, "2"},
                                                                   {32'768, "1"}, {65'536, "0"}, {512, "32"}};
  for (const auto &[tokens, expected] : batches) {
    EXPECT_EQ(printed(printed_batch_size(tokens, 32'768, 32), "batch_size"), expected) << tokens;
  }
  EXPECT_THAT(printed_batch_size(0, 32'768, 32).error, StartsWith("ZeroDivisionError"));
  EXPECT_EQ(printed(printed_accumulation_steps(64, 8), "accumulation_steps"), "8");
  EXPECT_EQ(printed(printed_accumulation_steps(64, 10), "accumulation_steps"), "6");
  EXPECT_THAT(printed_accumulation_steps(64, 0).error, StartsWith("ZeroDivisionError"));
}

TEST(Calculate, ReadsNamedArgumentsAndTakesTheDocumentsDefaults) {
  const Calculation with_default = calculate("calculate_optimal_ring_size", {"num_gpus=1000", "seq_len=1000000000"});
  EXPECT_EQ(printed(with_default.as_printed, "ring_size"), "97");
  EXPECT_EQ(text_of(value_of(with_default.arguments, "target_memory_per_gpu_gb")), "40");
  const Calculation given =
      calculate("calculate_optimal_ring_size", {"num_gpus=1000", "seq_len=1000000000", "target_memory_per_gpu_gb=60"});
  EXPECT_EQ(printed(given.as_printed, "ring_size"), "65");
}

TEST(Calculate, RefusesBadArgumentsByName) {
  const auto message = [](const std::string &calculator, const std::vector<std::string> &arguments) {
    try {
      (void)calculate(calculator, arguments);
    } catch (const problem::InvalidInput &error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(message("calculate", {}), HasSubstr("calculate_ring_config"));
  EXPECT_THAT(message("ring_gpus_needed", {}), HasSubstr("seq_len is missing"));
  EXPECT_THAT(message("ring_gpus_needed", {"seq_len=1", "seq_len=2"}), HasSubstr("seq_len stands twice"));
  EXPECT_THAT(message("ring_gpus_needed", {"seq_len="}), HasSubstr("no value"));
  EXPECT_THAT(message("ring_gpus_needed", {"tokens=1"}), HasSubstr("'tokens=1'"));
  EXPECT_THAT(message("ring_gpus_needed", {"seq_len"}), HasSubstr("name=value"));
  for (const char *bad : {"seq_len=-1", "seq_len=1.5", "seq_len=many", "seq_len=1125899906842625",
                          "seq_len=99999999999999999999", "seq_len=1 "}) {
    EXPECT_THAT(message("ring_gpus_needed", {bad}), HasSubstr("whole number")) << bad;
  }
  for (const char *bad : {"nan", "inf", "-1", "1e300", "8GB"}) {
    EXPECT_THAT(message("calculate_ring_config",
                        {"target_tokens=1", "available_devices=1", std::string("memory_per_device_gb=") + bad}),
                HasSubstr("must be a number"))
        << bad;
  }
  EXPECT_THAT(message("optimize_segment_lengths", {"seq_len=1", "ring_size=1", "num_segments=9"}), HasSubstr("8"));
}

TEST(Calculate, EveryDocumentedCallHasADifference) {
  const std::vector<Calculation> all = documented_calculations();
  EXPECT_EQ(all.size(), 27U);
  for (const Calculation &calculation : all) {
    EXPECT_FALSE(calculation.difference.empty()) << calculation.calculator;
    EXPECT_TRUE(calculation.corrected.error.empty()) << calculation.calculator << ": " << calculation.corrected.error;
  }
  for (const std::string &name : calculator_names()) {
    EXPECT_TRUE(std::any_of(all.begin(), all.end(), [&](const Calculation &one) { return one.calculator == name; }))
        << name;
  }
}

TEST(Calculate, DifferencesNameTheFault) {
  const auto difference = [](const std::string &calculator, const std::vector<std::string> &arguments) {
    return calculate(calculator, arguments).difference;
  };
  const auto config = [&](const char *tokens, const char *devices, const char *memory) {
    return difference("calculate_ring_config",
                      {std::string("target_tokens=") + tokens, std::string("available_devices=") + devices,
                       std::string("memory_per_device_gb=") + memory});
  };
  EXPECT_THAT(config("1000000000", "64", "80"), HasSubstr("3814 devices where there are 64"));
  EXPECT_THAT(config("1000000000", "3814", "8"), HasSubstr("182784 tokens on no device"));
  EXPECT_THAT(config("1000", "4000", "8"), HasSubstr("chunk of 0"));
  EXPECT_THAT(config("1000", "0", "8"), HasSubstr("refuses"));
  EXPECT_THAT(difference("calculate_optimal_ring_size", {"seq_len=1000000000", "num_gpus=32"}), HasSubstr("silent"));
  EXPECT_THAT(difference("optimize_segment_lengths", {"seq_len=1000000", "ring_size=8"}), HasSubstr("72, 2120, 2120"));
  EXPECT_THAT(difference("optimize_segment_lengths", {"seq_len=24", "ring_size=8"}), HasSubstr("0 tokens"));
  EXPECT_THAT(difference("optimize_block_size", {"seq_len=1024", "ring_size=8"}), HasSubstr("128 tokens"));
  EXPECT_THAT(difference("get_batch_size", {"seq_len=65536"}), HasSubstr("batch of 0"));
  EXPECT_EQ(difference("accumulation_steps", {"target_batch_size=64", "actual_batch_size=8"}), "The same.");
  EXPECT_THAT(difference("accumulation_steps", {"target_batch_size=64", "actual_batch_size=10"}), HasSubstr("up"));
}

} // namespace
} // namespace ringscale::sizing
