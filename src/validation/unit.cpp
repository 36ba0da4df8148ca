// SPDX-License-Identifier: Apache-2.0
#include "validation/unit.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

namespace ringscale::validation {

namespace {

struct UnitWord {
  std::string_view word;
  double scale;
  std::string_view dimension;
};

/// Words with a dimension that others share. An empty dimension counts nothing: "10 of them", "ms per call".
constexpr std::array<UnitWord, 58> unit_words{{{"msec", 1e-3, "s"},
                                               {"usec", 1e-6, "s"},
                                               {"µs", 1e-6, "s"},
                                               {"μs", 1e-6, "s"},
                                               {"hr", 3600.0, "s"},
                                               {"tok", 1.0, "token"},
                                               {"param", 1.0, "parameter"},
                                               {"seq", 1.0, "sequence"},
                                               {"bps", 0.125, "byte/s"},
                                               {"Bps", 1.0, "byte/s"},
                                               {"npu", 1.0, "device"},
                                               {"NPU", 1.0, "device"},
                                               {"s", 1.0, "s"},
                                               {"second", 1.0, "s"},
                                               {"sec", 1.0, "s"},
                                               {"ms", 1e-3, "s"},
                                               {"us", 1e-6, "s"},
                                               {"ns", 1e-9, "s"},
                                               {"min", 60.0, "s"},
                                               {"minute", 60.0, "s"},
                                               {"hour", 3600.0, "s"},
                                               {"h", 3600.0, "s"},
                                               {"day", 86400.0, "s"},
                                               {"year", 31557600.0, "s"},
                                               {"byte", 1.0, "byte"},
                                               {"B", 1.0, "byte"},
                                               {"bit", 0.125, "byte"},
                                               {"b", 0.125, "byte"},
                                               {"FLOP", 1.0, "FLOP"},
                                               {"flop", 1.0, "FLOP"},
                                               {"Flop", 1.0, "FLOP"},
                                               {"FLOPS", 1.0, "FLOP/s"},
                                               {"Hz", 1.0, "1/s"},
                                               {"GPU", 1.0, "device"},
                                               {"gpu", 1.0, "device"},
                                               {"device", 1.0, "device"},
                                               {"accelerator", 1.0, "device"},
                                               {"chip", 1.0, "device"},
                                               {"TPU", 1.0, "device"},
                                               {"rank", 1.0, "device"},
                                               {"sample", 1.0, "sequence"},
                                               {"x", 1.0, "x"},
                                               {"times", 1.0, "x"},
                                               {"ratio", 1.0, "x"},
                                               {"factor", 1.0, "x"},
                                               {"%", 1.0, "%"},
                                               {"percent", 1.0, "%"},
                                               {"point", 1.0, "%"},
                                               {"percentage", 1.0, ""},
                                               {"step", 1.0, ""},
                                               {"iteration", 1.0, ""},
                                               {"iter", 1.0, ""},
                                               {"it", 1.0, ""},
                                               {"call", 1.0, ""},
                                               {"of", 1.0, ""},
                                               {"peak", 1.0, ""},
                                               {"MFU", 1.0, ""},
                                               {"HFU", 1.0, ""}}};

/// Things that are counted; each is a dimension of its own.
constexpr std::array<std::string_view, 39> counted{
    "token",     "node",  "head",      "layer",  "element", "sequence", "stage",   "replica",  "chunk",  "block",
    "parameter", "hop",   "pair",      "W",      "J",       "core",     "thread",  "process",  "socket", "event",
    "message",   "link",  "query",     "key",    "cycle",   "epoch",    "failure", "document", "group",  "segment",
    "word",      "image", "operation", "expert", "degree",  "batch",    "USD",     "model",    "request"};

/// Letters before a word, as powers of 1000, or of 1024 where an i follows.
constexpr std::array<std::pair<char, int>, 7> prefixes{
    {{'k', 1}, {'K', 1}, {'M', 2}, {'G', 3}, {'T', 4}, {'P', 5}, {'E', 6}}};

std::optional<Unit> plain_word(std::string_view word) {
  for (const UnitWord &entry : unit_words) {
    if (entry.word == word) {
      return Unit{entry.scale, std::string(entry.dimension), false};
    }
  }
  if (std::find(counted.begin(), counted.end(), word) != counted.end()) {
    return Unit{1.0, std::string(word), false};
  }
  return std::nullopt;
}

/// "Seconds", "sec." and "tflops" as seconds, sec and TFLOPs: only where the letters' case says nothing else, so that b
/// and B stay bits and bytes.
std::string usual_case(std::string_view word) {
  std::string lower(word);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  const std::size_t flop = lower.find("flop");
  if (word.starts_with("tflop") || word.starts_with("pflop") || word.starts_with("gflop")) {
    return std::string(1, static_cast<char>(std::toupper(static_cast<unsigned char>(word[0])))) + "FLOP" +
           lower.substr(flop + 4);
  }
  constexpr std::size_t shortest = 3;
  const bool is_capitalised = word.size() >= shortest && word.substr(1) == lower.substr(1) && word[0] != lower[0];
  if (word.size() > shortest && word.ends_with('.')) {
    lower.pop_back();
    return lower;
  }
  return is_capitalised && !plain_word(word) &&
                 plain_word(lower.substr(0, lower.size() - (lower.ends_with('s') ? 1 : 0)))
             ? lower
             : std::string(word);
}

/// A word as it is, in the plural, and with a prefix such as T, or Gi before bytes. FLOPS means FLOP/s and is no
/// plural.
std::optional<Unit> unit_of_word(std::string_view text) {
  const std::string spelt = usual_case(text);
  const std::string_view word = spelt;
  for (const std::string_view form : {word, word.substr(0, word.size() - (word.ends_with("s") ? 1 : 0))}) {
    if (const auto plain = plain_word(form)) {
      return plain;
    }
    for (const auto &[letter, exponent] : prefixes) {
      const bool binary = form.size() > 2 && form[0] == letter && form[1] == 'i';
      if (form.empty() || form[0] != letter) {
        continue;
      }
      auto rest = plain_word(form.substr(binary ? 2 : 1));
      const bool scalable =
          rest && (rest->dimension == "byte" || rest->dimension == "byte/s" || rest->dimension == "FLOP" ||
                   rest->dimension == "FLOP/s" || rest->dimension == "1/s" || rest->dimension == "token" ||
                   rest->dimension == "parameter");
      if (scalable) {
        rest->scale *= std::pow(binary ? 1024.0 : 1e3, exponent);
        return rest;
      }
    }
  }
  return std::nullopt;
}

constexpr std::array<std::pair<std::string_view, double>, 14> multipliers{{{"K", 1e3},
                                                                           {"k", 1e3},
                                                                           {"M", 1e6},
                                                                           {"G", 1e9},
                                                                           {"T", 1e12},
                                                                           {"P", 1e15},
                                                                           {"thousand", 1e3},
                                                                           {"thousands", 1e3},
                                                                           {"million", 1e6},
                                                                           {"millions", 1e6},
                                                                           {"billion", 1e9},
                                                                           {"billions", 1e9},
                                                                           {"Billion", 1e9},
                                                                           {"Million", 1e6}}};

/// Factor of a word that stands before a word with a unit: thousands, or "x" before a number; 0 for any other.
double multiplier_of(std::string_view word, std::string_view text, std::size_t position) {
  const std::size_t next = std::min(text.find_first_not_of(' ', position), text.size());
  if (next == text.size() || next == position || text[next] == '/') {
    return 0.0; // the last word, or one that is divided: a unit of its own
  }
  for (const auto &[name, factor] : multipliers) {
    if (name == word) {
      return text.substr(next).starts_with("of ") ? 0.0 : factor;
    }
  }
  const bool before_number = text[next] >= '0' && text[next] <= '9';
  return (word == "x" || word == "×") && before_number ? 1.0 : 0.0;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0.0;
  if (text.starts_with("10^")) {
    const std::string_view power = text.substr(3);
    int exponent = 0;
    const auto [end, error] = std::from_chars(power.data(), power.data() + power.size(), exponent);
    constexpr int most = 18;
    return error == std::errc{} && end == power.data() + power.size() && exponent >= -most && exponent <= most
               ? std::optional(std::pow(10.0, exponent))
               : std::nullopt;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value > 0.0) || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

/// Whether a remark in parentheses has neither numbers nor words that could scale or change the unit: "(bf16)", no
/// "(K)".
bool says_no_scale(std::string_view remark) {
  std::size_t position = 0;
  while (position < remark.size()) {
    const std::size_t end = std::min(remark.find_first_of(" ,;/*", position), remark.size());
    const std::string_view word = remark.substr(position, end - position);
    position = end + 1;
    const bool multiplies =
        std::any_of(multipliers.begin(), multipliers.end(), [&](const auto &entry) { return entry.first == word; });
    if (multiplies || parse_number(word) || unit_of_word(word) || word.starts_with("x") || word.starts_with("×")) {
      return false;
    }
  }
  return true;
}

} // namespace

std::optional<Unit> parse_unit(std::string_view text) {
  Unit unit;
  if (text == "-") {
    unit.dimension = "text";
    return unit;
  }
  // A remark in parentheses at the end says nothing of the scale: "TFLOPS (bf16)".
  const auto open = text.find(" (");
  if (open != std::string_view::npos && open > 0 && text.ends_with(")") &&
      says_no_scale(text.substr(open + 2, text.size() - open - 3))) {
    text = text.substr(0, open);
  }
  if (text.find("**") != std::string_view::npos) {
    return std::nullopt; // 10**3 is no product
  }
  std::vector<std::string> above;
  std::vector<std::string> below;
  bool divide = false;
  std::size_t position = 0;
  while (position < text.size()) {
    const char letter = text[position];
    if (letter == ' ' || letter == '*' || letter == '/') {
      divide = divide || letter == '/';
      ++position;
      continue;
    }
    const std::size_t end = std::min(text.find_first_of(" */", position), text.size());
    const std::string_view word = text.substr(position, end - position);
    position = end;
    if (word == "per") {
      divide = true;
      continue;
    }
    if (const auto number = parse_number(word)) {
      unit.scale *= divide ? 1.0 / *number : *number;
      continue;
    }
    // A multiplier of what follows it: "K tokens", "x 1e3 tokens", "billion parameters".
    if (const double multiplier = multiplier_of(word, text, position); multiplier > 0.0) {
      unit.scale *= divide ? 1.0 / multiplier : multiplier;
      continue;
    }
    const auto found = unit_of_word(word);
    if (!found) {
      return std::nullopt;
    }
    unit.scale *= divide ? 1.0 / found->scale : found->scale;
    if (divide && found->dimension == "device") {
      unit.per_device = true;
    } else if (!found->dimension.empty()) {
      (divide ? below : above).push_back(found->dimension);
    }
  }
  for (const std::string &word : above) {
    unit.dimension += (unit.dimension.empty() ? "" : "*") + word;
  }
  unit.dimension = unit.dimension.empty() ? "1" : unit.dimension;
  for (const std::string &word : below) {
    unit.dimension += "/" + word;
  }
  return text.empty() ? std::nullopt : std::optional<Unit>(unit);
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char letter : text) {
    if (std::isalnum(static_cast<unsigned char>(letter)) != 0) {
      word.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(letter))));
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, {}));
    }
  }
  if (!word.empty()) {
    words.push_back(word);
  }
  return words;
}

bool has_word(const std::vector<std::string> &words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

} // namespace ringscale::validation
