// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace ringscale::drivers {

/// For CLI11's check(): empty for an integer of at least 1, else what is wrong in one short line. CLI11's own
/// PositiveNumber answers with a range up to 1.8e308 written out.
inline std::string at_least_one(const std::string &text) {
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  return digits && text.find_first_not_of('0') != std::string::npos
             ? std::string()
             : "must be an integer of at least 1, not '" + text + "'";
}

/// The same for a file or folder to write: an empty name would be taken as none asked for.
inline std::string named(const std::string &text) {
  return text.empty() ? "must name a file or folder; it is empty" : std::string();
}

} // namespace ringscale::drivers
