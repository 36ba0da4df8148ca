// SPDX-License-Identifier: Apache-2.0
#include "validation/device_counts.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ringscale::validation {

namespace {

constexpr std::int64_t most_devices = std::int64_t{1} << 30;

std::optional<double> whole_in(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value > 0 && value <= most_devices
             ? std::optional(static_cast<double>(value))
             : std::nullopt;
}

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

template <std::size_t count> bool is_among(std::string_view word, const std::array<std::string_view, count> &list) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

/// A part of a text: a number, or a word in lower case; "x" of a product, "per" of a slash and "(" are words.
struct Token {
  std::string word;
  std::optional<double> number;
};

void push(std::vector<Token> &tokens, std::string word) {
  static constexpr std::array<std::pair<std::string_view, double>, 4> spelt{
      {{"two", 2.0}, {"four", 4.0}, {"eight", 8.0}, {"sixteen", 16.0}}};
  const std::size_t digits = std::min(word.find_first_not_of("0123456789"), word.size());
  // "8xa100", "4x8", "8gpus", "x8"
  if (digits > 0 && digits < word.size() && (word[digits] == 'x' || is_unit_of_devices(word.substr(digits)))) {
    tokens.push_back({word.substr(0, digits), whole_in(word.substr(0, digits))});
    if (word[digits] == 'x') {
      tokens.push_back({"x", std::nullopt});
      word = word.substr(digits + 1);
      if (!word.empty()) {
        push(tokens, std::move(word));
      }
    } else {
      tokens.push_back({word.substr(digits), std::nullopt});
    }
    return;
  }
  if (word.size() > 1 && word.front() == 'x' && whole_in(word.substr(1))) {
    tokens.push_back({"x", std::nullopt});
    word = word.substr(1);
  }
  const auto *named = std::find_if(spelt.begin(), spelt.end(), [&](const auto &entry) { return entry.first == word; });
  const auto number = named == spelt.end() ? whole_in(word) : std::optional(named->second);
  tokens.push_back({std::move(word), number});
}

std::vector<Token> tokens_of(std::string_view text) {
  std::vector<Token> tokens;
  std::string word;
  const auto close = [&] {
    if (!word.empty()) {
      push(tokens, std::exchange(word, {}));
    }
  };
  for (std::size_t place = 0; place < text.size(); ++place) {
    const char letter = text[place];
    const bool groups = letter == ',' && !word.empty() && std::all_of(word.begin(), word.end(), is_digit) &&
                        place + 3 < text.size() && is_digit(text[place + 1]) && is_digit(text[place + 2]) &&
                        is_digit(text[place + 3]) && (place + 4 == text.size() || !is_digit(text[place + 4]));
    if (groups) {
      continue; // 1,024
    }
    if (std::isalnum(static_cast<unsigned char>(letter)) != 0) {
      word.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(letter))));
      continue;
    }
    close();
    const bool is_times = letter == '*' || text.substr(place).starts_with("×");
    if (is_times || letter == '/' || letter == '(') {
      tokens.push_back({is_times ? "x" : letter == '/' ? "per" : "(", std::nullopt});
    }
  }
  close();
  return tokens;
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

bool is_node_word(std::string_view word) {
  static constexpr std::array<std::string_view, 10> names{"node",    "nodes",   "host",     "hosts", "server",
                                                          "servers", "machine", "machines", "dgx",   "hgx"};
  return is_among(word, names);
}

/// What may stand between a number and its device, or behind the device: maker, form, memory.
bool is_form(std::string_view word) {
  static constexpr std::array<std::string_view, 9> words{"nvidia", "amd", "google", "tesla", "nvlink",
                                                         "pcie",   "sxm", "gtx",    "intel"};
  const bool is_memory = !word.empty() && is_digit(word.front()) && (word.ends_with("gb") || word.ends_with("g"));
  const bool is_generation = word.size() >= 2 && word.size() <= 3 && word.front() == 'v' && is_digit(word[1]); // TPU v4
  return is_among(word, words) || is_memory || is_generation || word.starts_with("sxm") || word.starts_with("hbm") ||
         word == "gb";
}

