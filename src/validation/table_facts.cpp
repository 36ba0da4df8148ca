// SPDX-License-Identifier: Apache-2.0
#include "validation/table_facts.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace ringscale::validation {

std::optional<double> RowFacts::number(std::initializer_list<std::string_view> names) const {
  for (const std::string_view name : names) {
    const std::vector<std::string> stem = parse_name(name).stem;
    for (std::size_t column = 0; column < table_.columns.size(); ++column) {
      const Column &candidate = table_.columns[column];
      const bool same = candidate.name == name ||
                        (!stem.empty() && !is_result(candidate) && parse_name(candidate.name).stem == stem &&
                         parse_name(candidate.name).dimension == parse_name(name).dimension);
      if (const auto value = same ? table_.number(row_, column) : std::nullopt) {
        return *value * candidate.unit.scale;
      }
    }
    const auto found = table_.setup.find(std::string(name));
    if (found != table_.setup.end() && found->is_number()) {
      return found->get<double>();
    }
  }
  return std::nullopt;
}

std::optional<double> RowFacts::setting(std::string_view dimension,
                                        std::initializer_list<std::string_view> without) const {
  for (std::size_t column = 0; column < table_.columns.size(); ++column) {
    const Column &candidate = table_.columns[column];
    const bool excluded = std::any_of(without.begin(), without.end(),
                                      [&](std::string_view word) { return has_word(candidate.words, word); });
    if (!excluded && !is_result(candidate) && candidate.unit.dimension == dimension) {
      if (const auto value = table_.number(row_, column)) {
        return *value * candidate.unit.scale;
      }
    }
  }
  return std::nullopt;
}

std::string RowFacts::text(std::initializer_list<std::string_view> names) const {
  for (const std::string_view name : names) {
    if (const auto column = table_.column(name)) {
      if (const auto value = table_.text(row_, *column)) {
        return *value;
      }
    }
    const auto found = table_.setup.find(std::string(name));
    if (found != table_.setup.end() && found->is_string()) {
      return found->get<std::string>();
    }
  }
  return "";
}

std::optional<bool> RowFacts::truth(std::string_view name) const {
  if (const auto column = table_.column(name)) {
    if (const auto *value = std::get_if<bool>(&table_.rows[row_].values[*column])) {
      return *value;
    }
  }
  const auto found = table_.setup.find(std::string(name));
  return found != table_.setup.end() && found->is_boolean() ? std::optional(found->get<bool>()) : std::nullopt;
}

std::vector<std::string> RowFacts::label_words() const {
  std::vector<std::string> words;
  for (std::size_t column = 0; column < table_.columns.size(); ++column) {
    if (const auto label = table_.text(row_, column); label && !table_.columns[column].is_formula) {
      for (std::string &word : words_of(*label)) {
        words.push_back(std::move(word));
      }
    }
  }
  return words;
}

std::string RowFacts::labels() const {
  std::string joined;
  for (const std::string &word : label_words()) {
    joined += word + " ";
  }
  return joined;
}

std::vector<std::string> RowFacts::all_words() const {
  std::vector<std::string> words = label_words();
  const auto add = [&](const std::string &text) {
    for (std::string &word : words_of(text)) {
      words.push_back(std::move(word));
    }
  };
  for (const auto &[key, value] : table_.setup.items()) {
    if (value.is_string()) {
      add(value.get<std::string>());
    }
  }
  add(table_.title);
  return words;
}

bool is_result(const Column &column) {
  const std::string &dimension = column.unit.dimension;
  const auto has = [&](std::initializer_list<std::string_view> words) {
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return has_word(column.words, word); });
  };
  if (dimension == "text") {
    return false;
  }
  if (dimension == unknown_unit || column.derived || column.is_formula ||
      has({"min", "max", "speedup", "efficiency"})) {
    return true;
  }
  if (dimension == "byte" && has({"memory"}) && has({"peak", "used", "allocated"})) {
    return true; // what a run took at most, not what a device has
  }
  if (has({"peak", "bandwidth", "link", "hbm", "capacity", "group", "kv", "density", "sparsity", "budget", "limit"})) {
    return has({"utilisation", "utilization", "usage"});
  }
  static const std::array<std::string_view, 14> results{"1/s",        "s",       "FLOP/s", "token/s",    "FLOP",
                                                        "x",          "%",       "byte",   "byte/layer", "byte/s",
                                                        "FLOP/token", "s/token", "W",      "byte/token"};
  return std::find(results.begin(), results.end(), dimension) != results.end();
}

const machine::Machine *choose_machine(const std::vector<machine::Machine> &machines,
                                       const std::vector<std::string> &words) {
  const auto names = [&](std::string_view word) {
    for (std::size_t index = 0; index < words.size(); ++index) {
      // "TPU v4", "TPUv4-1024" and "GTX 1080" are one word in machine files.
      if (words[index] == word || (index + 1 < words.size() && words[index] + words[index + 1] == word)) {
        return true;
      }
    }
    return false;
  };
  const machine::Machine *best = nullptr;
  std::size_t most = 0;
  for (const machine::Machine &candidate : machines) {
    const std::vector<std::string> parts = words_of(candidate.name);
    if (candidate.kind != "published" || parts.empty() || !names(parts.front())) {
      continue;
    }
    std::size_t shared = 1;
    for (std::size_t index = 1; index < parts.size(); ++index) {
      shared += names(parts[index]) ? 1 : 0;
    }
    if (shared > most) {
      best = &candidate;
      most = shared;
    }
  }
  return best;
}

} // namespace ringscale::validation
