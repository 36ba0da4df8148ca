// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringscale::memory {

/// What bytes are held for. key_value is the block a rank computes with, communication the second block buffer that
/// the next one arrives in, partial the log-sum-exp rows, gradient those of a backward pass, scores the materialised
/// score matrix.
enum class Purpose { query, key_value, output, partial, gradient, scores, communication, workspace };

inline constexpr std::size_t purpose_count = 8;
inline constexpr std::array<Purpose, purpose_count> all_purposes{
    Purpose::query,    Purpose::key_value, Purpose::output,        Purpose::partial,
    Purpose::gradient, Purpose::scores,    Purpose::communication, Purpose::workspace};

/// The word of design tables and of JSON keys.
std::string_view name(Purpose purpose);

/// Bytes of one rank, one entry a purpose in the order of the enumeration.
struct MemoryByPurpose {
  std::array<std::int64_t, purpose_count> bytes{};

  std::int64_t &operator[](Purpose purpose) { return bytes[static_cast<std::size_t>(purpose)]; }
  std::int64_t operator[](Purpose purpose) const { return bytes[static_cast<std::size_t>(purpose)]; }
  std::int64_t total() const;
  bool operator==(const MemoryByPurpose &) const = default;
};

} // namespace ringscale::memory