/// A number of devices or nodes in a text, and where its words begin and end.
struct Stated {
  double value = 0.0;
  std::size_t begin = 0;
  std::size_t end = 0;
  bool is_of_a_node = false;
  bool is_implied_node = false; ///< "8-GPU node": one node unless their number is said
};

class Reader {
public:
  explicit Reader(std::string_view text) : tokens_(tokens_of(text)) {
    for (std::size_t index = 0; index < tokens_.size(); ++index) {
      if (tokens_[index].number) {
        index = read_number(index);
      }
    }
  }

  DeviceCount count() const {
    DeviceCount result;
    std::vector<double> totals;
    std::optional<double> of_a_node;
    std::optional<double> node_count;
    bool is_implied = false;
    result.is_unclear = is_list_;
    for (const Stated &node : nodes_) {
      result.is_unclear = result.is_unclear || (node_count && *node_count != node.value);
      node_count = node.value;
    }
    for (const Stated &stated : devices_) {
      if (stated.is_of_a_node || is_product_with_nodes(stated)) {
        result.is_unclear = result.is_unclear || (of_a_node && *of_a_node != stated.value);
        of_a_node = stated.value;
        is_implied = stated.is_implied_node;
      } else {
        result.is_unclear = result.is_unclear || may_be_of_a_node(stated);
        totals.push_back(stated.value);
      }
    }
    if (of_a_node && (node_count || is_implied)) {
      totals.push_back(*of_a_node * node_count.value_or(1.0));
    }
    for (const double total : totals) {
      result.is_unclear = result.is_unclear || total != totals.front();
    }
    if (result.is_unclear) {
      return {std::nullopt, std::nullopt, std::nullopt, true};
    }
    if (!totals.empty()) {
      result.devices = totals.front();
    } else {
      result.of_a_node = of_a_node;
      result.nodes = node_count;
    }
    return result;
  }

private:
  std::string_view word(std::size_t index) const {
    return index < tokens_.size() ? std::string_view(tokens_[index].word) : std::string_view();
  }
  bool is_number(std::size_t index) const { return index < tokens_.size() && tokens_[index].number; }

  std::size_t skip_forms(std::size_t index) const {
    while (is_form(word(index)) || (index > 0 && is_number(index) && word(index + 1) == "gb")) {
      ++index;
    }
    return index;
  }

  /// Reads the statement that the number at `index` belongs to; the last index that it used.
  std::size_t read_number(std::size_t index) {
    double value = *tokens_[index].number;
    const std::size_t begin = index;
    std::size_t next = index + 1;
    bool is_product = false;
    while (word(next) == "x" && is_number(next + 1)) { // 4 x 8 x A100
      value *= *tokens_[next + 1].number;
      next += 2;
      is_product = true;
    }
    if (word(next) == "gb") { // 80 GB
      return next;
    }
    std::size_t thing = skip_forms(word(next) == "x" ? next + 1 : next);
    if (is_node_word(word(thing))) {
      nodes_.push_back({value, begin, end_of_things(thing), false, false});
      return nodes_.back().end - 1;
    }
    if (is_device_word(word(thing))) {
      return read_devices(value, begin, thing);
    }
    // A100 x 8, TPUv4-1024
    const bool behind_times = index > 1 && word(index - 1) == "x" && is_device_behind(index - 1);
    const bool behind_pod =
        index > 0 && (word(index - 1).starts_with("tpu") || (index > 1 && word(index - 2) == "tpu"));
    if (behind_times || behind_pod) {
      devices_.push_back({value, begin, next, says_of_a_node(next), false});
    }
    return is_product ? next - 1 : index;
  }

  /// Whether a device and its form stand before `index`.
  bool is_device_behind(std::size_t index) const {
    while (index > 0 && is_form(word(index - 1))) {
      --index;
    }
    return index > 0 && is_device_word(word(index - 1));
  }

  std::size_t end_of_things(std::size_t index) const {
    while (is_device_word(word(index)) || is_node_word(word(index)) || is_form(word(index))) {
      ++index;
    }
    return index;
  }

