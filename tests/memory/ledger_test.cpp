// SPDX-License-Identifier: Apache-2.0
#include "memory/ledger.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "memory/checked_product.hpp"
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
