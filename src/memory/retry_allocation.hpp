// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace ringscale::memory {

/// One thing to do about a failed allocation: `relieve` returns whether it changed anything (bytes were freed, the
/// next attempt will ask for less). It is asked again as long as it does, at most `most_times` times.
struct RetryStage {
  std::string name;
  std::function<bool()> relieve;
  std::int64_t most_times = 1;
};

/// What happened, for a row: nothing of it is silent.
struct RetryReport {
  std::int64_t attempts = 0;
  std::int64_t failures = 0;
  std::vector<std::string> stages_taken; ///< in order, once for each time
  std::string last_failure;              ///< the message of the last failure, empty without one
};

/// Calls `allocate` until it succeeds, relieving memory by `stages` in their order after each failure: std::bad_alloc
/// or OutOfBudget. When no stage can do anything more the last failure is thrown on; every other exception passes at
/// once. `report` is kept up to date, so it tells the story after a throw too.
void retry_allocation(const std::function<void()> &allocate, std::span<const RetryStage> stages, RetryReport &report);

/// Wraps an allocation so that chosen attempts fail, for tests and drills: attempt n (from 0) throws std::bad_alloc
/// before `allocate` is called when bit n of `failing_attempts` is set.
std::function<void()> with_injected_failures(std::function<void()> allocate, std::uint64_t failing_attempts);

} // namespace ringscale::memory