  bool says_of_a_node(std::size_t index) const {
    const bool is_each = word(index) == "each" || (index + 1 == tokens_.size() && word(index) == "apiece");
    return is_each || ((word(index) == "per" || word(index) == "a") && is_node_word(word(index + 1))) ||
           (word(index) == "in" && word(index + 1) == "each");
  }

  std::size_t read_devices(double value, std::size_t begin, std::size_t thing) {
    std::size_t end = thing;
    while (is_device_word(word(end)) || is_form(word(end))) {
      ++end;
    }
    const bool is_gpu = is_unit_of_devices(word(thing)) && !word(thing).ends_with('s');
    if (is_node_word(word(end)) && !is_gpu) { // 2 A100 nodes
      nodes_.push_back({value, begin, end_of_things(end), false, false});
      return nodes_.back().end - 1;
    }
    const bool is_node_size = is_node_word(word(end)); // "8-GPU node", "four 8-GPU nodes"
    if (is_node_size && begin > 0 && is_number(begin - 1)) {
      nodes_.push_back({*tokens_[begin - 1].number, begin - 1, begin, false, false});
    }
    // "8 and 16 GPUs", "8-16 GPUs"
    static constexpr std::array<std::string_view, 4> listing{"and", "or", "to", "vs"};
    const bool is_list = begin > 1 && is_among(word(begin - 1), listing) && is_number(begin - 2);
    is_list_ = is_list_ || is_list || (!is_node_size && begin > 0 && is_number(begin - 1));
    const bool is_one_node = is_node_size && !word(end).ends_with('s');
    devices_.push_back({value, begin, end, is_node_size || says_of_a_node(end), is_one_node});
    return is_node_size ? end : end - 1;
  }

  /// "4 nodes of 8 A100", "8 A100 x 4 nodes"
  bool is_product_with_nodes(const Stated &stated) const {
    return std::any_of(nodes_.begin(), nodes_.end(), [&](const Stated &node) {
      static constexpr std::array<std::string_view, 4> joining{"x", "of", "with", "having"};
      return (node.end + 1 == stated.begin && is_among(word(node.end), joining)) ||
             (stated.end + 1 == node.begin && word(stated.end) == "x");
    });
  }

  /// Beside a number of nodes, devices that no word says to be those of all.
  bool may_be_of_a_node(const Stated &stated) const {
    return std::any_of(nodes_.begin(), nodes_.end(), [&](const Stated &node) {
      if (node.value == 1.0) {
        return false;
      }
      static constexpr std::array<std::string_view, 7> spread{"on", "across", "over", "in", "from", "using", "("};
      const bool is_total = stated.end + 1 == node.begin && is_among(word(stated.end), spread);
      // "4 nodes (32 GPUs)": too many for one node, and as many for each.
      constexpr double most_of_a_usual_node = 8.0;
      const double of_each = stated.value / node.value;
      return !is_total && !(stated.value > most_of_a_usual_node && of_each == static_cast<std::int64_t>(of_each));
    });
  }

  std::vector<Token> tokens_;
  std::vector<Stated> devices_;
  std::vector<Stated> nodes_;
  bool is_list_ = false; ///< several numbers for one word
};

} // namespace

DeviceCount devices_in_text(std::string_view text) { return Reader(text).count(); }

bool is_unit_of_devices(std::string_view word) {
  static constexpr std::array<std::string_view, 14> names{"gpu",  "gpus",  "device", "devices",      "accelerator",
                                                          "tpu",  "tpus",  "npu",    "accelerators", "npus",
                                                          "card", "cards", "chip",   "chips"};
  return is_among(word, names);
}

bool means_device(std::string_view word, std::string_view name) {
  const std::size_t digits = std::min(word.find_first_not_of("0123456789"), word.size());
  if (digits > 0 && digits < word.size() && word[digits] == 'x') {
    word = word.substr(digits + 1);
  }
  if (!word.starts_with(name)) {
    return false;
  }
  const std::string_view rest = word.substr(name.size());
  return rest.empty() || rest == "s" || rest.starts_with("sxm") || rest.starts_with("pcie") ||
         rest.starts_with("nvl") || rest.starts_with("80g") || rest.starts_with("40g") || rest.starts_with("hbm");
}

} // namespace ringscale::validation
