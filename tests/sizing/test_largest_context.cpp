// SPDX-License-Identifier: Apache-2.0
// The largest context against trying every number of tokens.
#include <gmock/gmock.h>

#include "sizing/largest_context.hpp"
#include "sizing_fixture.hpp"

namespace ringscale::sizing {
namespace {

using testing::all_passes;
using testing::all_rings;
using testing::small_machine;
using testing::small_workload;

constexpr std::int64_t most_tried = 700;

/// Last number of tokens that fits, each asked for by itself.
std::int64_t by_trying(const machine::Machine &machine, const Workload &workload, const Configuration &configuration,
                       std::int64_t budget) {
  std::int64_t last = 0;
  for (std::int64_t tokens = configuration.ring_size; tokens <= most_tried; ++tokens) {
    last = fits(machine, workload, configuration, tokens, budget) ? tokens : last;
  }
  return last;
}

TEST(LargestContext, EqualsTryingEveryNumber) {
  for (const std::int64_t key_tile_tokens : {1, 16}) {
    machine::Machine machine = small_machine(1e9);
    machine.footprint = {key_tile_tokens, 100};
    for (const std::vector<schedule::Pass> &passes : all_passes) {
      const Workload workload = small_workload(machine, 2, passes);
      for (const Configuration &configuration : all_rings(machine, 12, 2)) {
        for (const std::int64_t budget : {1'500, 4'001, 9'000}) {
          const std::int64_t expected = by_trying(machine, workload, configuration, budget);
          ASSERT_LT(expected, most_tried) << "the range is too short to tell";
          EXPECT_EQ(largest_context(machine, workload, configuration, budget, most_tokens), expected)
              << describe(configuration) << ", " << budget << " bytes";
        }
      }
    }
  }
}

TEST(LargestContext, IsWhatFitsAndOneMoreIsNot) {
  const machine::Machine machine = small_machine(1e6);
  const Workload workload = small_workload(machine);
  const LargestContext answer = find_largest_context(machine, workload, Allowed(), 8);
  ASSERT_GT(answer.tokens, 8);
  EXPECT_EQ(answer.budget_bytes, 1'000'000);
  EXPECT_LE(answer.memory_bytes, answer.budget_bytes);
  EXPECT_GT(answer.next_memory_bytes, answer.budget_bytes);
  EXPECT_FALSE(answer.at_limit);
  for (const Configuration &configuration : configurations(machine, Allowed(), 8, 1)) {
    EXPECT_FALSE(fits(machine, workload, configuration, answer.tokens + 1, answer.budget_bytes))
        << describe(configuration);
  }
  // The control: with one byte less than that context needs it is no longer the answer.
  machine::Machine smaller = machine;
  smaller.device.memory_bytes.value = static_cast<double>(answer.memory_bytes - 1);
  bool still_fits = false;
  for (const Evaluation &evaluation : answer.ranked) {
    still_fits = still_fits || evaluation.memory->total_bytes < answer.memory_bytes;
  }
  EXPECT_EQ(find_largest_context(smaller, workload, Allowed(), 8).tokens == answer.tokens, still_fits);
}

TEST(LargestContext, MemoryIsTheFormulaOfTheDocumentation) {
  machine::Machine machine = small_machine(1e9);
  machine.footprint = {16, 100};
  const Workload workload = small_workload(machine, 3);
  Configuration ring;
  for (const std::int64_t ranks : {2, 5, 8}) {
    for (const std::int64_t chunk : {1, 16, 50}) {
      ring.ring_size = ranks;
      const std::int64_t padded = (chunk + 15) / 16 * 16;
      const std::int64_t expected = 3 * chunk * (2 * 2 * 8 * 4 + 4 * 2) + 2 * (64 + 2 * 3 * padded * 1 * 8 * 4) + 100;
      EXPECT_EQ(memory_need(machine, workload, ring, ranks * chunk).value().total_bytes, expected);
    }
  }
}

TEST(LargestContext, RanksThoseThatHoldItBySimulatedTime) {
  const machine::Machine machine = small_machine(1e5);
  const Workload workload = small_workload(machine, 4);
  const LargestContext answer = find_largest_context(machine, workload, Allowed(), 8);
  ASSERT_FALSE(answer.ranked.empty());
  for (std::size_t place = 0; place < answer.ranked.size(); ++place) {
    const Evaluation &evaluation = answer.ranked[place];
    EXPECT_TRUE(evaluation.fits && evaluation.simulated);
    EXPECT_EQ(evaluation.tokens, answer.tokens);
    EXPECT_GE(evaluation.time_s, answer.ranked.front().time_s);
  }
  EXPECT_EQ(answer.by_configuration.front().tokens, answer.tokens);
  EXPECT_EQ(answer.by_configuration.size(), configurations(machine, Allowed(), 8, 4).size());
}

TEST(LargestContext, NothingFitsInNothing) {
  const machine::Machine machine = small_machine(100.0);
  const LargestContext answer = find_largest_context(machine, small_workload(machine), Allowed(), 4);
  EXPECT_EQ(answer.tokens, 0);
  EXPECT_TRUE(answer.ranked.empty());
}

TEST(LargestContext, EndsAtWhatCanBeStated) {
  const machine::Machine machine = small_machine(1e15);
  Workload workload = small_workload(machine);
  Allowed ring;
  ring.schedules = {schedule::Schedule::ring};
  ring.placements = {schedule::Placement::contiguous};
  ring.movings = {schedule::Moving::key_value};
  const LargestContext answer = find_largest_context(machine, workload, ring, std::int64_t{1} << 20);
  EXPECT_EQ(answer.tokens, stateable_tokens(workload));
  EXPECT_EQ(answer.tokens, most_tokens);
  EXPECT_TRUE(answer.at_limit);
  EXPECT_EQ(answer.next_memory_bytes, 0);
  // 2^61 bytes of queries end it before 2^50 tokens where rows are long.
  workload.attention.query_heads = workload.attention.kv_heads = 128;
  workload.attention.head_dim = 128;
  EXPECT_EQ(stateable_tokens(workload), std::int64_t{1} << 45);
}

TEST(LargestContext, GrowsWithDevicesAndMemory) {
  const machine::Machine machine = small_machine(20'000.0);
  const Workload workload = small_workload(machine);
  std::int64_t before = 0;
  for (const std::int64_t devices : {1, 2, 4, 8, 16}) {
    const std::int64_t tokens = find_largest_context(machine, workload, Allowed(), devices).tokens;
    EXPECT_GT(tokens, before);
    before = tokens;
  }
}

} // namespace
} // namespace ringscale::sizing
