// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>

namespace ringscale::drivers {

/// For CLI11's check(): empty for an integer of at least 1, else what is wrong in one short line. CLI11's own
/// PositiveNumber answers with a range up to 1.8e308 written out.
inline std::string at_least_one(const std::string &text) {
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  return digits && text.find_first_not_of('0') != std::string::npos
             ? std::string()
             : "must be an integer of at least 1, not '" + text + "'";
}

/// The same for a seed. CLI11 alone would take -1 for 2^64 - 1, and cut larger numbers down to that.
inline std::string seed_number(const std::string &text) {
  std::uint64_t seed = 0;
  const char *end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, seed); // takes no sign and no blank
  return error == std::errc() && stopped == end ? std::string()
                                                : "must be an integer from 0 to 2^64 - 1, not '" + text + "'";
}

/// The same for a file or folder to write: an empty name would be taken as none asked for.
inline std::string named(const std::string &text) {
  return text.empty() ? "must name a file or folder; it is empty" : std::string();
}

} // namespace ringscale::drivers
