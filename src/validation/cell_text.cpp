// SPDX-License-Identifier: Apache-2.0
#include "validation/cell_text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

#include "validation/setting_names.hpp"

namespace ringscale::validation {

namespace {

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') {
    text.remove_prefix(1);
  }
  while (!text.empty() && text.back() == ' ') {
    text.remove_suffix(1);
  }
  return text;
}

/// Takes away one of these openings; whether there was one.
template <std::size_t count> bool drop_opening(std::string_view &text, const std::array<std::string_view, count> &all) {
  for (const std::string_view opening : all) {
    if (text.starts_with(opening)) {
      text = trimmed(text.substr(opening.size()));
      return true;
    }
  }
  return false;
}

/// Takes away marks of footnotes at the end: stars, daggers, "[2]", "(b)".
std::string_view without_footnote(std::string_view text) {
  constexpr std::array<std::string_view, 4> marks{"*", "†", "‡", "§"};
  for (bool any = true; any;) {
    any = false;
    text = trimmed(text);
    for (const std::string_view mark : marks) {
      if (text.ends_with(mark)) {
        text.remove_suffix(mark.size());
        any = true;
      }
    }
    constexpr std::size_t length = 3; // "[2]"
    if (text.size() > length && (text.ends_with("]") || text.ends_with(")")) &&
        (text[text.size() - length] == '[' || text[text.size() - length] == '(') &&
        std::isalnum(static_cast<unsigned char>(text[text.size() - 2])) != 0) {
      text.remove_suffix(length);
      any = true;
    }
  }
  return text;
}

/// A decimal number at the beginning, thousands apart by commas or not, and what follows it.
std::optional<double> leading_number(std::string_view &text) {
  std::string digits;
  std::size_t place = 0;
  for (; place < text.size(); ++place) {
    const std::string_view rest = text.substr(place);
    const bool is_group = rest.size() > 3 && rest[0] == ',' && is_digit(rest[1]) && is_digit(rest[2]) &&
                          is_digit(rest[3]) && (rest.size() == 4 || !is_digit(rest[4])) &&
                          digits.find('.') == std::string::npos;
    const bool is_exponent = (rest[0] == 'e' || rest[0] == 'E') && rest.size() > 1 &&
                             (is_digit(rest[1]) || (rest.size() > 2 && is_digit(rest[2]) && rest[1] != ' '));
    const bool is_sign =
        (rest[0] == '-' || rest[0] == '+') && (digits.empty() || digits.back() == 'e' || digits.back() == 'E');
    if (is_digit(rest[0]) || rest[0] == '.' || is_exponent || is_sign) {
      digits.push_back(rest[0]);
    } else if (!is_group || digits.empty()) {
      break;
    }
  }
  double value = 0.0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  text = trimmed(text.substr(place));
  return value;
}

/// A number with or without a unit of its own, in the column's unit.
std::optional<double> number_in(std::string_view text, const Unit &unit) {
  constexpr std::array<std::string_view, 4> about{"~", "≈", "about ", "ca. "};
  drop_opening(text, about);
  text = without_footnote(text);
  const std::string_view whole_text = text;
  const auto value = leading_number(text);
  if (!value || text.empty()) {
    return value;
  }
  if (unit.dimension == "token") {
    const auto count = count_in_text(whole_text); // "128K"
    return count ? std::optional(*count / unit.scale) : std::nullopt;
  }
  if (text == "×" && unit.dimension == "x") {
    return value;
  }
  const auto own = parse_unit(text);
  if (own && own->dimension == unit.dimension && own->per_device == unit.per_device && unit.dimension != "text") {
    return *value * own->scale / unit.scale;
  }
  return std::nullopt;
}

} // namespace

std::optional<CellText> read_cell_text(std::string_view text, const Unit &unit) {
  text = trimmed(text);
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  const std::vector<std::string> words = words_of(text);
  if (has_word(words, "oom") || lower.find("out of memory") != std::string::npos) {
    return CellText{CellText::Kind::out_of_memory, 0.0};
  }
  constexpr std::array<std::string_view, 20> absent{
      "",       "-",    "--",    "---", "—", "–", "n/a", "na",           "n.a.", "none", "not run", "not reported",
      "failed", "fail", "error", "tbd", "?", "✗", "nan", "not supported"};
  if (std::find(absent.begin(), absent.end(), without_footnote(lower)) != absent.end()) {
    return CellText{CellText::Kind::absent, 0.0};
  }
  constexpr std::array<std::string_view, 14> bounds{">=",       "<=",     ">",          "<",          "≥",
                                                    "≤",        "over ",  "more than ", "less than ", "at least ",
                                                    "at most ", "up to ", "timeout",    "timed out"};
  std::string_view rest = lower;
  if (drop_opening(rest, bounds)) {
    return CellText{CellText::Kind::bound, 0.0};
  }
  if (const auto value = number_in(text, unit)) {
    return CellText{CellText::Kind::number, *value};
  }
  return std::nullopt;
}

} // namespace ringscale::validation
