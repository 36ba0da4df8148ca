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
}

TEST(Unit, RefusesWordsThatItDoesNotKnow) {
  for (const char *text : {"", "furlongs", "1e12 FLOPZ/s", "tokens per fortnight", "ms2", "tokens (K)", "tokens (1e3)",
                           "10**3 tokens", "1,000 tokens"}) {
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
}

} // namespace
} // namespace ringscale::validation
