// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "problem/invalid_input.hpp"

namespace ringscale::problem {

/// The word a table of {word, value} pairs gives to `value`.
template <class Table, class Value> std::string_view word_of(const Table &table, Value value) {
  for (const auto &[word, candidate] : table) {
    if (candidate == value) {
      return word;
    }
  }
  throw InvalidInput("value without a word");
}

/// The words of a table of {word, value} pairs, in its order.
template <class Table> std::vector<std::string_view> words_of(const Table &table) {
  std::vector<std::string_view> words;
  for (const auto &[word, value] : table) {
    words.push_back(word);
  }
  return words;
}

/// The value of `word` in a table of {word, value} pairs; InvalidInput lists the words allowed for `field`.
template <class Table> auto parse_word(std::string_view field, const Table &table, std::string_view word) {
  std::string allowed;
  for (const auto &[candidate, value] : table) {
    if (candidate == word) {
      return value;
    }
    allowed += (allowed.empty() ? "" : ", ") + std::string(candidate);
  }
  throw InvalidInput(std::string(field) + " '" + std::string(word) + "' is unknown; one of: " + allowed);
}

} // namespace ringscale::problem
