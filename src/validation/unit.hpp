// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringscale::validation {

/// What a published table's unit says: value x scale is in the base units of `dimension` (s, token, byte, FLOP, ...).
/// "1e12 FLOP/s per GPU" is {1e12, "FLOP/s", per device}; "GiB" is {2^30, "byte"}; "-" has dimension "text".
struct Unit {
  double scale = 1.0;
  std::string dimension;
  bool per_device = false;
};

/// The dimension that a column gets whose unit is not understood.
inline constexpr std::string_view unknown_unit = "unknown";

/// Nothing when a word of the unit is unknown. Grammar: factors and words, joined by blanks or *, divided by / or
/// "per".
std::optional<Unit> parse_unit(std::string_view text);

/// Words of any text: letters and digits in runs, lower case.
std::vector<std::string> words_of(std::string_view text);
bool has_word(const std::vector<std::string> &words, std::string_view word);

} // namespace ringscale::validation
