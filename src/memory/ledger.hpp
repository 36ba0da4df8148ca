// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>

#include "memory/purpose.hpp"

namespace ringscale::memory {

/// Counts the bytes one rank holds, by purpose, with their high-water mark. Not thread safe: a rank allocates from
/// one thread.
class Ledger {
public:
  /// Notes bytes taken or given back; bytes >= 0. remove throws std::logic_error when more is given back than is held.
  void add(Purpose purpose, std::int64_t bytes);
  void remove(Purpose purpose, std::int64_t bytes);

  const MemoryByPurpose &held() const { return held_; }
  /// What was held at the moment the total was highest (the first such moment).
  const MemoryByPurpose &at_high_water() const { return at_high_water_; }
  std::int64_t high_water_bytes() const { return at_high_water_.total(); }
  /// Highest bytes each purpose ever held, not necessarily at the same moment.
  const MemoryByPurpose &peak_by_purpose() const { return peak_by_purpose_; }

private:
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
