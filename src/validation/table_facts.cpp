// SPDX-License-Identifier: Apache-2.0
#include "validation/table_facts.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <iterator>

#include "validation/setting_names.hpp"

namespace ringscale::validation {

namespace {

/// The names asked for, each followed by those that mean the same.
std::vector<std::string_view> all_names(std::initializer_list<std::string_view> names) {
  std::vector<std::string_view> all;
  for (const std::string_view name : names) {
    const auto &alike = names_of_setting(name);
    all.push_back(name);
    std::copy_if(alike.begin(), alike.end(), std::back_inserter(all),
                 [&](std::string_view other) { return other != name; });
  }
  return all;
}

/// A batch that is counted in tokens, where `name` asks for one of sequences.
bool is_batch_in_tokens(const Column &column, std::string_view name) {
  return column.unit.dimension == "token" && !has_word(words_of(name), "tokens") && has_word(column.words, "batch");
}

/// A column of one device's tokens or sequences, where `name` asks for those of all: "tokens per GPU" as
/// sequence_tokens.
bool is_share_of(const Column &column, std::string_view name) {
  const bool counted = column.unit.dimension == "token" || column.unit.dimension == "sequence";
  const std::vector<std::string> words = words_of(name);
  return counted && column.unit.per_device && !has_word(words, "per") && !has_word(words, "local") &&
         !has_word(words, "chunk") && !has_word(words, "block");
}

} // namespace

std::optional<double> RowFacts::number(std::initializer_list<std::string_view> names) const {
  for (const std::string_view name : all_names(names)) {
    const NameParts asked = parse_name(name);
    for (std::size_t column = 0; column < table_.columns.size(); ++column) {
      const Column &candidate = table_.columns[column];
      const bool alike = !asked.stem.empty() && candidate.parts.stem == asked.stem &&
                         candidate.parts.dimension == asked.dimension && !is_result(candidate);
      // What a number of an unknown unit means is not known.
      const bool is_known = candidate.unit.dimension != unknown_unit;
      if ((candidate.name == name || alike) && is_known && !is_share_of(candidate, name) &&
          !is_batch_in_tokens(candidate, name)) {
        if (const auto value = table_.number(row_, column)) {
          return *value * candidate.unit.scale;
        }
      }
    }
    const auto found = table_.setup.find(std::string(name));
    if (found != table_.setup.end() && found->is_number()) {
      return found->get<double>() * (asked.scale > 0.0 && asked.dimension != "%" ? asked.scale : 1.0);
    }
  }
  return number_in_words(*names.begin());
}

std::optional<double> RowFacts::number_in_words(std::string_view name) const {
  if (names_of_setting(name).size() < 2) {
    return std::nullopt;
  }
  for (std::size_t column = 0; column < table_.columns.size(); ++column) {
    const auto label = table_.columns[column].is_formula ? std::nullopt : table_.text(row_, column);
    if (const auto value = label ? setting_in_text(*label, name) : std::nullopt) {
      return value;
    }
  }
  for (const auto &[key, value] : table_.setup.items()) {
    const auto stated = value.is_string() ? setting_in_text(value.get<std::string>(), name) : std::nullopt;
    if (stated) {
      return stated;
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
    if (!excluded && !is_result(candidate) && candidate.unit.dimension == dimension && !candidate.unit.per_device) {
      if (const auto value = table_.number(row_, column)) {
        return *value * candidate.unit.scale;
      }
    }
  }
  return std::nullopt;
}

std::optional<double> RowFacts::tokens_of_a_device() const {
  for (std::size_t column = 0; column < table_.columns.size(); ++column) {
    const Column &candidate = table_.columns[column];
    if (candidate.unit.dimension == "token" && candidate.unit.per_device && !is_result(candidate)) {
      if (const auto value = table_.number(row_, column)) {
        return *value * candidate.unit.scale;
      }
    }
  }
  return std::nullopt;
}

std::optional<double> RowFacts::tokens_of_a_batch() const {
  if (const auto named = number({"global_batch_tokens", "batch_tokens", "tokens_per_batch"})) {
    return named;
  }
  for (std::size_t column = 0; column < table_.columns.size(); ++column) {
    const Column &candidate = table_.columns[column];
    if (candidate.unit.dimension == "token" && has_word(candidate.words, "batch") && !is_result(candidate) &&
        !candidate.unit.per_device) {
      if (const auto value = table_.number(row_, column)) {
        return *value * candidate.unit.scale;
      }
    }
  }
  return std::nullopt;
}

std::optional<double> billions_in(std::string_view text) {
  const auto is_digit = [](char letter) { return letter >= '0' && letter <= '9'; };
  const auto is_letter = [](char letter) { return std::isalnum(static_cast<unsigned char>(letter)) != 0; };
  for (std::size_t end = 1; end < text.size(); ++end) {
    const bool closes = end + 1 == text.size() || !is_letter(text[end + 1]);
    if ((text[end] != 'B' && text[end] != 'b') || !closes || !is_digit(text[end - 1])) {
      continue;
    }
    std::size_t begin = end;
    while (begin > 0 && (is_digit(text[begin - 1]) || text[begin - 1] == '.')) {
      --begin;
    }
    // "8x7B" and "A2.7B" are experts and what of them is active.
    const bool is_of_experts = begin > 1 && ((text[begin - 1] == 'x' && is_digit(text[begin - 2])) ||
                                             (text[begin - 1] == 'A' && text[begin - 2] == '-'));
    if (is_of_experts) {
      continue;
    }
    double value = 0.0;
    const auto [stop, error] = std::from_chars(text.data() + begin, text.data() + end, value);
    if (error == std::errc{} && stop == text.data() + end && value > 0.0) {
      return value;
    }
  }
  return std::nullopt;
}

std::optional<double> RowFacts::model_billions() const {
  constexpr double most_billions = 1e6; // a number above is one of parameters
  if (const auto size = number({"model_params_b", "parameters_b", "model_size_b", "params_b", "size_b", "model_params",
                                "parameters", "params", "num_params", "model_size"})) {
    return *size > most_billions ? *size / 1e9 : *size;
  }
  for (const char *name : {"model", "model_size", "model_name", "network", "size", "params", "parameters"}) {
    if (const auto size = billions_in(text({name}))) {
      return size;
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

bool is_longest_length(const Column &column) {
  return has_word(column.words, "max") || has_word(column.words, "maximum") || has_word(column.words, "longest") ||
         has_word(column.words, "largest") || has_word(column.words, "supported");
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
  if (dimension == "token" && is_longest_length(column)) {
    return true;
  }
  if (dimension == "1" && has({"mfu", "utilisation", "utilization", "ratio", "gain"})) {
    return true;
  }
  if (dimension == "byte" && has({"memory", "mem"}) && has({"peak", "used", "allocated"})) {
    return true; // what a run took at most, not what a device has
  }
  if (has({"peak", "bandwidth", "link", "hbm", "capacity", "group", "kv", "density", "sparsity", "budget", "limit"})) {
    return has({"utilisation", "utilization", "usage"});
  }
  if (dimension.ends_with("/s")) {
    return true; // a rate of whatever is counted: samples/s, events/s
  }
  // Also divided by anything ("s/token", "byte/layer"), and device hours.
  static constexpr std::array<std::string_view, 7> results{"s", "FLOP", "x", "%", "byte", "W", "device*s"};
  return std::find(results.begin(), results.end(), dimension.substr(0, dimension.find('/'))) != results.end();
}

} // namespace ringscale::validation
