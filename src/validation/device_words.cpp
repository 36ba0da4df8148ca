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
  std::vector<std::string> texts;
  Words words;            ///< of all texts
  bool is_device = false; ///< a text that can only be a device: an unknown one is not looked for further away

  explicit Place(std::vector<std::string> all = {}, bool is_a_device = false)
      : texts(std::move(all)), is_device(is_a_device) {
    for (const std::string &text : texts) {
      const Words more = words_of(text);
      words.insert(words.end(), more.begin(), more.end());
    }
  }
};

std::vector<Place> places_of(const Table &table, std::size_t row, std::size_t column) {
  std::vector<Place> places{Place({table.columns[column].name})};
  std::vector<std::string> other_labels;
  for (std::size_t index = 0; index < table.columns.size(); ++index) {
    const auto label = table.columns[index].is_formula ? std::nullopt : table.text(row, index);
    if (label && is_about_devices(table.columns[index].words)) {
      places.emplace_back(std::vector<std::string>{*label}, is_device_key(table.columns[index].name));
    } else if (label) {
      other_labels.push_back(*label);
    }
  }
  places.emplace_back(std::move(other_labels));
  std::vector<std::string> others;
  for (const auto &[key, value] : table.setup.items()) {
    if (!value.is_string()) {
      continue;
    }
    if (is_about_devices(words_of(key))) {
      places.emplace_back(std::vector<std::string>{value.get<std::string>()}, is_device_key(key));
    } else {
      others.push_back(value.get<std::string>());
    }
  }
  places.emplace_back(std::move(others));
  places.push_back(Place({table.title}));
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
  return named ? named : devices_of_row(table, row).devices;
}

DeviceCount devices_of_row(const Table &table, std::size_t row) {
  const RowFacts facts(table, row);
  if (const auto stated = facts.number({"gpus", "devices", "world_size", "num_gpus", "n_gpus", "num_devices", "ranks",
                                        "gpus_product", "devices_in_name"})) {
    return {stated, std::nullopt, std::nullopt, false};
  }
  DeviceCount found;
  found.nodes = facts.number({"nodes", "num_nodes", "hosts"});
  found.of_a_node = facts.number({"gpus_per_node", "devices_per_node", "gpus_per_host", "devices_per_host"});
  const std::vector<Place> places = places_of(table, row, 0);
  for (std::size_t index = 1; index < places.size(); ++index) { // without the column's name
    for (const std::string &text : places[index].texts) {
      const DeviceCount stated = devices_in_text(text);
      found.is_unclear = found.is_unclear || stated.is_unclear;
      found.nodes = found.nodes ? found.nodes : stated.nodes;
      found.of_a_node = found.of_a_node ? found.of_a_node : stated.of_a_node;
      found.devices = found.devices ? found.devices : stated.devices;
    }
    if (found.devices || found.is_unclear || (found.nodes && found.of_a_node)) {
      break;
    }
  }
  if (found.nodes && found.of_a_node) {
    return {*found.nodes * *found.of_a_node, std::nullopt, std::nullopt, false};
  }
  // "8x A100" beside a number of nodes may be those of one node or of all; nodes without their devices are some number.
  if (found.nodes.value_or(1.0) > 1.0 && facts.number({"nodes", "num_nodes", "hosts"})) {
    found.devices.reset();
    found.is_unclear = true;
  }
  found.is_unclear = found.is_unclear || (!found.devices && found.nodes.value_or(1.0) > 1.0);
  return found;
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
