// SPDX-License-Identifier: Apache-2.0
#include "memory/ledger.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace ringscale::memory {

void Ledger::add(Purpose purpose, std::int64_t bytes) {
  if (bytes < 0) {
    throw std::logic_error("ledger: negative bytes for " + std::string(name(purpose)));
  }
  held_[purpose] += bytes;
  peak_by_purpose_[purpose] = std::max(peak_by_purpose_[purpose], held_[purpose]);
  if (held_.total() > at_high_water_.total()) {
    at_high_water_ = held_;
  }
}

void Ledger::remove(Purpose purpose, std::int64_t bytes) {
  if (bytes < 0 || bytes > held_[purpose]) {
    throw std::logic_error("ledger: " + std::to_string(bytes) + " bytes given back for " + std::string(name(purpose)) +
                           ", of which " + std::to_string(held_[purpose]) + " are held");
  }
  held_[purpose] -= bytes;
}

} // namespace ringscale::memory
