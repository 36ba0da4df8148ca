// SPDX-License-Identifier: Apache-2.0
#include "validation/unit.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

namespace ringscale::validation {

namespace {

struct UnitWord {
  std::string_view word;
  double scale;
  std::string_view dimension;
};

constexpr double gibi = 1073741824.0;
constexpr std::array<UnitWord, 62> unit_words{{{"s", 1.0, "s"},
                                               {"second", 1.0, "s"},
                                               {"sec", 1.0, "s"},
                                               {"ms", 1e-3, "s"},
                                               {"us", 1e-6, "s"},
                                               {"ns", 1e-9, "s"},
                                               {"min", 60.0, "s"},
                                               {"hour", 3600.0, "s"},
                                               {"h", 3600.0, "s"},
                                               {"day", 86400.0, "s"},
                                               {"token", 1.0, "token"},
                                               {"ktoken", 1e3, "token"},
                                               {"mtoken", 1e6, "token"},
                                               {"byte", 1.0, "byte"},
                                               {"B", 1.0, "byte"},
                                               {"KB", 1e3, "byte"},
                                               {"kB", 1e3, "byte"},
                                               {"MB", 1e6, "byte"},
                                               {"GB", 1e9, "byte"},
                                               {"TB", 1e12, "byte"},
                                               {"KiB", 1024.0, "byte"},
                                               {"MiB", 1048576.0, "byte"},
                                               {"GiB", gibi, "byte"},
                                               {"TiB", 1024.0 * gibi, "byte"},
                                               {"FLOP", 1.0, "FLOP"},
                                               {"GFLOP", 1e9, "FLOP"},
                                               {"TFLOP", 1e12, "FLOP"},
                                               {"PFLOP", 1e15, "FLOP"},
                                               {"FLOPS", 1.0, "FLOP/s"},
                                               {"GFLOPS", 1e9, "FLOP/s"},
                                               {"TFLOPS", 1e12, "FLOP/s"},
                                               {"PFLOPS", 1e15, "FLOP/s"},
                                               {"GPU", 1.0, "device"},
                                               {"device", 1.0, "device"},
                                               {"chip", 1.0, "device"},
                                               {"TPU", 1.0, "device"},
                                               {"rank", 1.0, "device"},
                                               {"node", 1.0, "node"},
                                               {"head", 1.0, "head"},
                                               {"layer", 1.0, "layer"},
                                               {"element", 1.0, "element"},
                                               {"sequence", 1.0, "sequence"},
                                               {"sample", 1.0, "sequence"},
                                               {"stage", 1.0, "stage"},
                                               {"replica", 1.0, "replica"},
                                               {"chunk", 1.0, "chunk"},
                                               {"block", 1.0, "block"},
                                               {"step", 1.0, "1"},
                                               {"iteration", 1.0, "1"},
                                               {"iter", 1.0, "1"},
                                               {"it", 1.0, "1"},
                                               {"call", 1.0, "1"},
                                               {"parameter", 1.0, "parameter"},
                                               {"hop", 1.0, "hop"},
                                               {"pair", 1.0, "pair"},
                                               {"x", 1.0, "x"},
                                               {"%", 1.0, "%"},
                                               {"percent", 1.0, "%"},
                                               {"point", 1.0, "%"},
                                               {"Hz", 1.0, "1/s"},
                                               {"GHz", 1e9, "1/s"},
                                               {"W", 1.0, "W"}}};

/// The entry of a word, also in the plural; FLOPS means FLOP/s and is looked up before its s is taken off.
const UnitWord *find_word(std::string_view word) {
  for (const std::string_view form : {word, word.substr(0, word.size() - (word.ends_with("s") ? 1 : 0))}) {
    const auto *found =
        std::find_if(unit_words.begin(), unit_words.end(), [&](const UnitWord &entry) { return entry.word == form; });
    if (found != unit_words.end()) {
      return found;
    }
  }
  return nullptr;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value > 0.0)) {
    return std::nullopt;
  }
  return value;
}

/// Unit words of names are lower case, with their own short forms.
struct NameUnit {
  std::string_view word;
  double scale;
  std::string_view dimension;
};
constexpr std::array<NameUnit, 24> name_units{
    {{"tokens", 1.0, "token"},  {"ktokens", 1e3, "token"},  {"mtokens", 1e6, "token"},
     {"bytes", 1.0, "byte"},    {"kb", 1e3, "byte"},        {"mb", 1e6, "byte"},
     {"gb", 1e9, "byte"},       {"tb", 1e12, "byte"},       {"mib", 1048576.0, "byte"},
     {"gib", gibi, "byte"},     {"ms", 1e-3, "s"},          {"us", 1e-6, "s"},
     {"s", 1.0, "s"},           {"percent", 1.0, "%"},      {"flop", 1.0, "FLOP"},
     {"flops", 1.0, "FLOP"},    {"tflop", 1e12, "FLOP"},    {"tflops", 1e12, "FLOP/s"},
     {"gflops", 1e9, "FLOP/s"}, {"pflops", 1e15, "FLOP/s"}, {"elements", 1.0, "element"},
     {"x", 1.0, "x"},           {"seconds", 1.0, "s"},      {"pct", 1.0, "%"}}};

} // namespace

std::optional<Unit> parse_unit(std::string_view text) {
  Unit unit;
  if (text == "-") {
    unit.dimension = "text";
    return unit;
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
    const UnitWord *entry = find_word(word);
    if (entry == nullptr) {
      return std::nullopt;
    }
    unit.scale *= divide ? 1.0 / entry->scale : entry->scale;
    if (divide && entry->dimension == "device") {
      unit.per_device = true;
    } else if (entry->dimension != "1") {
      (divide ? below : above).emplace_back(entry->dimension);
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

NameParts parse_name(std::string_view name) {
  NameParts parts;
  const std::vector<std::string> words = words_of(name);
  for (std::size_t index = 0; index < words.size(); ++index) {
    const std::string &word = words[index];
    const auto *found =
        std::find_if(name_units.begin(), name_units.end(), [&](const NameUnit &entry) { return entry.word == word; });
    if (found != name_units.end()) {
      // "iter_per_s" is a rate, not seconds.
      const bool divided = index > 0 && words[index - 1] == "per";
      parts.scale = divided ? 1.0 : found->scale;
      parts.dimension = divided ? "1/" + std::string(found->dimension) : std::string(found->dimension);
      if (divided) {
        parts.stem.push_back(word);
      }
    } else if (word != "formula") {
      parts.stem.push_back(word);
    }
  }
  return parts;
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
