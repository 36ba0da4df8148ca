// SPDX-License-Identifier: Apache-2.0
#include "memory/retry_allocation.hpp"

#include <memory>
#include <new>
#include <utility>

#include "memory/limits.hpp"

namespace ringscale::memory {

namespace {

/// Stages still to be used, the first that helps next.
class Stages {
public:
  explicit Stages(std::span<const RetryStage> stages) : stages_(stages) {}

  /// The name of the stage that did something, or null when none is left.
  const std::string *relieve() {
    for (; next_ < stages_.size(); ++next_, times_ = 0) {
      const RetryStage &stage = stages_[next_];
      if (times_ < stage.most_times && stage.relieve()) {
        ++times_;
        return &stage.name;
      }
    }
    return nullptr;
  }

private:
  std::span<const RetryStage> stages_;
  std::size_t next_ = 0;
  std::int64_t times_ = 0;
};

} // namespace

void retry_allocation(const std::function<void()> &allocate, std::span<const RetryStage> stages, RetryReport &report) {
  Stages left(stages);
  // Called in a handler: without a stage the failure at hand goes on to the caller.
  const auto relieve_or_rethrow = [&](const char *message) {
    ++report.failures;
    report.last_failure = message;
    const std::string *taken = left.relieve();
    if (taken == nullptr) {
      throw;
    }
    report.stages_taken.push_back(*taken);
  };
  for (;;) {
    ++report.attempts;
    try {
      allocate();
      return;
    } catch (const OutOfBudget &failure) {
      relieve_or_rethrow(failure.what());
    } catch (const std::bad_alloc &failure) {
      relieve_or_rethrow(failure.what());
    }
  }
}

std::function<void()> with_injected_failures(std::function<void()> allocate, std::uint64_t failing_attempts) {
  auto attempt = std::make_shared<unsigned>(0);
  return [allocate = std::move(allocate), failing_attempts, attempt] {
    const unsigned number = (*attempt)++;
    if (number < 64 && ((failing_attempts >> number) & 1U) != 0) {
      throw std::bad_alloc();
    }
    allocate();
  };
}

} // namespace ringscale::memory
