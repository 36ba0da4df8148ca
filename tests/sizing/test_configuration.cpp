// SPDX-License-Identifier: Apache-2.0
// What is weighed: everything that is right and allowed, once, on no more devices than there are.
#include <gmock/gmock.h>

#include <algorithm>

#include <set>

#include "problem/invalid_input.hpp"
#include "schedule/ring_schedule.hpp"
#include "sizing/fewest_devices.hpp"
#include "sizing/largest_context.hpp"
#include "sizing/ring_sizes.hpp"
#include "sizing_fixture.hpp"

namespace ringscale::sizing {
namespace {

using schedule::Moving;
using schedule::Placement;
using schedule::Schedule;
using testing::small_machine;
using testing::small_workload;

std::int64_t count(const std::vector<Configuration> &all, Schedule schedule) {
  return std::count_if(all.begin(), all.end(), [&](const Configuration &one) { return one.schedule == schedule; });
}

TEST(Configurations, AreValidDistinctAndWithinTheDevices) {
  const machine::Machine machine = small_machine(1e9);
  for (const std::int64_t devices : {1, 2, 6, 8, 12, 24}) {
    for (const std::int64_t batch : {1, 2, 3, 8}) {
      const Workload workload = small_workload(machine, batch);
      std::set<std::string> seen;
      for (const Configuration &configuration : configurations(machine, Allowed(), devices, batch)) {
        EXPECT_NO_THROW(validate(ring_problem(workload, configuration, schedule::Pass::backward, 64)));
        EXPECT_LE(configuration.devices(), devices);
        EXPECT_EQ(devices % configuration.ring_size, 0);
        EXPECT_EQ(batch % configuration.rings, 0);
        EXPECT_NE(configuration.schedule, Schedule::local_only);
        EXPECT_TRUE(seen.insert(describe(configuration)).second) << describe(configuration);
      }
    }
  }
}

TEST(Configurations, TakeEveryScheduleOfARing) {
  const machine::Machine machine = small_machine(1e9);
  // Seven pairs of placement and moving: replicated queries do not move.
  const std::vector<Configuration> of_eight = configurations_of_ring(machine, Allowed(), 8, 1);
  EXPECT_EQ(of_eight.size(), 4 * 7U);
  EXPECT_EQ(count(of_eight, Schedule::double_ring), 7);
  EXPECT_EQ(of_eight.back().inner_ring_size, 1);
  // A node of four holds no double ring, and neither do six devices in nodes of four.
  EXPECT_EQ(count(configurations_of_ring(machine, Allowed(), 4, 1), Schedule::double_ring), 0);
  EXPECT_EQ(count(configurations_of_ring(machine, Allowed(), 6, 1), Schedule::double_ring), 0);
  EXPECT_EQ(configurations_of_ring(machine, Allowed(), 1, 5).size(), 1U);
}

TEST(Configurations, RingsBesideOneAnotherShareTheBatch) {
  const machine::Machine machine = small_machine(1e9);
  std::set<std::pair<std::int64_t, std::int64_t>> sizes;
  for (const Configuration &configuration : configurations(machine, Allowed(), 8, 6)) {
    sizes.emplace(configuration.ring_size, configuration.rings);
  }
  // Eight rings of one would need a batch of eight; six divide six.
  EXPECT_THAT(sizes, ::testing::ElementsAre(std::pair(1, 6), std::pair(2, 3), std::pair(4, 2), std::pair(8, 1)));
  const Workload workload = small_workload(machine, 6);
  Configuration three;
  three.rings = 3;
  three.ring_size = 2;
  EXPECT_EQ(ring_problem(workload, three, schedule::Pass::forward, 64).attention.batch, 2);
}

TEST(Configurations, ExactNumbersLeaveNoDeviceIdle) {
  const machine::Machine machine = small_machine(1e9);
  for (const std::int64_t devices : {1, 3, 6, 12}) {
    for (const Configuration &one : configurations_using(machine, Allowed(), devices, 6, 5)) {
      EXPECT_EQ(one.devices(), devices);
      EXPECT_LE(one.ring_size, 5);
    }
  }
  EXPECT_TRUE(configurations_using(machine, Allowed(), 7, 6, 5).empty()) << "seven ranks for five tokens";
}

TEST(Configurations, OnlyWhatIsAllowed) {
  const machine::Machine machine = small_machine(1e9);
  Allowed allowed;
  allowed.schedules = {Schedule::all_gather};
  allowed.placements = {Placement::zigzag};
  allowed.movings = {Moving::query};
  const std::vector<Configuration> all = configurations(machine, allowed, 4, 1);
  ASSERT_EQ(all.size(), 3U);
  for (const Configuration &one : all) {
    EXPECT_EQ(one.schedule, Schedule::all_gather);
    EXPECT_EQ(one.placement, Placement::zigzag);
    EXPECT_EQ(one.moving, Moving::query);
  }
}

TEST(Configurations, NothingLeftIsRefusedByEveryQuestion) {
  machine::Machine flat = small_machine(1e9);
  flat.links.erase(flat.links.begin());
  const Workload workload = small_workload(flat);
  Allowed inner_only;
  inner_only.schedules = {Schedule::double_ring};
  EXPECT_THROW((void)find_largest_context(flat, workload, inner_only, 8), problem::InvalidInput);
  EXPECT_THROW((void)find_fewest_devices(flat, workload, inner_only, 64, 0.0, 8), problem::InvalidInput);
  EXPECT_THROW((void)rank_configurations(flat, workload, inner_only, 64, 8), problem::InvalidInput);
  EXPECT_NO_THROW((void)rank_configurations(small_machine(1e9), workload, inner_only, 64, 8));
}

TEST(Divisors, EqualTrialDivision) {
  for (std::int64_t number = 1; number < 200; ++number) {
    std::vector<std::int64_t> expected;
    for (std::int64_t candidate = 1; candidate <= number; ++candidate) {
      if (number % candidate == 0) {
        expected.push_back(candidate);
      }
    }
    EXPECT_EQ(divisors(number), expected);
  }
}

TEST(Configurations, RingsOfRingsAloneNeedTwoGroups) {
  const machine::Machine machine = small_machine(1e6);
  Allowed only;
  only.schedules = {Schedule::double_ring};
  EXPECT_TRUE(configurations_of_ring(machine, only, 1, 1).empty());
  EXPECT_THROW((void)configurations(machine, only, 4, 1), problem::InvalidInput);
  EXPECT_FALSE(configurations(machine, only, 8, 1).empty());
  only.schedules.push_back(Schedule::ring);
  EXPECT_FALSE(configurations(machine, only, 4, 1).empty());
}

TEST(Workload, RefusesWhatCannotBe) {
  const machine::Machine machine = small_machine(1e6);
  Workload workload = small_workload(machine);
  workload.reserve_bytes = 999'999;
  EXPECT_EQ(budget_bytes(machine, workload), 1);
  workload.reserve_bytes = 1'000'000;
  EXPECT_THROW((void)budget_bytes(machine, workload), problem::InvalidInput);
  workload.reserve_bytes = -1;
  EXPECT_THROW((void)budget_bytes(machine, workload), problem::InvalidInput);
  for (const std::int64_t bad : {std::int64_t{0}, std::int64_t{-3}, most_devices + 1}) {
    EXPECT_THROW(require_devices(bad), problem::InvalidInput);
  }
  EXPECT_THROW(require_tokens(0), problem::InvalidInput);
  EXPECT_THROW(require_tokens(most_tokens + 1), problem::InvalidInput);
  EXPECT_NO_THROW(require_tokens(most_tokens));
  machine::Machine odd = machine;
  odd.roofline.arithmetic.front().element_bytes = 8;
  Workload fresh;
  EXPECT_THROW(adopt_machine(odd, fresh), problem::InvalidInput);
}

} // namespace
} // namespace ringscale::sizing
