// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "machine/tile_time.hpp"
#include "problem/invalid_input.hpp"
#include "tests/machine/calibrated_machine.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::machine {
namespace {

using machine_tests::calibrated_machine;
using machine_tests::measured_tile_s;
using simulator_tests::number;

TileWork full(std::int64_t query_tokens, std::int64_t key_tokens, std::int64_t head_dim = 64) {
  return {
      1, 8, 8, head_dim, query_tokens, key_tokens, static_cast<double>(query_tokens) * static_cast<double>(key_tokens)};
}

TileWork diagonal(std::int64_t tokens) {
  TileWork work = full(tokens, tokens);
  work.pairs = static_cast<double>(tokens) * (static_cast<double>(tokens) + 1.0) / 2.0;
  return work;
}

TEST(TileTime, IsExactAtTheTablesPoints) {
  const Machine machine = calibrated_machine();
  const TileTime tile_time(machine, "");
  for (const TileSample &sample : machine.tiles.samples) {
    const double expected = sample.time_s;
    if (sample.mask == problem::Mask::none) {
      EXPECT_NEAR(tile_time(full(sample.query_tokens, sample.key_tokens, sample.head_dim)), expected, 1e-12 * expected);
    } else if (sample.head_dim == 64) {
      EXPECT_NEAR(tile_time(diagonal(sample.query_tokens)), expected, 1e-12 * expected);
    }
  }
}

TEST(TileTime, IsCloseToTheTruthBetweenThePoints) {
  // The table comes from a smooth law; log-bilinear interpolation between factors of four errs by a few per cent.
  const TileTime tile_time(calibrated_machine(), "");
  for (const std::int64_t queries : {90, 200, 700, 3000}) {
    for (const std::int64_t keys : {100, 300, 1500}) {
      EXPECT_NEAR(tile_time(full(queries, keys)) / measured_tile_s(queries, keys, 64), 1.0, 0.05);
    }
  }
}

TEST(TileTime, NeverFallsWhenWorkGrows) {
  const TileTime tile_time(calibrated_machine(), "");
  double previous = 0.0;
  for (std::int64_t tokens = 1; tokens < 40000; tokens += 1 + tokens / 7) {
    const double now = tile_time(full(tokens, tokens));
    EXPECT_GE(now, previous) << tokens;
    EXPECT_GE(tile_time(full(tokens + 1, tokens)), now);
    EXPECT_GE(tile_time(full(tokens, tokens + 1)), now);
    EXPECT_LE(tile_time(diagonal(tokens)), now * (1.0 + 1e-12));
    previous = now;
  }
}

TEST(TileTime, BeyondTheTableTimePerPairStays) {
  const TileTime tile_time(calibrated_machine(), "");
  EXPECT_NEAR(tile_time(full(4096 * 8, 4096 * 4)) / tile_time(full(4096, 4096)), 32.0, 1e-9);
  EXPECT_TRUE(tile_time.extrapolation(full(4096, 64)).empty());
  EXPECT_NE(tile_time.extrapolation(full(262144, 64)).find("query_tokens 262144 outside 64..4096"), std::string::npos);
  EXPECT_NE(tile_time.extrapolation(full(64, 63)).find("key_tokens"), std::string::npos);
  EXPECT_NE(tile_time.extrapolation(full(64, 64, 256)).find("head_dim 256"), std::string::npos);
}

TEST(TileTime, IsProportionalToBatchAndHeadsAndUsesTheTablesHeadDims) {
  const TileTime tile_time(calibrated_machine(), "");
  TileWork work = full(256, 256);
  const double once = tile_time(work);
  work.batch = 3;
  work.query_heads = 16;
  EXPECT_NEAR(tile_time(work), 6.0 * once, 1e-12);
  const double narrow = tile_time(full(1024, 1024, 64));
  const double wide = tile_time(full(1024, 1024, 128));
  const double between = tile_time(full(1024, 1024, 96));
  EXPECT_NEAR(between, 0.5 * (narrow + wide), 1e-12);
  EXPECT_GT(tile_time(full(1024, 1024, 256)), wide);
  EXPECT_LT(tile_time(full(1024, 1024, 32)), narrow);
}

TEST(TileTime, NothingAdmittedTakesNoTime) {
  TileWork work = full(64, 64);
  work.pairs = 0.0;
  EXPECT_EQ(TileTime(calibrated_machine(), "")(work), 0.0);
}

TEST(TileTime, RooflineIsTheLargestOfItsThreeTerms) {
  Machine machine = simulator_tests::simple_machine(1e-9, 0.0, 1.0);
  Roofline &roofline = machine.roofline;
  roofline.launch_s = number(1e-5);
  roofline.arithmetic[0].peak_flop_per_s = number(1e12);
  roofline.arithmetic[0].efficiency = number(0.5);
  roofline.memory_bandwidth_bytes_per_s = number(1e9);
  roofline.exponentials_per_s = number(1e15);
  const TileWork work = full(4096, 4096);
  const double flop_s = 4.0 * 4096 * 4096 * 8 * 64 / 0.5e12;
  EXPECT_NEAR(TileTime(machine, "")(work), 1e-5 + flop_s, 1e-12);
  roofline.memory_bandwidth_bytes_per_s = number(1e7);
  EXPECT_NEAR(TileTime(machine, "")(work), 1e-5 + 4.0 * 2 * 64 * 2 * 4096 * 8 / 1e7, 1e-12);
  roofline.exponentials_per_s = number(1e6);
  EXPECT_NEAR(TileTime(machine, "")(work), 1e-5 + 4096.0 * 4096 * 8 / 1e6, 1e-9);
}

TEST(TileTime, AnUnknownDtypeIsRefusedByName) {
  try {
    const TileTime tile_time(simulator_tests::simple_machine(1e-9, 0.0, 1.0), "float8");
    FAIL();
  } catch (const problem::InvalidInput &error) {
    EXPECT_NE(std::string(error.what()).find("float8"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("float32"), std::string::npos);
  }
  EXPECT_THROW(TileTime(calibrated_machine(), "bfloat16"), problem::InvalidInput);
}

TEST(MakeMonotone, RaisesADisturbedPointAndLeavesOthers) {
  Machine machine = calibrated_machine();
  TileTable &table = machine.tiles;
  const std::vector<TileSample> before = table.samples;
  make_monotone(table);
  for (std::size_t index = 0; index < before.size(); ++index) {
    EXPECT_EQ(table.samples[index].time_s, before[index].time_s);
  }
  table.samples[0].time_s = 1.0; // the smallest tile took longer than the largest
  make_monotone(table);
  for (const TileSample &sample : table.samples) {
    if (sample.head_dim == 64 && sample.mask == problem::Mask::none) {
      EXPECT_GE(sample.time_s, 1.0);
    }
  }
}

} // namespace
} // namespace ringscale::machine
