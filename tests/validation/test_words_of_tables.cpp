// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <cmath>

#include "tests/validation/validation_fixture.hpp"
#include "validation/cell_text.hpp"
#include "validation/device_words.hpp"
#include "validation/setting_names.hpp"
#include "validation/table_facts.hpp"
#include "validation/work_limits.hpp"

namespace ringscale::validation {
namespace {

using ::testing::HasSubstr;
using validation_tests::refusal;

std::optional<double> number_in(const std::string &text, const std::string &unit) {
  const auto read = read_cell_text(text, *parse_unit(unit));
  return read && read->kind == CellText::Kind::number ? std::optional(read->value) : std::nullopt;
}

TEST(CellText, OfANumberIsTheNumberInTheUnitOfItsColumn) {
  EXPECT_DOUBLE_EQ(*number_in("1,234.5", "ms"), 1234.5);
  EXPECT_DOUBLE_EQ(*number_in("~35", "ms"), 35.0);
  EXPECT_DOUBLE_EQ(*number_in("49.1*", "%"), 49.1);
  EXPECT_DOUBLE_EQ(*number_in("49.1 [2]", "%"), 49.1);
  EXPECT_DOUBLE_EQ(*number_in("54 %", "%"), 54.0);
  EXPECT_DOUBLE_EQ(*number_in("1.7x", "x"), 1.7);
  EXPECT_DOUBLE_EQ(*number_in("3.2 s", "ms"), 3200.0);
  EXPECT_DOUBLE_EQ(*number_in("128K", "1e3 tokens"), 131.072);
  EXPECT_DOUBLE_EQ(*number_in("2e-3", "s"), 2e-3);
  EXPECT_DOUBLE_EQ(*number_in("210K", "tokens/s"), 210e3);
  EXPECT_DOUBLE_EQ(*number_in("2.1M", "K tokens/s"), 2.1e3);
  EXPECT_DOUBLE_EQ(*number_in("7B", "parameters"), 7e9);
  EXPECT_DOUBLE_EQ(*number_in("2T", "tokens"), 2e12);
  EXPECT_DOUBLE_EQ(*number_in("60.2 ± 0.4", "ms"), 60.2);
  EXPECT_DOUBLE_EQ(*number_in("60.2 +/- 0.4 s", "ms"), 60200.0);
  EXPECT_DOUBLE_EQ(*number_in("60.2 (1.2x)", "ms"), 60.2);
  EXPECT_DOUBLE_EQ(*number_in("60.2\u00a0ms", "ms"), 60.2);
  EXPECT_DOUBLE_EQ(*number_in("**60.2**", "ms"), 60.2);
  EXPECT_DOUBLE_EQ(*number_in("60.2^a", "ms"), 60.2);
}

TEST(CellText, OfNoNumberIsAMarkOrAMistake) {
  const Unit ms = *parse_unit("ms");
  for (const char *text : {"OOM", "out of memory", "CUDA OOM"}) {
    EXPECT_EQ(read_cell_text(text, ms)->kind, CellText::Kind::out_of_memory) << text;
  }
  for (const char *text : {"> 3 h", ">80", "≥ 2", "timeout", "up to 5"}) {
    EXPECT_EQ(read_cell_text(text, ms)->kind, CellText::Kind::bound) << text;
  }
  for (const char *text : {"-", "—", "n/a", "N/A*", "failed", "DNF", "×"}) {
    EXPECT_EQ(read_cell_text(text, ms)->kind, CellText::Kind::absent) << text;
  }
  // The control: what may hide a factor is no number.
  for (const char *text : {"fast", "1.5 2.5", "1.2.3", "12 GB", "3 tokens", "1,23", "5K", "12a4", "60 ± x", "58-62",
                           "60 (50)", "60 (0.4)", "7B"}) {
    EXPECT_FALSE(read_cell_text(text, ms)) << text;
  }
}

TEST(SettingNames, CountsArePrintedInManyWays) {
  EXPECT_EQ(count_in_text("8"), 8.0);
  EXPECT_EQ(count_in_text("2,048"), 2048.0);
  EXPECT_EQ(count_in_text("128K"), 131072.0);
  EXPECT_EQ(count_in_text("96k"), 98304.0);
  EXPECT_EQ(count_in_text("100K"), 100e3);
  EXPECT_EQ(count_in_text("1M"), 1048576.0);
  EXPECT_EQ(count_in_text("10M tokens"), 10e6);
  for (const char *text : {"", "K", "7B", "8x", "1,23", "16 GB"}) {
    EXPECT_FALSE(count_in_text(text)) << text;
  }
}

TEST(SettingNames, ATextStatesASettingOnce) {
  const std::string text = "H=32, d=128, S=64K, causal; tp 8";
  EXPECT_EQ(setting_in_text(text, "query_heads"), 32.0);
  EXPECT_EQ(setting_in_text(text, "head_dim"), 128.0);
  EXPECT_EQ(setting_in_text(text, "sequence_tokens"), 65536.0);
  EXPECT_EQ(setting_in_text(text, "tensor_parallel"), 8.0);
  EXPECT_EQ(setting_in_text("seq 1M", "sequence_tokens"), 1048576.0);
  EXPECT_FALSE(setting_in_text(text, "batch_size"));
  EXPECT_FALSE(setting_in_text("seq 1K and seq 2K", "sequence_tokens")) << "two";
  EXPECT_FALSE(setting_in_text("sent in s 64", "sequence_tokens")) << "a symbol needs its =";
}

TEST(DeviceCounts, AreReadFromWords) {
  const auto devices = [](const std::string &text) { return devices_in_text(text).devices.value_or(0.0); };
  EXPECT_EQ(devices("8x A100"), 8.0);
  EXPECT_EQ(devices("16 x A100-80GB-SXM"), 16.0);
  EXPECT_EQ(devices("32 H100s"), 32.0);
  EXPECT_EQ(devices("8xH100"), 8.0);
  EXPECT_EQ(devices("A100 x8"), 8.0);
  EXPECT_EQ(devices("H100 SXM x 8"), 8.0);
  EXPECT_EQ(devices("H100×8"), 8.0);
  EXPECT_EQ(devices("8 × H100 80GB HBM3"), 8.0);
  EXPECT_EQ(devices("4 x 80GB A100"), 4.0);
  EXPECT_EQ(devices("16 Nvidia Tesla V100"), 16.0);
  EXPECT_EQ(devices("1,024 H100"), 1024.0);
  EXPECT_EQ(devices("two A100s"), 2.0);
  EXPECT_EQ(devices("64 GPUs"), 64.0);
  EXPECT_EQ(devices("TPUv4-1024"), 1024.0);
  EXPECT_EQ(devices("TPU v4-64"), 64.0);
  EXPECT_EQ(devices("an 8-GPU A100 node"), 8.0);
  for (const char *text : {"A100 80GB", "A100 80 GB", "DGX A100", "TPU v5e 16 GB", "H100", "2023"}) {
    const DeviceCount count = devices_in_text(text);
    EXPECT_FALSE(count.devices || count.of_a_node || count.is_unclear) << text;
  }
}

TEST(DeviceCounts, OfNodesMultiply) {
  const auto devices = [](const std::string &text) { return devices_in_text(text).devices.value_or(0.0); };
  EXPECT_EQ(devices("4 nodes of 8x A100"), 32.0);
  EXPECT_EQ(devices("4 nodes x 8 H100"), 32.0);
  EXPECT_EQ(devices("8 A100 x 4 nodes"), 32.0);
  EXPECT_EQ(devices("4x8 A100"), 32.0);
  EXPECT_EQ(devices("32 nodes, 8 H100 each"), 256.0);
  EXPECT_EQ(devices("four nodes with 8 GPUs per node"), 32.0);
  EXPECT_EQ(devices("four 8-GPU nodes"), 32.0);
  EXPECT_EQ(devices("16 A100 on 2 nodes"), 16.0);
  EXPECT_EQ(devices("4 nodes (32 GPUs)"), 32.0);
  EXPECT_EQ(devices("4 nodes of 8 A100 (32 GPUs)"), 32.0);
  EXPECT_EQ(devices("1 node, 8 GPUs"), 8.0);
  EXPECT_EQ(devices_in_text("8 GPUs per node").of_a_node, 8.0);
  EXPECT_EQ(devices_in_text("8 GPUs/node").of_a_node, 8.0);
  EXPECT_EQ(devices_in_text("8-GPU nodes").of_a_node, 8.0);
  EXPECT_EQ(devices_in_text("2 DGX H100 nodes").nodes, 2.0);
  EXPECT_EQ(devices_in_text("2 A100 nodes").nodes, 2.0);
  for (const char *text :
       {"2 nodes (8 GPUs)", "8 and 16 GPUs", "8-16 GPUs", "8 A100, 2 nodes", "4 nodes of 8 A100 (16 GPUs)"}) {
    EXPECT_TRUE(devices_in_text(text).is_unclear) << text;
  }
}

TEST(DeviceWords, OfNamesSayHowManyDevices) {
  EXPECT_EQ(devices_in_name(words_of("time_8_gpus_ms")), 8.0);
  EXPECT_EQ(devices_in_name(words_of("ring_16gpu")), 16.0);
  EXPECT_FALSE(devices_in_name(words_of("tflops_per_gpu")));
}

TEST(DeviceWords, SayWhetherARateIsOfOneDevice) {
  const auto says = [](const std::string &name, const std::string &unit) {
    Column column;
    column.unit = *parse_unit(unit);
    column.words = words_of(name);
    return says_per_device(column);
  };
  EXPECT_EQ(says("speed", "TFLOPS/GPU"), std::optional(true));
  EXPECT_EQ(says("tflops_per_gpu", "TFLOP/s"), std::optional(true));
  EXPECT_EQ(says("total_tflops", "TFLOP/s"), std::optional(false));
  EXPECT_EQ(says("tflops", "TFLOP/s"), std::nullopt);
}

TEST(ModelSize, IsReadFromNames) {
  EXPECT_EQ(billions_in("Llama-2-7B"), 7.0);
  EXPECT_EQ(billions_in("GPT-2 1.5B"), 1.5);
  EXPECT_EQ(billions_in("7B-MHA"), 7.0);
  EXPECT_FALSE(billions_in("A100-80GB"));
  EXPECT_FALSE(billions_in("64bit"));
  EXPECT_FALSE(billions_in("Mixtral 8x7B"));
  EXPECT_FALSE(billions_in("MoE-A2.7B"));
}

TEST(WorkLimits, EachIsOneLineThatNamesThePlaceAndTheLimit) {
  WorkLimits fine;
  EXPECT_EQ(refusal([&] { fine.add("t.json: $.tables[0]", 20, 500, 5); }), "") << "the control: at every limit";
  EXPECT_THAT(refusal([&] { fine.add("t.json: $.tables[1]", 1, 1, 0); }), HasSubstr("beyond 10000 cells"))
      << "tables of a file add up";
  EXPECT_THAT(refusal([] { WorkLimits().add("t.json: $.tables[0]", 1, 501, 0); }), HasSubstr("may have 500"));
  EXPECT_THAT(refusal([] { WorkLimits().add("t.json: $.tables[0]", 101, 100, 0); }), HasSubstr("divide it"));
  EXPECT_THAT(refusal([] { WorkLimits().add("t.json: $.tables[0]", 100, 100, 6); }),
              HasSubstr("50000 cells x formulas"));
}

TEST(WorkLimits, StepsOfRingsAreTakenUntilTheyAreUsedUp) {
  RingWork work;
  EXPECT_TRUE(work.take(most_ring_steps));
  EXPECT_FALSE(work.take(1.0));
  EXPECT_FALSE(RingWork().take(std::nan(""))) << "no number of steps is no work that is allowed";
  EXPECT_FALSE(RingWork().take(2.0 * most_ring_steps));
}

} // namespace
} // namespace ringscale::validation
