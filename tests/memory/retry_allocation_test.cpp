// SPDX-License-Identifier: Apache-2.0
#include "memory/retry_allocation.hpp"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "memory/ledger.hpp"
#include "memory/limits.hpp"

namespace ringscale::memory {
namespace {

using Names = std::vector<std::string>;

/// Stages that note their calls; "halve" may be taken three times.
struct Stages {
  Names calls;
  bool cache_helps = true;
  std::vector<RetryStage> list() {
    return {{"drop_cache",
             [this] {
               calls.emplace_back("drop_cache");
               return cache_helps;
             },
             1},
            {"halve",
             [this] {
               calls.emplace_back("halve");
               return true;
             },
             3}};
  }
};

TEST(RetryAllocation, DoesNothingMoreThanTheFirstSuccess) {
  Stages stages;
  RetryReport report;
  int allocated = 0;
  retry_allocation([&] { ++allocated; }, stages.list(), report);
  EXPECT_EQ(allocated, 1);
  EXPECT_EQ(report.attempts, 1);
  EXPECT_EQ(report.failures, 0);
  EXPECT_TRUE(report.stages_taken.empty());
  EXPECT_TRUE(report.last_failure.empty());
}

TEST(RetryAllocation, TakesItsStagesInOrderAfterEachFailure) {
  for (unsigned failures = 0; failures <= 5; ++failures) {
    Stages stages;
    RetryReport report;
    int allocated = 0;
    const auto allocate = with_injected_failures([&] { ++allocated; }, (1U << failures) - 1);
    const Names all{"drop_cache", "halve", "halve", "halve"};
    if (failures <= 4) {
      retry_allocation(allocate, stages.list(), report);
      EXPECT_EQ(allocated, 1);
      EXPECT_EQ(report.stages_taken, Names(all.begin(), all.begin() + failures));
    } else {
      EXPECT_THROW(retry_allocation(allocate, stages.list(), report), std::bad_alloc);
      EXPECT_EQ(allocated, 0);
      EXPECT_EQ(report.stages_taken, all);
    }
    EXPECT_EQ(report.failures, failures);
    EXPECT_EQ(report.attempts, failures <= 4 ? failures + 1 : failures);
  }
}

TEST(RetryAllocation, PassesOverStagesThatCannotHelp) {
  Stages stages;
  stages.cache_helps = false;
  RetryReport report;
  retry_allocation(with_injected_failures([] {}, 0b1), stages.list(), report);
  EXPECT_EQ(report.stages_taken, Names{"halve"});
  EXPECT_EQ(stages.calls, (Names{"drop_cache", "halve"}));
}

TEST(RetryAllocation, FailuresMayComeBackLater) {
  const auto allocate = with_injected_failures([] {}, 0b101);
  const std::vector<RetryStage> none;
  for (const bool fails : {true, false, true, false}) {
    RetryReport report;
    if (fails) {
      EXPECT_THROW(retry_allocation(allocate, none, report), std::bad_alloc);
    } else {
      EXPECT_NO_THROW(retry_allocation(allocate, none, report));
    }
  }
}

TEST(RetryAllocation, LowersARequestUntilTheBudgetHoldsIt) {
  Ledger ledger;
  ledger.set_budget(300);
  std::int64_t bytes = 1024;
  const std::vector<RetryStage> stages{{"halve", [&] { return (bytes /= 2) > 0; }, 64}};
  RetryReport report;
  LedgerEntry entry;
  retry_allocation([&] { entry = LedgerEntry(ledger, Purpose::scores, bytes); }, stages, report);
  EXPECT_EQ(ledger.held()[Purpose::scores], 256);
  EXPECT_EQ(report.failures, 2);
  EXPECT_NE(report.last_failure.find("512 bytes"), std::string::npos) << report.last_failure;
}

TEST(RetryAllocation, LetsOtherExceptionsPass) {
  Stages stages;
  RetryReport report;
  EXPECT_THROW(retry_allocation([] { throw std::domain_error("no memory matter"); }, stages.list(), report),
               std::domain_error);
  EXPECT_EQ(report.failures, 0);
  EXPECT_TRUE(stages.calls.empty());
}

} // namespace
} // namespace ringscale::memory
