// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "validation/published_tables.hpp"

namespace ringscale::validation {

/// Largest count that a setting may have, in base units: the most tokens that a problem takes.
inline constexpr double most_of_a_count = 1125899906842624.0; // 2^50

/// Refuses numbers of a table beyond 1e60, or below 1e-60 and not 0, with one line that names the path. Throws
/// problem::InvalidInput.
void check_sizes(const Table &table);

/// The first setting of a table that a model could only misread, in one line that names its path, or nothing: counts
/// (devices, degrees, heads, head_dim, tokens, batch, layers, ...) in setup or rows that are no whole number from 1 to
/// 2^50, anything else than a number or null for such a key of the setup, and words that mask, causal, pass, dtype and
/// sequence_is do not know. Other texts are free.
std::string unclear_setting(const Table &table);

/// Refuses a text with a line break or another control character (Unicode's Cc, DEL included), which would forge lines
/// of the summary.
void require_plain_text(const std::string &text, const std::string &where);

/// Bytes of an element by the words of a dtype: 4 for float32 and tfloat32, 1 for float8, else 2.
double bytes_of_dtype(const std::string &dtype);
/// The same of words that need not name a dtype: nothing when none does.
std::optional<double> bytes_of_words(const std::vector<std::string> &words);

} // namespace ringscale::validation
