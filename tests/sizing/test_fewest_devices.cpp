// SPDX-License-Identifier: Apache-2.0
// The fewest devices against trying every number of them.
#include <gmock/gmock.h>

#include <algorithm>

#include "problem/invalid_input.hpp"
#include "sizing/fewest_devices.hpp"
#include "sizing_fixture.hpp"

namespace ringscale::sizing {
namespace {

using testing::all_passes;
using testing::small_machine;
using testing::small_workload;

TEST(SmallestRing, EqualsTryingEverySize) {
  for (const std::int64_t key_tile_tokens : {1, 16}) {
    machine::Machine machine = small_machine(1e9);
    machine.footprint = {key_tile_tokens, 100};
    for (const std::vector<schedule::Pass> &passes : all_passes) {
      const Workload workload = small_workload(machine, 1, passes);
      for (const Configuration &ring : ring_templates(machine, Allowed())) {
        for (const std::int64_t tokens : {7, 100, 193}) {
          for (const std::int64_t budget : {700, 3'000, 13'000, 26'001, 60'000}) {
            std::int64_t expected = 0;
            for (std::int64_t ranks = 1; ranks <= tokens && expected == 0; ++ranks) {
              for (Configuration candidate : configurations_of_ring(machine, Allowed(), ranks, 1)) {
                const bool like_ring = candidate.schedule == ring.schedule && candidate.placement == ring.placement &&
                                       candidate.moving == ring.moving &&
                                       candidate.inner_ring_size == ring.inner_ring_size;
                if ((like_ring || (ranks == 1 && ring.schedule != schedule::Schedule::double_ring)) &&
                    fits(machine, workload, candidate, tokens, budget)) {
                  expected = ranks;
                }
              }
            }
            EXPECT_EQ(smallest_ring(machine, workload, ring, tokens, budget, tokens), expected)
                << describe(ring) << ", " << tokens << " tokens, " << budget << " bytes";
          }
        }
      }
    }
  }
}

/// What halving the range would answer, as if memory fell with every rank more.
std::int64_t by_halving(const machine::Machine &machine, const Workload &workload, Configuration ring,
                        std::int64_t tokens, std::int64_t budget) {
  std::int64_t low = 0;
  std::int64_t high = tokens + 1;
  while (high - low > 1) {
    ring.ring_size = low + (high - low) / 2;
    (fits(machine, workload, ring, tokens, budget) ? high : low) = ring.ring_size;
  }
  return high > tokens ? 0 : high;
}

TEST(SmallestRing, HalvingTheRangeWouldBeWrong) {
  // The control of the search above: memory of an all-gather grows again with its headers, and of a ring from one to
  // two ranks, so the plain bisection misses answers that are there.
  const machine::Machine machine = small_machine(1e9);
  const Workload workload = small_workload(machine);
  std::int64_t missed = 0;
  for (const Configuration &ring : ring_templates(machine, Allowed())) {
    for (const std::int64_t budget : {13'000, 20'000, 26'001}) {
      if (ring.schedule == schedule::Schedule::all_gather) {
        missed += smallest_ring(machine, workload, ring, 193, budget, 193) !=
                  by_halving(machine, workload, ring, 193, budget);
      }
    }
  }
  EXPECT_GT(missed, 0);
}

TEST(SmallestRing, LowerBoundsAreNoHigherThanAnyRingBetween) {
  machine::Machine machine = small_machine(1e9);
  machine.footprint = {16, 100};
  for (const std::vector<schedule::Pass> &passes : all_passes) {
    const Workload workload = small_workload(machine, 1, passes);
    for (Configuration ring : ring_templates(machine, Allowed())) {
      const std::int64_t unit = ring.inner_ring_size;
      for (const auto &[low, high] : {std::pair<std::int64_t, std::int64_t>{2, 2}, {2, 9}, {3, 5}, {6, 30}}) {
        const double least = least_bytes_between(machine, workload, ring, low * unit, high * unit, 150);
        for (std::int64_t ranks = low; ranks <= high; ++ranks) {
          ring.ring_size = ranks * unit;
          const auto bytes = static_cast<double>(memory_need(machine, workload, ring, 150).value().total_bytes);
          EXPECT_LE(least, bytes) << describe(ring);
          if (low == high) {
            EXPECT_EQ(least, bytes) << describe(ring) << ": of one ring it is what that needs";
          }
        }
      }
    }
  }
}

TEST(SmallestRing, LargeNumbersTakeNoLongSearch) {
  const machine::Machine machine = small_machine(80e9);
  Workload workload = small_workload(machine);
  workload.attention.query_heads = workload.attention.kv_heads = 32;
  workload.attention.head_dim = 128;
  for (const Configuration &ring : ring_templates(machine, Allowed())) {
    const std::int64_t tokens = std::int64_t{1} << 40;
    const std::int64_t ranks = smallest_ring(machine, workload, ring, tokens, 80'000'000'000, most_devices);
    const bool whole =
        ring.schedule == schedule::Schedule::all_gather || ring.placement == schedule::Placement::replicated_queries;
    EXPECT_EQ(ranks == 0, whole) << describe(ring);
    if (ranks > 0) {
      Configuration answer = ring;
      answer.ring_size = ranks;
      EXPECT_TRUE(fits(machine, workload, answer, tokens, 80'000'000'000));
      answer.ring_size -= ring.inner_ring_size;
      EXPECT_FALSE(fits(machine, workload, answer, tokens, 80'000'000'000));
    }
  }
}

/// Whether anything on exactly `devices` devices fits and is in time.
bool does(const machine::Machine &machine, const Workload &workload, std::int64_t tokens, double limit_s,
          std::int64_t devices, const Allowed &allowed = {}) {
  for (const Configuration &one : configurations_using(machine, allowed, devices, workload.attention.batch, tokens)) {
    const Evaluation evaluation = evaluate(machine, workload, one, tokens, devices);
    if (evaluation.fits && (limit_s == 0.0 || evaluation.time_s <= limit_s)) {
      return true;
    }
  }
  return false;
}

TEST(FewestDevices, EqualsTryingEveryNumberByMemoryAndByTime) {
  const machine::Machine machine = small_machine(12'000.0, 1e-7);
  for (const std::int64_t batch : {1, 2, 6}) {
    const Workload workload = small_workload(machine, batch);
    for (const std::int64_t tokens : {60, 131}) {
      for (const double limit_s : {0.0, 3e-4, 1e-3, 1e-2}) {
        std::int64_t expected = 0;
        for (std::int64_t devices = 1; devices <= 40 && expected == 0; ++devices) {
          expected = does(machine, workload, tokens, limit_s, devices) ? devices : 0;
        }
        const FewestDevices answer = find_fewest_devices(machine, workload, Allowed(), tokens, limit_s, 40);
        EXPECT_EQ(answer.devices, expected) << batch << " x " << tokens << " tokens in " << limit_s << " s";
        EXPECT_EQ(answer.limited_by_time, answer.devices > answer.memory_devices);
        for (const Evaluation &evaluation : answer.ranked) {
          EXPECT_EQ(evaluation.configuration.devices(), answer.devices);
          EXPECT_TRUE(limit_s == 0.0 || evaluation.time_s <= limit_s);
        }
        if (answer.devices > 1) {
          EXPECT_FALSE(does(machine, workload, tokens, limit_s, answer.devices - 1));
        }
      }
    }
  }
}

TEST(FewestDevices, ASmallerNumberMayDoWhereALargerOneDoesNot) {
  // Seven ranks of a dozen tokens have the chunks of six and one step more: times by devices go up and down.
  Allowed plain;
  plain.schedules = {schedule::Schedule::ring};
  plain.placements = {schedule::Placement::contiguous};
  plain.movings = {schedule::Moving::key_value};
  machine::Machine machine = small_machine(1e6, 1e-6, 1e-12, 1e15);
  machine.step_fixed_s = simulator_tests::number(4e-6);
  Workload workload = small_workload(machine);
  bool went_up = false;
  for (const std::int64_t budget : {1'000'000, 1'200, 900}) {
    workload.reserve_bytes = 1'000'000 - budget;
    for (double limit_s = 10e-6; limit_s < 120e-6; limit_s += 2e-6) {
      std::int64_t expected = 0;
      for (std::int64_t devices = 12; devices >= 1; --devices) {
        const bool in_time = does(machine, workload, 12, limit_s, devices, plain);
        went_up = went_up ||
                  (!in_time && expected > 0 && devices > 1 && does(machine, workload, 12, limit_s, devices - 1, plain));
        expected = in_time ? devices : expected;
      }
      const FewestDevices answer = find_fewest_devices(machine, workload, plain, 12, limit_s, 12);
      EXPECT_EQ(answer.devices, expected) << limit_s << " s, " << budget << " bytes";
      EXPECT_TRUE(expected == 0 || answer.all_smaller);
    }
  }
  EXPECT_TRUE(went_up) << "else halving alone would do";
}

TEST(FewestDevices, SlowLinksAreLeftToSchedulesThatHideThem) {
  // Hops as long as steps: a ring may miss the limit that both directions together meet, at the same work.
  const machine::Machine machine = small_machine(1e6, 1e-7, 1e-6, 2e7);
  const Workload workload = small_workload(machine);
  bool another_schedule = false;
  for (double limit_s = 1.5e-4; limit_s < 3e-4; limit_s *= 1.04) {
    std::int64_t expected = 0;
    for (std::int64_t devices = 1; devices <= 20 && expected == 0; ++devices) {
      expected = does(machine, workload, 60, limit_s, devices) ? devices : 0;
    }
    const FewestDevices answer = find_fewest_devices(machine, workload, Allowed(), 60, limit_s, 20);
    EXPECT_EQ(answer.devices, expected) << limit_s;
    another_schedule =
        another_schedule ||
        (!answer.ranked.empty() && std::none_of(answer.ranked.begin(), answer.ranked.end(), [](const Evaluation &one) {
          return one.configuration.schedule == schedule::Schedule::ring;
        }));
  }
  EXPECT_TRUE(another_schedule) << "else the plain ring alone would do";
}

TEST(FewestDevices, RingsOfRingsAloneAreTwoGroupsAtLeast) {
  // What a single device holds too: that is no double ring, and the answer must be one that is weighed.
  const machine::Machine machine = small_machine(1e9);
  Allowed double_rings;
  double_rings.schedules = {schedule::Schedule::double_ring};
  const FewestDevices answer = find_fewest_devices(machine, small_workload(machine), double_rings, 100, 0.0, 1000);
  EXPECT_EQ(answer.devices, 8);
  ASSERT_FALSE(answer.ranked.empty());
  EXPECT_EQ(answer.ranked.front().configuration.inner_ring_size, 4);
}

TEST(FewestDevices, SaysWhatItLookedAt) {
  const machine::Machine machine = small_machine(60'000.0, 1e-7);
  const Workload workload = small_workload(machine);
  const FewestDevices by_time = find_fewest_devices(machine, workload, Allowed(), 600, 4e-3, 600);
  ASSERT_GT(by_time.devices, by_time.memory_devices);
  EXPECT_TRUE(by_time.limited_by_time);
  EXPECT_TRUE(by_time.all_smaller);
  EXPECT_EQ(by_time.smaller_checked, by_time.devices - by_time.memory_devices);
  // Nothing is fast enough: no answer, but the fastest that was seen.
  const FewestDevices never = find_fewest_devices(machine, workload, Allowed(), 600, 1e-9, 600);
  EXPECT_EQ(never.devices, 0);
  EXPECT_GT(never.memory_devices, 0);
  ASSERT_TRUE(never.fastest.has_value());
  EXPECT_GT(never.fastest->time_s, 1e-9);
}

TEST(FewestDevices, RefusesBadQuestions) {
  const machine::Machine machine = small_machine(1e6);
  const Workload workload = small_workload(machine);
  EXPECT_THROW((void)find_fewest_devices(machine, workload, Allowed(), 0, 0.0, 8), problem::InvalidInput);
  EXPECT_THROW((void)find_fewest_devices(machine, workload, Allowed(), 64, -1.0, 8), problem::InvalidInput);
  EXPECT_THROW((void)find_fewest_devices(machine, workload, Allowed(), 64, 0.0 / 0.0, 8), problem::InvalidInput);
  EXPECT_THROW((void)find_fewest_devices(machine, workload, Allowed(), 64, 0.0, 0), problem::InvalidInput);
}

} // namespace
} // namespace ringscale::sizing
