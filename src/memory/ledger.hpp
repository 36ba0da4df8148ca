// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <utility>

#include "memory/purpose.hpp"

namespace ringscale::memory {

/// Counts the bytes one rank holds, by purpose, with their high-water mark, and keeps them below a budget where one is
/// set. Any number of threads may use one; what the members return is a copy of one moment.
class Ledger {
public:
  /// Notes bytes taken or given back; bytes >= 0. add throws OutOfBudget before it counts anything when the total would
  /// leave the budget; remove throws std::logic_error when more is given back than is held.
  void add(Purpose purpose, std::int64_t bytes);
  void remove(Purpose purpose, std::int64_t bytes);

  /// Throws OutOfBudget as add would, and counts nothing: asked before memory is taken from the system.
  void require_room(Purpose purpose, std::int64_t bytes) const;

  /// Most bytes that may be held at once; 0, as from the start, is no budget. A budget below what is held refuses
  /// every further byte until enough is given back.
  void set_budget(std::int64_t bytes);
  std::int64_t budget_bytes() const;

  MemoryByPurpose held() const;
  /// What was held at the moment the total was highest (the first such moment).
  MemoryByPurpose at_high_water() const;
  std::int64_t high_water_bytes() const { return at_high_water().total(); }
  /// Highest bytes each purpose ever held, not necessarily at the same moment.
  MemoryByPurpose peak_by_purpose() const;

private:
  void check(Purpose purpose, std::int64_t bytes) const; ///< with the mutex held

  mutable std::mutex mutex_;
  std::int64_t budget_bytes_ = 0;
  MemoryByPurpose held_;
  MemoryByPurpose at_high_water_;
  MemoryByPurpose peak_by_purpose_;
};

/// Bytes that someone else allocates on the rank's behalf (a kernel's own scratch), entered for as long as it lives.
class LedgerEntry {
public:
  LedgerEntry() = default;
  LedgerEntry(Ledger &ledger, Purpose purpose, std::int64_t bytes)
      : ledger_(&ledger), purpose_(purpose), bytes_(bytes) {
    ledger.add(purpose, bytes);
  }
  LedgerEntry(LedgerEntry &&other) noexcept { *this = std::move(other); }
  LedgerEntry &operator=(LedgerEntry &&other) noexcept {
    std::swap(ledger_, other.ledger_);
    std::swap(purpose_, other.purpose_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  LedgerEntry(const LedgerEntry &) = delete;
  LedgerEntry &operator=(const LedgerEntry &) = delete;
  ~LedgerEntry() {
    if (ledger_ != nullptr) {
      ledger_->remove(purpose_, bytes_);
    }
  }

private:
  Ledger *ledger_ = nullptr;
  Purpose purpose_ = Purpose::workspace;
  std::int64_t bytes_ = 0;
};

} // namespace ringscale::memory
