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

/// With plain blanks, and without the stars of bold print.
std::string as_plain(std::string_view text) {
  std::string plain;
  for (std::size_t place = 0; place < text.size(); ++place) {
    bool is_blank = false;
    for (const std::string_view blank : {"\u00a0", "\u202f", "\u2009"}) { // no-break, narrow and thin
      if (text.substr(place).starts_with(blank)) {
        plain.push_back(' ');
        place += blank.size() - 1;
        is_blank = true;
      }
    }
    if (!is_blank) {
      plain.push_back(text[place]);
    }
  }
  constexpr std::size_t stars = 2;
  if (plain.size() > 2 * stars && plain.starts_with("**") && plain.ends_with("**")) {
    plain = plain.substr(stars, plain.size() - 2 * stars);
  }
  return plain;
}

/// Takes away marks of footnotes at the end: stars, daggers, "[2]", "(b)", "^a".
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
    constexpr std::size_t raised = 2; // "^a"
    if (text.size() > raised && text[text.size() - raised] == '^' &&
        std::isalpha(static_cast<unsigned char>(text.back())) != 0) {
      text.remove_suffix(raised);
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

/// 210K tokens/s, 7B parameters, 4B tokens: letters behind counts and their rates are powers of ten. Of times and bytes
/// they may mean anything.
std::optional<double> factor_behind(std::string_view letter, const Unit &unit) {
  const bool is_rate = unit.dimension == "token/s" || unit.dimension == "sequence/s";
  const bool is_size = unit.dimension == "parameter" || unit.dimension == "token";
  if ((letter == "K" || letter == "k") && (is_rate || unit.dimension == "parameter")) {
    return 1e3;
  }
  if (letter == "M" && (is_rate || unit.dimension == "parameter")) {
    return 1e6;
  }
  if (letter == "B" && is_size) {
    return 1e9;
  }
  return letter == "T" && is_size ? std::optional(1e12) : std::nullopt;
}

/// "12.5 ± 0.3 ms" without its spread: "12.5 ms". Nothing where no number follows the sign.
std::optional<std::string> without_spread(std::string_view text) {
  for (const std::string_view sign : {"±", "+/-", "+-"}) {
    const std::size_t place = text.find(sign);
    if (place == std::string_view::npos) {
      continue;
    }
    std::string_view behind = trimmed(text.substr(place + sign.size()));
    if (!leading_number(behind)) {
      return std::nullopt;
    }
    return std::string(trimmed(text.substr(0, place))).append(" ").append(behind);
  }
  return std::string(text);
}

/// "49.1 (1.2x)", "30 ms (54 %)": without a ratio in parentheses, where the column is about none.
std::string_view without_ratio(std::string_view text, const Unit &unit) {
  const std::size_t open = text.find(" (");
  if (open == std::string_view::npos || !text.ends_with(')') || unit.dimension == "x" || unit.dimension == "%") {
    return text;
  }
  const std::string_view inside = trimmed(text.substr(open + 2, text.size() - open - 3));
  std::string_view rest = inside;
  const auto number = leading_number(rest);
  return number && (rest == "x" || rest == "×" || rest == "%") ? trimmed(text.substr(0, open)) : text;
}

/// A number with or without a unit of its own, in the column's unit.
std::optional<double> number_in(std::string_view whole, const Unit &unit) {
  const auto plain = without_spread(without_ratio(without_footnote(whole), unit));
  if (!plain) {
    return std::nullopt;
  }
  std::string_view text = trimmed(*plain);
  constexpr std::array<std::string_view, 4> about{"~", "≈", "about ", "ca. "};
  drop_opening(text, about);
  text = without_footnote(text);
  const std::string_view whole_text = text;
  const auto value = leading_number(text);
  if (!value || text.empty()) {
    return value;
  }
  if (const auto factor = factor_behind(text, unit)) {
    return *value * *factor / unit.scale;
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

std::optional<CellText> read_cell_text(std::string_view printed, const Unit &unit) {
  const std::string plain = as_plain(printed);
  const std::string_view text = trimmed(plain);
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  const std::vector<std::string> words = words_of(text);
  if (has_word(words, "oom") || lower.find("out of memory") != std::string::npos) {
    return CellText{CellText::Kind::out_of_memory, 0.0};
  }
  constexpr std::array<std::string_view, 25> absent{
      "",     "-",    "--",      "---",           "—",      "–",    "n/a",   "na",
      "n.a.", "none", "not run", "not reported",  "failed", "fail", "error", "tbd",
      "?",    "✗",    "nan",     "not supported", "dnf",    "x",    "×",     "✘",
      "null"};
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
