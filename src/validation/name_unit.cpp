// SPDX-License-Identifier: Apache-2.0
#include "validation/name_unit.hpp"

#include <algorithm>
#include <array>

#include "validation/device_words.hpp"

namespace ringscale::validation {

namespace {

/// Unit words of names are lower case, with their own short forms.
constexpr double gibi = 1073741824.0;
struct NameUnit {
  std::string_view word;
  double scale;
  std::string_view dimension;
};
constexpr std::array<NameUnit, 34> name_units{{{"tokens", 1.0, "token"},
                                               {"ktokens", 1e3, "token"},
                                               {"mtokens", 1e6, "token"},
                                               {"bytes", 1.0, "byte"},
                                               {"kb", 1e3, "byte"},
                                               {"mb", 1e6, "byte"},
                                               {"gb", 1e9, "byte"},
                                               {"tb", 1e12, "byte"},
                                               {"mib", 1048576.0, "byte"},
                                               {"gib", gibi, "byte"},
                                               {"ms", 1e-3, "s"},
                                               {"us", 1e-6, "s"},
                                               {"s", 1.0, "s"},
                                               {"percent", 1.0, "%"},
                                               {"flop", 1.0, "FLOP"},
                                               {"flops", 1.0, "FLOP"},
                                               {"tflop", 1e12, "FLOP"},
                                               {"tflops", 1e12, "FLOP/s"},
                                               {"gflops", 1e9, "FLOP/s"},
                                               {"pflops", 1e15, "FLOP/s"},
                                               {"elements", 1.0, "element"},
                                               {"x", 1.0, "x"},
                                               {"seconds", 1.0, "s"},
                                               {"pct", 1.0, "%"},
                                               {"sec", 1.0, "s"},
                                               {"second", 1.0, "s"},
                                               {"msec", 1e-3, "s"},
                                               {"usec", 1e-6, "s"},
                                               {"ns", 1e-9, "s"},
                                               {"minutes", 60.0, "s"},
                                               {"hours", 3600.0, "s"},
                                               {"days", 86400.0, "s"},
                                               {"kib", 1024.0, "byte"},
                                               {"tib", gibi * 1024.0, "byte"}}};

const NameUnit *find_unit(std::string_view word) {
  const auto *found =
      std::find_if(name_units.begin(), name_units.end(), [&](const NameUnit &entry) { return entry.word == word; });
  return found == name_units.end() ? nullptr : found;
}

/// Words of a name, a slash as "per" and a sign as "percent".
std::vector<std::string> words_and_slashes(std::string_view name) {
  std::string text;
  for (const char letter : name) {
    if (letter == '/') {
      text.append(" per ");
    } else if (letter == '%') {
      text.append(" percent ");
    } else {
      text.push_back(letter);
    }
  }
  return words_of(text);
}

/// What is counted in a rate without a unit of its own: nothing for calls and steps.
std::optional<std::string> counted_by(std::string_view word) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 16> list{{{"iter", ""},
                                                                                       {"iters", ""},
                                                                                       {"iteration", ""},
                                                                                       {"iterations", ""},
                                                                                       {"it", ""},
                                                                                       {"its", ""},
                                                                                       {"call", ""},
                                                                                       {"calls", ""},
                                                                                       {"step", ""},
                                                                                       {"steps", ""},
                                                                                       {"tok", "token"},
                                                                                       {"toks", "token"},
                                                                                       {"token", "token"},
                                                                                       {"tokens", "token"},
                                                                                       {"samples", "sequence"},
                                                                                       {"sequences", "sequence"}}};
  const auto *found = std::find_if(list.begin(), list.end(), [&](const auto &entry) { return entry.first == word; });
  return found == list.end() ? std::nullopt : std::optional(std::string(found->second));
}

/// A unit being read: what stands above, then what divides it.
struct Reading {
  std::string above;
  std::string below;
  double scale = 1.0;
  bool per_device = false;
  bool is_known = true;

