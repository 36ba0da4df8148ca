// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <charconv>
#include <string>

namespace ringscale::problem {

/// The shortest text that reads back the same, for messages: 1e+300 and 1e-300 where std::to_string writes 301 digits
/// and 0.000000.
inline std::string readable(double value) {
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

} // namespace ringscale::problem
