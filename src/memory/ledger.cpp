// SPDX-License-Identifier: Apache-2.0
#include "memory/ledger.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "memory/limits.hpp"

namespace ringscale::memory {

void Ledger::check(Purpose purpose, std::int64_t bytes) const {
  if (bytes < 0) {
    throw std::logic_error("ledger: negative bytes for " + std::string(name(purpose)));
  }
  const std::int64_t held = held_.total();
  if (budget_bytes_ > 0 && bytes > budget_bytes_ - held) {
    throw OutOfBudget(purpose, bytes, held, budget_bytes_);
  }
}

void Ledger::add(Purpose purpose, std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  check(purpose, bytes);
  held_[purpose] += bytes;
  peak_by_purpose_[purpose] = std::max(peak_by_purpose_[purpose], held_[purpose]);
  if (held_.total() > at_high_water_.total()) {
    at_high_water_ = held_;
  }
}

void Ledger::remove(Purpose purpose, std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes < 0 || bytes > held_[purpose]) {
    throw std::logic_error("ledger: " + std::to_string(bytes) + " bytes given back for " + std::string(name(purpose)) +
                           ", of which " + std::to_string(held_[purpose]) + " are held");
  }
  held_[purpose] -= bytes;
}

void Ledger::require_room(Purpose purpose, std::int64_t bytes) const {
  const std::lock_guard lock(mutex_);
  check(purpose, bytes);
}

void Ledger::set_budget(std::int64_t bytes) {
  if (bytes < 0) {
    throw std::logic_error("ledger: negative budget");
  }
  const std::lock_guard lock(mutex_);
  budget_bytes_ = bytes;
}

std::int64_t Ledger::budget_bytes() const {
  const std::lock_guard lock(mutex_);
  return budget_bytes_;
}

MemoryByPurpose Ledger::held() const {
  const std::lock_guard lock(mutex_);
  return held_;
}

MemoryByPurpose Ledger::at_high_water() const {
  const std::lock_guard lock(mutex_);
  return at_high_water_;
}

MemoryByPurpose Ledger::peak_by_purpose() const {
  const std::lock_guard lock(mutex_);
  return peak_by_purpose_;
}

} // namespace ringscale::memory