  void divide_by(const std::string &word) {
    const NameUnit *unit = find_unit(word);
    if (is_unit_of_devices(word)) {
      per_device = true;
    } else if (unit != nullptr) {
      scale /= unit->scale;
      below.append("/").append(unit->dimension);
    } else if (const auto counted = counted_by(word)) {
      below.append(counted->empty() ? "" : "/").append(*counted);
    } else if (word == "layer" || word == "head") {
      below.append("/").append(word);
    } else {
      is_known = false;
    }
  }

  Unit unit() const {
    const std::string top = above.empty() ? "1" : above;
    return is_known ? Unit{scale, top + below, per_device} : Unit{1.0, std::string(unknown_unit), false};
  }
};

/// Unit in parentheses or brackets at the end.
std::optional<Unit> unit_in_brackets(std::string_view name) {
  const std::size_t open = name.find_last_of("([");
  if (open == std::string_view::npos || open + 2 > name.size() || (!name.ends_with(')') && !name.ends_with(']'))) {
    return std::nullopt;
  }
  const auto unit = parse_unit(name.substr(open + 1, name.size() - open - 2));
  return unit && unit->dimension != "text" ? unit : std::nullopt;
}

} // namespace

NameParts parse_name(std::string_view name) {
  NameParts parts;
  const std::vector<std::string> words = words_of(name);
  for (std::size_t index = 0; index < words.size(); ++index) {
    const std::string &word = words[index];
    if (const NameUnit *found = find_unit(word)) {
      // "iter_per_s" is a rate, not seconds.
      const bool divided = index > 0 && words[index - 1] == "per";
      // "gb_per_s" and "tokens_per_s" keep what they count.
      const bool is_rate = divided && parts.scale > 0.0 && parts.dimension != "s";
      parts.scale = is_rate ? parts.scale / found->scale : divided ? 1.0 : found->scale;
      parts.dimension = is_rate   ? parts.dimension + "/" + std::string(found->dimension)
                        : divided ? "1/" + std::string(found->dimension)
                                  : std::string(found->dimension);
      if (divided) {
        parts.stem.push_back(word);
      }
    } else if (word != "formula") {
      parts.stem.push_back(word);
    }
  }
  return parts;
}

std::optional<Unit> unit_of_name(std::string_view name) {
  if (const auto unit = unit_in_brackets(name)) {
    return unit;
  }
  const std::vector<std::string> words = words_and_slashes(name);
  const auto word = [&](std::size_t index) { return index < words.size() ? words[index] : std::string(); };
  const auto is_time = [](const std::string &text) {
    const NameUnit *unit = find_unit(text);
    return unit != nullptr && unit->dimension == "s";
  };
  for (std::size_t index = 0; index < words.size(); ++index) {
    const auto counted = counted_by(words[index]);
    const bool is_rate = word(index + 1) == "per" && is_time(word(index + 2));
    const bool is_short_rate = counted && (word(index + 1) == "s" || word(index + 1) == "sec");
    const NameUnit *unit = find_unit(words[index]);
    // "s" and "x" are units at the end of a name or before "per" alone.
    const bool is_last = index > 0 && index + 1 == words.size();
    const bool is_letter = words[index].size() == 1 && !is_last && word(index + 1) != "per";
    if ((unit == nullptr || is_letter) && !is_rate && !is_short_rate) {
      continue;
    }
    Reading reading;
    if (unit != nullptr) {
      reading.above = unit->dimension;
      reading.scale = unit->scale;
    } else if (counted) {
      reading.above = *counted;
    } else {
      reading.is_known = false; // images_per_s
    }
    std::size_t next = index + 1;
    if (is_short_rate) {
      reading.divide_by(words[next++]);
    }
    for (; word(next) == "per" && next + 1 < words.size(); next += 2) {
      reading.divide_by(words[next + 1]);
    }
    return reading.unit();
  }
  return std::nullopt;
}

} // namespace ringscale::validation
