// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringscale::validation {

/// Other names of a setting that tables use ("seqlen", "num_attention_heads", "tp_size"), `name` first.
const std::vector<std::string_view> &names_of_setting(std::string_view name);

/// Whether a name, or one of which it is another name, is among `list` (names between blanks).
bool is_setting_among(std::string_view name, std::string_view list);

/// The count that a text states for a setting, as "d=128", "S: 64K", "seq 1M", "tp 8"; nothing where it states none or
/// two different ones. `name` is one of those that names_of_setting knows; one-letter symbols stand before "=" or ":".
std::optional<double> setting_in_text(std::string_view text, std::string_view name);

/// A count as tables print it: "8", "2,048", "128K", "1M", "64k tokens"; nothing for anything else. K is 1024 where the
/// number is a multiple of 8 or a power of two (128K, 96K), else 1000 (100K); M is 2^20 for powers of two, else 1e6.
std::optional<double> count_in_text(std::string_view text);

} // namespace ringscale::validation
