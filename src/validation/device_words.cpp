// SPDX-License-Identifier: Apache-2.0
#include "validation/device_words.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>

#include "validation/table_facts.hpp"
#include "validation/unit.hpp"

namespace ringscale::validation {

namespace {

using Words = std::vector<std::string>;

constexpr std::int64_t most_devices = std::int64_t{1} << 30;

std::optional<std::int64_t> whole_in(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value > 0 && value <= most_devices
             ? std::optional(value)
             : std::nullopt;
}

/// The number in front of "x" at the beginning of a word, and what follows: {8, "a100"} of "8xa100".
std::pair<std::optional<std::int64_t>, std::string_view> without_count(std::string_view word) {
  const std::size_t digits = std::min(word.find_first_not_of("0123456789"), word.size());
  if (digits == 0 || digits == word.size() || word[digits] != 'x') {
    return {std::nullopt, word};
  }
  return {whole_in(word.substr(0, digits)), word.substr(digits + 1)};
}

/// Devices of the field, those without a machine file among them: what stands behind a number of devices.
bool is_device_word(std::string_view word) {
  static constexpr std::array<std::string_view, 26> names{
      "a100",  "a800",  "h100",   "h800",   "h200",    "h20",   "gh200", "b100",  "b200",
      "gb200", "v100",  "p100",   "l20",    "l40",     "l40s",  "a10",   "a40",   "a6000",
      "mi210", "mi250", "mi250x", "mi300x", "gtx1080", "tpuv3", "tpuv4", "tpuv5e"};
  return is_unit_of_devices(word) ||
         std::any_of(names.begin(), names.end(), [&](std::string_view name) { return means_device(word, name); });
}

bool is_about_devices(const Words &words) {
  return std::any_of(words.begin(), words.end(), [](const std::string &word) {
    return is_unit_of_devices(word) || word == "system" || word == "hardware" || word == "machine" ||
           word == "platform" || word == "cluster" || word == "host" || word == "spec";
  });
}

/// Names under which a text can only be a device.
bool is_device_key(std::string_view name) {
  return name == "gpu" || name == "device" || name == "accelerator" || name == "chip" || name == "gpu_type" ||
         name == "hardware";
}

/// Memory of a device among its words: "80gb", "40g", "80 gib".
std::optional<double> memory_in(const Words &words) {
  for (std::size_t index = 0; index < words.size(); ++index) {
    for (const std::string_view unit : {"gb", "gib", "g"}) {
      const std::string_view word = words[index];
      const bool apart = word == unit && unit != "g" && index > 0;
      const auto value = apart                  ? whole_in(words[index - 1])
                         : word.ends_with(unit) ? whole_in(word.substr(0, word.size() - unit.size()))
                                                : std::nullopt;
      constexpr std::int64_t least = 4;
      constexpr std::int64_t most = 1024;
      if (value && *value >= least && *value <= most) {
        return static_cast<double>(*value) * 1e9;
      }
    }
  }
  return std::nullopt;
}

/// Places that may name the device of a figure, the nearest first.
struct Place {
  Words words;
  bool is_device = false; ///< a text that can only be a device: an unknown one is not looked for further away
};

std::vector<Place> places_of(const Table &table, std::size_t row, std::size_t column) {
  std::vector<Place> places{{table.columns[column].words, false}};
  Place other_labels;
  for (std::size_t index = 0; index < table.columns.size(); ++index) {
    const auto label = table.columns[index].is_formula ? std::nullopt : table.text(row, index);
    if (label && is_about_devices(table.columns[index].words)) {
      places.push_back({words_of(*label), is_device_key(table.columns[index].name)});
    } else if (label) {
      const Words words = words_of(*label);
      other_labels.words.insert(other_labels.words.end(), words.begin(), words.end());
    }
  }
  places.push_back(std::move(other_labels));
  Place others;
  for (const auto &[key, value] : table.setup.items()) {
    if (!value.is_string()) {
      continue;
    }
    const Words words = words_of(value.get<std::string>());
    if (is_about_devices(words_of(key))) {
      places.push_back({words, is_device_key(key)});
    } else {
      others.words.insert(others.words.end(), words.begin(), words.end());
    }
  }
  places.push_back(std::move(others));
  places.push_back({words_of(table.title), false});
  return places;
}

/// Devices of machine files among words, each once.
std::vector<std::string> devices_among(const std::vector<machine::Machine> &machines, const Words &words) {
  std::vector<std::string> found;
  for (const machine::Machine &candidate : machines) {
    const Words parts = words_of(candidate.name);
    if (candidate.kind != "published" || parts.empty() ||
        std::find(found.begin(), found.end(), parts.front()) != found.end()) {
      continue;
    }
    for (std::size_t index = 0; index < words.size(); ++index) {
      if (means_device(words[index], parts.front()) ||
          (index + 1 < words.size() && words[index] + words[index + 1] == parts.front())) {
        found.push_back(parts.front());
        break;
      }
    }
  }
  return found;
}

} // namespace

bool is_unit_of_devices(std::string_view word) {
  static constexpr std::array<std::string_view, 14> names{"gpu",  "gpus",  "device", "devices",      "accelerator",
                                                          "tpu",  "tpus",  "npu",    "accelerators", "npus",
                                                          "card", "cards", "chip",   "chips"};
  return std::find(names.begin(), names.end(), word) != names.end();
}

bool means_device(std::string_view word, std::string_view name) {
  word = without_count(word).second;
  if (!word.starts_with(name)) {
    return false;
  }
  const std::string_view rest = word.substr(name.size());
  return rest.empty() || rest == "s" || rest.starts_with("sxm") || rest.starts_with("pcie") ||
         rest.starts_with("nvl") || rest.starts_with("80g") || rest.starts_with("40g") || rest.starts_with("hbm");
}

std::optional<double> devices_in_words(const Words &words) {
  const auto word = [&](std::size_t index) { return index < words.size() ? std::string_view(words[index]) : ""; };
  for (std::size_t index = 0; index < words.size(); ++index) {
    const auto [count, rest] = without_count(words[index]);
    const bool is_node_size = word(index + 2) == "per" || word(index + 3) == "per" || word(index + 2) == "node";
    if (count && is_device_word(rest.empty() ? word(index + 1) : rest)) {
      return static_cast<double>(*count); // 8xa100, 8x a100
    }
    const auto number = whole_in(words[index]);
    const std::size_t next = word(index + 1) == "x" ? index + 2 : index + 1;
    if (number && is_device_word(word(next)) && !is_node_size) {
      return static_cast<double>(*number); // 16 x a100, 32 a100s, 64 gpus
    }
    if (number && index > 0 && words[index - 1].starts_with("tpu")) {
      return static_cast<double>(*number); // tpuv4-1024
    }
    if (words[index].size() > 1 && words[index].front() == 'x' && index > 0) {
      if (const auto behind = whole_in(std::string_view(words[index]).substr(1))) {
        return static_cast<double>(*behind); // a100 x8
      }
    }
  }
  return std::nullopt;
}

std::optional<double> devices_in_name(const Words &words) {
  for (std::size_t index = 0; index < words.size(); ++index) {
    const std::string_view word = words[index];
    const std::size_t digits = std::min(word.find_first_not_of("0123456789"), word.size());
    if (digits > 0 && digits < word.size() && is_unit_of_devices(word.substr(digits))) {
      if (const auto count = whole_in(word.substr(0, digits))) {
        return static_cast<double>(*count); // 8gpu
      }
    }
    const auto number = whole_in(word);
    const bool before = index + 1 < words.size() && is_unit_of_devices(words[index + 1]);
    const bool behind = index > 0 && is_unit_of_devices(words[index - 1]) && (index < 2 || words[index - 2] != "per");
    if (number && (before || behind)) {
      return static_cast<double>(*number);
    }
  }
  return std::nullopt;
}

std::optional<double> devices_of(const Table &table, std::size_t row, std::size_t column) {
  const auto named = devices_in_name(table.columns[column].words);
  return named ? named : devices_of_row(table, row);
}

std::optional<double> devices_of_row(const Table &table, std::size_t row) {
  const RowFacts facts(table, row);
  if (const auto stated = facts.number({"gpus", "devices", "world_size", "num_gpus", "n_gpus", "num_devices", "ranks",
                                        "gpus_product", "devices_in_name"})) {
    return stated;
  }
  const auto nodes = facts.number({"nodes", "num_nodes", "hosts"});
  const auto of_node = facts.number({"gpus_per_node", "devices_per_node", "gpus_per_host", "devices_per_host"});
  if (nodes && of_node) {
    return *nodes * *of_node;
  }
  const std::vector<Place> places = places_of(table, row, 0);
  for (std::size_t index = 1; index < places.size(); ++index) { // without the column's name
    if (const auto stated = devices_in_words(places[index].words)) {
      return stated;
    }
  }
  return std::nullopt;
}

std::optional<bool> says_per_device(const Column &column) {
  const std::vector<std::string> &words = column.words;
  for (std::size_t index = 0; index + 1 < words.size(); ++index) {
    if (words[index] == "per" && is_unit_of_devices(words[index + 1])) {
      return true;
    }
  }
  if (column.unit.per_device) {
    return true;
  }
  for (const char *word : {"total", "aggregate", "aggregated", "overall", "cluster"}) {
    if (has_word(words, word)) {
      return false;
    }
  }
  return std::nullopt;
}

MachineChoice machine_of(const Table &table, std::size_t row, std::size_t column,
                         const std::vector<machine::Machine> &machines) {
  MachineChoice choice;
  Words all = table.columns[column].words;
  const Words facts = RowFacts(table, row).all_words();
  all.insert(all.end(), facts.begin(), facts.end());
  for (const Place &place : places_of(table, row, column)) {
    const std::vector<std::string> devices = devices_among(machines, place.words);
    if (devices.empty() && place.is_device && !place.words.empty()) {
      break;
    }
    if (devices.empty()) {
      continue;
    }
    if (devices.size() > 1) {
      choice.reason = "several devices are named (" + devices[0] + ", " + devices[1] +
                      "); which one the figure is for "
                      "is not said";
      return choice;
    }
    // Of the files of this device, the one that shares most words with all that is said.
    std::vector<machine::Machine const *> files;
    std::size_t most = 0;
    for (const machine::Machine &candidate : machines) {
      const Words parts = words_of(candidate.name);
      if (candidate.kind != "published" || parts.empty() || parts.front() != devices.front()) {
        continue;
      }
      const auto shared =
          static_cast<std::size_t>(1 + std::count_if(parts.begin() + 1, parts.end(),
                                                     [&](const std::string &part) { return has_word(all, part); }));
      if (shared > most) {
        choice.machine = &candidate;
        most = shared;
      }
    }
    choice.memory_bytes = memory_in(place.words);
    return choice;
  }
  choice.reason = "no machine file for the device of this row";
  return choice;
}

} // namespace ringscale::validation
