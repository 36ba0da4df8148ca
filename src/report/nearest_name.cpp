// SPDX-License-Identifier: Apache-2.0
#include "report/nearest_name.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace ringscale::report {

std::size_t edit_distance(std::string_view left, std::string_view right) {
  // A key of a hostile file may be megabytes long; nothing is near to it then.
  constexpr std::size_t longest_word = 256;
  left = left.substr(0, longest_word);
  right = right.substr(0, longest_word);
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t replaced = diagonal + (left[i] == right[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string nearest_name(std::string_view word, const std::vector<std::string> &names) {
  std::string nearest;
  std::size_t shortest = std::numeric_limits<std::size_t>::max();
  for (const std::string &name : names) {
    if (const std::size_t distance = edit_distance(word, name); distance < shortest) {
      shortest = distance;
      nearest = name;
    }
  }
  return nearest;
}

} // namespace ringscale::report
