// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/validation/validation_fixture.hpp"
#include "validation/attention_groups.hpp"
#include "validation/attention_time.hpp"

namespace ringscale::validation {
namespace {

using validation_tests::machine_named;

AttentionCell causal_cell(std::int64_t devices, RingKind kind) {
  AttentionCell cell;
  cell.attention.tokens = 65536;
  cell.attention.query_heads = cell.attention.kv_heads = 32;
  cell.attention.head_dim = 128;
  cell.attention.mask = problem::Mask::causal;
  cell.devices = cell.ring_degree = devices;
  cell.kind = kind;
  return cell;
}

/// Nothing but tiles: no merges, no calls, links without end.
machine::Machine free_machine() {
  machine::Machine machine = machine_named("a100_nvlink_hdr");
  machine.merge.fixed_s.value = 0.0;
  machine.step_fixed_s.value = 0.0;
  for (machine::Link &link : machine.links) {
    link.latency_s.value = 0.0;
    link.bandwidth_bytes_per_s.value = 1e18;
  }
  return machine;
}

AttentionConstants free_constants() {
  AttentionConstants constants;
  constants.flop_per_s = 2e14;
  constants.merge_bytes = 0.0;
  constants.gradient_bytes = 0.0;
  return constants;
}

TEST(AttentionTime, ContiguousCausalRingReachesNOver2NMinus1) {
  const double one_s = attention_seconds(causal_cell(1, RingKind::contiguous), free_machine(), free_constants());
  const double ring_s = attention_seconds(causal_cell(8, RingKind::contiguous), free_machine(), free_constants());
  EXPECT_NEAR(one_s / (8.0 * ring_s), 8.0 / 15.0, 1e-4);
  const double zigzag_s = attention_seconds(causal_cell(8, RingKind::zigzag), free_machine(), free_constants());
  EXPECT_NEAR(one_s / (8.0 * zigzag_s), 1.0, 1e-4);
}

TEST(AttentionTime, WholeTilesGainInZigzagAndNotInStripes) {
  AttentionConstants constants = free_constants();
  const double zigzag_s = attention_seconds(causal_cell(8, RingKind::zigzag), free_machine(), constants);
  const double striped_s = attention_seconds(causal_cell(8, RingKind::striped), free_machine(), constants);
  constants.unmasked_gain = 1.25;
  // The own block of eight is on the diagonal and stays: 1/8 + 7/8 / 1.25.
  EXPECT_NEAR(attention_seconds(causal_cell(8, RingKind::zigzag), free_machine(), constants) / zigzag_s,
              0.125 + 0.875 / 1.25, 1e-3);
  EXPECT_NEAR(attention_seconds(causal_cell(8, RingKind::striped), free_machine(), constants) / striped_s, 1.0, 1e-9);
}

TEST(AttentionTime, MergesMoveTheirBytesAtTheMemoryBandwidth) {
  AttentionConstants constants = free_constants();
  const machine::Machine machine = free_machine();
  const double plain_s = attention_seconds(causal_cell(8, RingKind::striped), machine, constants);
  constants.merge_bytes = 40.0;
  const double merged_s = attention_seconds(causal_cell(8, RingKind::striped), machine, constants);
  const double elements = 7.0 * 8192.0 * 32.0 * 129.0;
  EXPECT_NEAR((merged_s - plain_s) / (40.0 * elements / machine.roofline.memory_bandwidth_bytes_per_s.value), 1.0,
              1e-3);
}

TEST(AttentionTime, AllToAllMovesQueriesKeysValuesAndOutput) {
  AttentionCell cell = causal_cell(8, RingKind::contiguous);
  cell.ring_degree = 1;
  cell.ulysses_degree = 8;
  const machine::Machine machine = machine_named("a100_nvlink_hdr");
  const AttentionConstants constants = free_constants();
  const double tile_s = problem::forward_flop(cell.attention) / (8.0 * constants.flop_per_s);
  const double bytes = 65536.0 * 4.0 * 32.0 * 128.0 * 2.0 / 8.0 * 7.0 / 8.0;
  const double expected_s =
      tile_s + bytes / 3e11 + 4.0 * 7.0 * machine.links.front().latency_s.value + machine.step_fixed_s.value;
  EXPECT_NEAR(attention_seconds(cell, machine, constants) / expected_s, 1.0, 1e-6);
  AttentionConstants shared = constants;
  shared.all_to_all_sharing = 1.0;
  EXPECT_NEAR(attention_seconds(cell, machine, shared) - attention_seconds(cell, machine, constants),
              6.0 * bytes / 3e11, 1e-9);
}

TEST(AttentionTime, BackwardTakesItsRatio) {
  AttentionCell cell = causal_cell(8, RingKind::striped);
  AttentionConstants constants = free_constants();
  constants.backward_ratio = 3.0;
  const double forward_s = attention_seconds(cell, free_machine(), constants);
  cell.backward = true;
  machine::Machine machine = free_machine();
  machine.merge.per_element_s.value = 0.0;
  EXPECT_NEAR(attention_seconds(cell, machine, constants) / forward_s, 4.0, 1e-3);
}

TEST(AttentionTime, TileRateAddsExponentials) {
  const machine::Machine machine = machine_named("a100_nvlink_hdr");
  const double exponentials_s = 1.0 / (4.0 * 32.0 * machine.roofline.exponentials_per_s.value);
  EXPECT_DOUBLE_EQ(tile_rate(machine, 0.5, 32, 2), 1.0 / (1.0 / (312e12 * 0.5) + exponentials_s));
}

TEST(AttentionTime, ShortSequencesLoseTokensAtTheirEnds) {
  AttentionCell cell = causal_cell(1, RingKind::contiguous);
  AttentionConstants constants = free_constants();
  const double long_s = attention_seconds(cell, free_machine(), constants);
  constants.half_rate_tokens = 65536.0 / 2.0; // twice as many under a mask: all of them
  EXPECT_NEAR(attention_seconds(cell, free_machine(), constants) / long_s, 2.0, 1e-12);
}

TEST(AttentionCell, IsShownInTheUnitOfItsColumn) {
  AttentionCell cell = causal_cell(8, RingKind::zigzag);
  cell.quantity = Quantity::flop_rate;
  cell.scale = 1e12;
  EXPECT_DOUBLE_EQ(shown(cell, 0.5), flop_of(cell) / (0.5 * 8.0) / 1e12);
  cell.published = shown(cell, 0.5) * cell.scale;
  EXPECT_DOUBLE_EQ(seconds_of(cell), 0.5);
  cell.quantity = Quantity::rate;
  cell.scale = 1.0;
  EXPECT_DOUBLE_EQ(shown(cell, 0.5), 2.0);
  cell.quantity = Quantity::token_rate;
  EXPECT_DOUBLE_EQ(shown(cell, 0.5), 131072.0);
}

TEST(AttentionTime, AnAllGatherJoinsNothing) {
  AttentionConstants costly = free_constants();
  costly.merge_bytes = 4000.0;
  const auto seconds = [](RingKind kind, const AttentionConstants &constants) {
    return attention_seconds(causal_cell(8, kind), free_machine(), constants);
  };
  EXPECT_EQ(seconds(RingKind::all_gather, costly), seconds(RingKind::all_gather, free_constants()));
  EXPECT_GT(seconds(RingKind::zigzag, costly), seconds(RingKind::zigzag, free_constants())) << "the control";
}

} // namespace
} // namespace ringscale::validation
