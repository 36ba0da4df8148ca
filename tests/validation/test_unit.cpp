// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/validation/validation_fixture.hpp"
#include "validation/unit.hpp"

namespace ringscale::validation {
namespace {

void expect_unit(const std::string &text, double scale, const std::string &dimension, bool per_device = false) {
  const auto unit = parse_unit(text);
  ASSERT_TRUE(unit) << text;
  EXPECT_DOUBLE_EQ(unit->scale, scale) << text;
  EXPECT_EQ(unit->dimension, dimension) << text;
  EXPECT_EQ(unit->per_device, per_device) << text;
}

TEST(Unit, HasScaleDimensionAndWhetherItIsPerDevice) {
  expect_unit("-", 1.0, "text");
  expect_unit("x", 1.0, "x");
  expect_unit("%", 1.0, "%");
  expect_unit("1/s", 1.0, "1/s");
  expect_unit("iter/s", 1.0, "1/s");
  expect_unit("ms", 1e-3, "s");
  expect_unit("1e3 tokens", 1e3, "token");
  expect_unit("1e9 parameters", 1e9, "parameter");
  expect_unit("1e9 bytes/s", 1e9, "byte/s");
  expect_unit("GiB", 1073741824.0, "byte");
  expect_unit("bytes per layer", 1.0, "byte/layer");
  expect_unit("chunks per stage", 1.0, "chunk/stage");
  expect_unit("1e12 FLOP/s per GPU", 1e12, "FLOP/s", true);
  expect_unit("TFLOPS", 1e12, "FLOP/s");
  expect_unit("TFLOPs/s/GPU", 1e12, "FLOP/s", true);
  expect_unit("tokens/s", 1.0, "token/s");
  expect_unit("tokens/s/GPU", 1.0, "token/s", true);
  expect_unit("ms per iteration", 1e-3, "s");
  expect_unit("Gb/s", 0.125e9, "byte/s");
  expect_unit("KiB", 1024.0, "byte");
  expect_unit("% of peak", 1.0, "%");
  expect_unit("PFLOP/s", 1e15, "FLOP/s");
  expect_unit("1e6 events/s", 1e6, "event/s");
  expect_unit("K tokens", 1e3, "token");
  expect_unit("M tokens", 1e6, "token");
  expect_unit("billion parameters", 1e9, "parameter");
  expect_unit("x 1e3 tokens", 1e3, "token");
  expect_unit("10^3 tokens", 1e3, "token");
  expect_unit("tok/s/GPU", 1.0, "token/s", true);
  expect_unit("Ktok/s", 1e3, "token/s");
  expect_unit("tokens per second per GPU", 1.0, "token/s", true);
  expect_unit("s/iter", 1.0, "s");
  expect_unit("samples/s", 1.0, "sequence/s");
  expect_unit("Gbps", 0.125e9, "byte/s");
  expect_unit("TFLOPS (dense)", 1e12, "FLOP/s");
  expect_unit("TFlop/s", 1e12, "FLOP/s");
  expect_unit("tflop/s/gpu", 1e12, "FLOP/s", true);
  expect_unit("Tflops", 1e12, "FLOP");
  expect_unit("Seconds", 1.0, "s");
  expect_unit("sec.", 1.0, "s");
  expect_unit("Tokens/s", 1.0, "token/s");
  expect_unit("MFU %", 1.0, "%");
  expect_unit("EiB", 1152921504606846976.0, "byte");
  expect_unit("b", 0.125, "byte"); // the case of a letter counts
  expect_unit("GPU hours", 3600.0, "device*s");
}

TEST(Unit, RefusesWordsThatItDoesNotKnow) {
  for (const char *text : {"", "furlongs", "1e12 FLOPZ/s", "tokens per fortnight", "ms2", "tokens (K)", "tokens (1e3)",
                           "10**3 tokens", "1,000 tokens", "inf s", "Ms", "kS"}) {
    EXPECT_FALSE(parse_unit(text)) << text;
  }
}

TEST(Unit, EveryColumnOfTheShippedTablesHasOne) {
  for (const Table &table : validation_tests::shipped_tables()) {
    for (const Column &column : table.columns) {
      EXPECT_TRUE(parse_unit(column.unit_text)) << table.id << " " << column.name;
    }
  }
}

TEST(Name, LosesItsUnitAndKeepsItsScale) {
  const NameParts parts = parse_name("min_block_ktokens_formula");
  EXPECT_EQ(parts.stem, (std::vector<std::string>{"min", "block"}));
  EXPECT_DOUBLE_EQ(parts.scale, 1e3);
  EXPECT_EQ(parts.dimension, "token");
  EXPECT_DOUBLE_EQ(parse_name("hidden_size").scale, 0.0);
  EXPECT_EQ(parse_name("iter_per_s").dimension, "1/s") << "a rate, not seconds";
  EXPECT_EQ(parse_name("tokens_per_s").dimension, "token/s");
}

void expect_name(const std::string &name, double scale, const std::string &dimension, bool per_device = false) {
  const auto unit = unit_of_name(name);
  ASSERT_TRUE(unit) << name;
  EXPECT_DOUBLE_EQ(unit->scale, scale) << name;
  EXPECT_EQ(unit->dimension, dimension) << name;
  EXPECT_EQ(unit->per_device, per_device) << name;
}

TEST(Name, SaysItsWholeUnitAndNotAPartOfIt) {
  expect_name("tokens_per_s", 1.0, "token/s");
  expect_name("tokens_per_second_per_gpu", 1.0, "token/s", true);
  expect_name("tokens/s/GPU", 1.0, "token/s", true);
  expect_name("Throughput (tokens/s)", 1.0, "token/s");
  expect_name("throughput_tok_s", 1.0, "token/s");
  expect_name("ktokens_per_s", 1e3, "token/s");
  expect_name("ms_per_token", 1e-3, "s/token");
  expect_name("ms_per_iter", 1e-3, "s");
  expect_name("time_ms_64k", 1e-3, "s");
  expect_name("speed (it/s)", 1.0, "1/s");
  expect_name("calls_per_second", 1.0, "1/s");
  expect_name("latency_sec", 1.0, "s");
  expect_name("train_hours", 3600.0, "s");
  expect_name("TFLOPS/GPU", 1e12, "FLOP/s", true);
  expect_name("gb_per_s", 1e9, "byte/s");
  expect_name("MFU (%)", 1.0, "%");
  expect_name("images_per_s", 1.0, std::string(unknown_unit));
  expect_name("ms_per_furlong", 1.0, std::string(unknown_unit));
  for (const char *name : {"batch_per_gpu", "s", "method", "gpus", "(bf16)"}) {
    EXPECT_FALSE(unit_of_name(name)) << name;
  }
}

} // namespace
} // namespace ringscale::validation
