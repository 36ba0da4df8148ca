// SPDX-License-Identifier: Apache-2.0
// Bytes that single settings save, against counting them by hand.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "problem/invalid_input.hpp"
#include "sizing/diagnosis.hpp"
#include "sizing_fixture.hpp"

namespace ringscale::sizing {
namespace {

using testing::small_machine;
using testing::small_workload;

// Two query heads and one key/value head of width 8: a query row is 64 bytes, a key with its value 64, a log-sum-exp 8.
constexpr std::int64_t tokens = 1024;
constexpr std::int64_t ranks = 8;
constexpr std::int64_t chunk = tokens / ranks;
constexpr std::int64_t header = 64;

Configuration wasteful() {
  Configuration configuration;
  configuration.ring_size = ranks;
  configuration.schedule = schedule::Schedule::all_gather;
  configuration.placement = schedule::Placement::replicated_queries;
  configuration.kernel = memory::KernelKind::materialised;
  configuration.layout = schedule::MessageLayout::copied;
  return configuration;
}

std::map<std::string, std::int64_t> saved(const Diagnosis &diagnosis) {
  std::map<std::string, std::int64_t> bytes;
  for (const Saving &saving : diagnosis.savings) {
    bytes[saving.setting + " " + saving.to] = saving.saved_bytes;
  }
  return bytes;
}

TEST(Diagnosis, BytesAreThoseCountedByHand) {
  const machine::Machine machine = small_machine(300'000.0);
  const Workload workload = small_workload(machine, 2);
  const Diagnosis diagnosis = diagnose(machine, workload, wasteful(), tokens);
  const std::int64_t batch = 2;
  const std::int64_t block = header + batch * chunk * 64;
  const std::int64_t scores = batch * 2 * tokens * chunk * 4;
  const std::int64_t total = batch * tokens * (64 + 64 + 8) + (ranks + 1) * block + scores;
  EXPECT_EQ(diagnosis.need.total_bytes, total);
  EXPECT_FALSE(diagnosis.fits);
  const std::map<std::string, std::int64_t> bytes = saved(diagnosis);
  EXPECT_EQ(bytes.at("kernel streamed"), scores);
  EXPECT_EQ(bytes.at("placement contiguous"), (batch * (64 + 64 + 8) * tokens + scores) / ranks * (ranks - 1));
  EXPECT_EQ(bytes.at("schedule ring"), (ranks - 2) * block);
  EXPECT_EQ(bytes.at("message_layout stored_packed"), block);
  EXPECT_EQ(bytes.at("batch 1 at a time"), (total - (ranks + 1) * header) / 2);
  EXPECT_EQ(bytes.at("dtype bfloat16"), (batch * tokens * 64 + (ranks + 1) * (block - header)) / 2);
  // Half the chunk: half the scores, and twice as many blocks of half the size with a header and half a copy each.
  const std::int64_t half_block = header + batch * chunk / 2 * 64;
  EXPECT_EQ(bytes.at("ring_size 16"), scores / 2 + (ranks + 1) * block - (2 * ranks + 1) * half_block);
}

TEST(Diagnosis, RanksBySavedBytesAndEachIsTheChangeAlone) {
  const machine::Machine machine = small_machine(300'000.0);
  const Workload workload = small_workload(machine, 2);
  const Diagnosis diagnosis = diagnose(machine, workload, wasteful(), tokens);
  ASSERT_GE(diagnosis.savings.size(), 7U);
  for (std::size_t place = 0; place < diagnosis.savings.size(); ++place) {
    const Saving &saving = diagnosis.savings[place];
    EXPECT_GT(saving.saved_bytes, 0);
    EXPECT_EQ(saving.memory_bytes + saving.saved_bytes, diagnosis.need.total_bytes);
    EXPECT_EQ(saving.fits, saving.memory_bytes <= 300'000);
    EXPECT_EQ(saving.same_result, saving.setting != "dtype");
    EXPECT_TRUE(place == 0 || diagnosis.savings[place - 1].saved_bytes >= saving.saved_bytes);
  }
}

TEST(Diagnosis, FindsTheRingThatFitsAsItIs) {
  const machine::Machine machine = small_machine(30'000.0);
  const Workload workload = small_workload(machine);
  Configuration plain;
  plain.ring_size = 2;
  const Diagnosis diagnosis = diagnose(machine, workload, plain, tokens);
  ASSERT_GT(diagnosis.fitting_ring_size, 2);
  plain.ring_size = diagnosis.fitting_ring_size;
  EXPECT_TRUE(diagnose(machine, workload, plain, tokens).fits);
  --plain.ring_size;
  EXPECT_FALSE(diagnose(machine, workload, plain, tokens).fits);
  EXPECT_EQ(diagnose(machine, small_workload(machine, 2), wasteful(), tokens).fitting_ring_size, 0)
      << "whole queries fit in no ring";
}

TEST(Diagnosis, ChangesThatSaveNothingAreLeftOut) {
  const machine::Machine machine = small_machine(1'000.0);
  Configuration plain;
  plain.ring_size = tokens; // one token a rank: no smaller chunk
  const Diagnosis diagnosis = diagnose(machine, small_workload(machine), plain, tokens);
  const std::map<std::string, std::int64_t> bytes = saved(diagnosis);
  EXPECT_EQ(bytes.count("schedule ring"), 0U);
  EXPECT_EQ(bytes.count("kernel streamed"), 0U);
  EXPECT_EQ(bytes.count("batch 1 at a time"), 0U);
  EXPECT_EQ(bytes.count("ring_size 2048"), 0U);
  EXPECT_EQ(bytes.count("dtype bfloat16"), 1U);
  EXPECT_EQ(bytes.count("dtype float8_e4m3"), 0U) << "the machine has no arithmetic for it";
}

TEST(Diagnosis, RemedyKeepsResultsWhileItCanAndEndsWhenItFits) {
  const machine::Machine machine = small_machine(1e9);
  Workload workload = small_workload(machine, 2);
  const Configuration start = wasteful();
  const std::int64_t total = diagnose(machine, workload, start, tokens).need.total_bytes;
  const auto remedy_for = [&](std::int64_t budget) {
    workload.reserve_bytes = 1'000'000'000 - budget;
    return diagnose(machine, workload, start, tokens).remedy;
  };
  EXPECT_TRUE(remedy_for(total).empty());
  const std::vector<Remedy> one = remedy_for(total - 1);
  ASSERT_EQ(one.size(), 1U);
  EXPECT_TRUE(one.front().fits);
  // Fewer bytes than are possible: everything is tried, element types last, and it still does not fit.
  const std::vector<Remedy> all = remedy_for(100);
  ASSERT_GE(all.size(), 5U);
  EXPECT_FALSE(all.back().fits);
  EXPECT_EQ(all.back().setting, "dtype");
  for (std::size_t place = 1; place < all.size(); ++place) {
    EXPECT_LT(all[place].memory_bytes, all[place - 1].memory_bytes);
  }
  EXPECT_EQ(std::count_if(all.begin(), all.end(), [](const Remedy &step) { return step.setting == "dtype"; }), 1);
}

TEST(Diagnosis, RefusesWhatNoDeviceCouldHold) {
  const machine::Machine machine = small_machine(1e9);
  EXPECT_THROW((void)diagnose(machine, small_workload(machine), wasteful(), most_tokens), problem::InvalidInput);
}

} // namespace
} // namespace ringscale::sizing
