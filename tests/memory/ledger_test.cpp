// SPDX-License-Identifier: Apache-2.0
#include "memory/ledger.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "memory/checked_product.hpp"
#include "memory/limits.hpp"
#include "memory/peak_rss.hpp"

namespace ringscale::memory {
namespace {

TEST(Ledger, HighWaterIsTheHighestTotalNotTheSumOfPeaks) {
  Ledger ledger;
  ledger.add(Purpose::query, 100);
  ledger.add(Purpose::scores, 50);
  ledger.remove(Purpose::scores, 50);
  ledger.add(Purpose::output, 30);
  EXPECT_EQ(ledger.high_water_bytes(), 150);
  EXPECT_EQ(ledger.at_high_water()[Purpose::scores], 50);
  EXPECT_EQ(ledger.at_high_water()[Purpose::output], 0);
  EXPECT_EQ(ledger.peak_by_purpose()[Purpose::output], 30);
  EXPECT_EQ(ledger.held().total(), 130);
}

TEST(Ledger, RefusesToGiveBackWhatIsNotHeld) {
  Ledger ledger;
  ledger.add(Purpose::query, 10);
  EXPECT_THROW(ledger.remove(Purpose::query, 11), std::logic_error);
  EXPECT_THROW(ledger.remove(Purpose::output, 1), std::logic_error);
  EXPECT_THROW(ledger.add(Purpose::query, -1), std::logic_error);
  EXPECT_EQ(ledger.held().total(), 10);
}

TEST(Ledger, EntryLivesAsLongAsItsObject) {
  Ledger ledger;
  {
    LedgerEntry entry(ledger, Purpose::workspace, 64);
    LedgerEntry moved(std::move(entry));
    EXPECT_EQ(ledger.held()[Purpose::workspace], 64);
  }
  EXPECT_EQ(ledger.held().total(), 0);
  EXPECT_EQ(ledger.high_water_bytes(), 64);
}

TEST(Ledger, BudgetRefusesBeforeItCounts) {
  Ledger ledger;
  ledger.set_budget(100);
  ledger.add(Purpose::query, 60);
  ledger.add(Purpose::output, 40);
  try {
    ledger.add(Purpose::scores, 1);
    FAIL() << "one byte too many was taken";
  } catch (const OutOfBudget &refusal) {
    EXPECT_EQ(refusal.purpose(), Purpose::scores);
    EXPECT_EQ(refusal.asked_bytes(), 1);
    EXPECT_EQ(refusal.held_bytes(), 100);
    EXPECT_EQ(refusal.budget_bytes(), 100);
    EXPECT_NE(std::string(refusal.what()).find("--memory-limit"), std::string::npos);
  }
  EXPECT_EQ(ledger.held().total(), 100);
  EXPECT_EQ(ledger.high_water_bytes(), 100) << "what was refused was never held";
  EXPECT_EQ(ledger.peak_by_purpose()[Purpose::scores], 0);
  EXPECT_THROW(ledger.add(Purpose::query, std::numeric_limits<std::int64_t>::max()), OutOfBudget);
  EXPECT_THROW(ledger.require_room(Purpose::query, 1), OutOfBudget);
  ledger.remove(Purpose::query, 60);
  EXPECT_NO_THROW(ledger.require_room(Purpose::query, 60));
  EXPECT_EQ(ledger.held().total(), 40) << "asking for room takes none";
  ledger.set_budget(10);
  EXPECT_THROW(ledger.add(Purpose::query, 1), OutOfBudget) << "a budget below what is held";
  ledger.set_budget(0);
  EXPECT_NO_THROW(ledger.add(Purpose::query, 1000)) << "no budget";
}

TEST(Ledger, EntryThatIsRefusedGivesNothingBack) {
  Ledger ledger;
  ledger.set_budget(10);
  EXPECT_THROW(LedgerEntry(ledger, Purpose::workspace, 11), OutOfBudget);
  EXPECT_EQ(ledger.held().total(), 0);
}

TEST(Ledger, ThreadsTogetherNeverLeaveTheBudget) {
  constexpr int threads = 4;
  constexpr std::int64_t piece = 7;
  constexpr std::int64_t budget = 10 * piece;
  Ledger ledger;
  ledger.set_budget(budget);
  std::atomic<std::int64_t> taken{0};
  std::atomic<std::int64_t> refused{0};
  std::vector<std::thread> crowd;
  for (int thread = 0; thread < threads; ++thread) {
    crowd.emplace_back([&, thread] {
      const Purpose purpose = all_purposes[static_cast<std::size_t>(thread)];
      for (int round = 0; round < 2000; ++round) {
        std::int64_t mine = 0;
        for (int part = 0; part < 4; ++part) {
          try {
            ledger.add(purpose, piece);
            mine += piece;
            ++taken;
          } catch (const OutOfBudget &) {
            ++refused;
          }
        }
        ledger.remove(purpose, mine);
      }
    });
  }
  for (std::thread &thread : crowd) {
    thread.join();
  }
  EXPECT_EQ(taken + refused, threads * 2000 * 4);
  EXPECT_EQ(ledger.held().total(), 0);
  EXPECT_LE(ledger.high_water_bytes(), budget);
  EXPECT_GE(ledger.high_water_bytes(), 4 * piece);
  EXPECT_EQ(ledger.high_water_bytes() % piece, 0);
}

TEST(Ledger, EveryPurposeHasItsOwnWord) {
  for (const Purpose left : all_purposes) {
    for (const Purpose right : all_purposes) {
      EXPECT_EQ(name(left) == name(right), left == right);
    }
  }
}

TEST(CheckedProduct, RefusesWhatLeaves63Bits) {
  EXPECT_EQ(checked_product({std::int64_t{1} << 31, std::int64_t{1} << 31}), std::int64_t{1} << 62);
  EXPECT_THROW(checked_product({std::int64_t{1} << 32, std::int64_t{1} << 31}), problem::InvalidInput);
}

TEST(PeakRss, GrowsWithTouchedMemory) {
  const std::int64_t before = peak_rss_bytes();
  std::vector<char> block(64 << 20, 1);
  EXPECT_GE(peak_rss_bytes(), before + (32 << 20));
  EXPECT_EQ(block.back(), 1);
}

} // namespace
} // namespace ringscale::memory
