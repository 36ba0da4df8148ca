// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ringscale::report {

/// Levenshtein's distance: the fewest insertions, deletions and replacements of letters that make one word the other.
std::size_t edit_distance(std::string_view left, std::string_view right);

/// The name nearest to `word` by edit distance, first come first served; empty when there are no names.
std::string nearest_name(std::string_view word, const std::vector<std::string> &names);

} // namespace ringscale::report
