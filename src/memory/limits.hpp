// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "memory/purpose.hpp"

namespace ringscale::memory {

/// What a run may take before it is refused; 0 stands for no limit.
struct Limits {
  std::int64_t communication_bytes = 1'000'000'000; ///< one message of one rank
  std::int64_t projection_elements = 100'000'000;   ///< one weight matrix, rows x columns
  std::int64_t memory_bytes = 0;                    ///< one rank, everything its ledger counts
};

/// Bytes of "4096", "4096B", "512MiB", "1GB" or "1.5GB": kB, MB, GB, TB are powers of 1000, KiB, MiB, GiB, TiB of 1024.
/// Throws InvalidInput for another form, a fraction of a byte, or more than 2^63 - 1 bytes; `setting` opens the
/// message.
std::int64_t parse_bytes(std::string_view setting, std::string_view text);

/// "1500000000 bytes (1.5 GB)".
std::string describe_bytes(std::int64_t bytes);

/// Refuse before anything is allocated: throw InvalidInput with one line that names `what` is too large, its size, the
/// limit and the flag that raises it. A size at the limit is within it; a negative one is a std::logic_error.
void require_communication_within(const Limits &limits, std::int64_t bytes, std::string_view what);
void require_projection_within(const Limits &limits, std::int64_t rows, std::int64_t columns, std::string_view what);
void require_memory_within(const Limits &limits, std::int64_t bytes, std::string_view what);

/// A byte budget refused an allocation, before it was made or counted.
class OutOfBudget : public std::runtime_error {
public:
  OutOfBudget(Purpose purpose, std::int64_t asked_bytes, std::int64_t held_bytes, std::int64_t budget_bytes,
              const std::string &advice = {});

  Purpose purpose() const { return purpose_; }
  std::int64_t asked_bytes() const { return asked_bytes_; }
  std::int64_t held_bytes() const { return held_bytes_; }
  std::int64_t budget_bytes() const { return budget_bytes_; }

private:
  Purpose purpose_;
  std::int64_t asked_bytes_;
  std::int64_t held_bytes_;
  std::int64_t budget_bytes_;
};

} // namespace ringscale::memory
