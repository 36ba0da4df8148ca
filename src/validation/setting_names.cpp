// SPDX-License-Identifier: Apache-2.0
#include "validation/setting_names.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "validation/device_words.hpp"
#include "validation/unit.hpp"

namespace ringscale::validation {

namespace {

using Names = std::vector<std::string_view>;

/// The names that the models ask for, each with further ones that mean the same.
const std::vector<Names> &settings() {
  static const std::vector<Names> list{
      {"sequence_tokens", "seq", "seqlen", "sequence", "seq_length", "sequence_len", "context", "context_length",
       "ctx_len", "context_len"},
      {"seq_len", "max_seq_len", "max_sequence_length"},
      {"query_heads", "heads", "num_heads", "num_attention_heads", "nheads", "n_head", "num_query_heads", "q_heads"},
      {"kv_heads", "num_key_value_heads", "n_kv_heads", "num_query_groups"},
      {"head_dim", "headdim", "head_size", "head_dimension", "d_head", "hdim"},
      {"hidden_size", "hidden_dim", "d_model", "model_dim"},
      {"layers", "n_layers", "num_hidden_layers", "n_layer"},
      {"ffn_size", "intermediate_size", "d_ff"},
      {"gpus", "gpu_count", "gpu_num", "n_gpu", "number_of_gpus", "num_gpu", "total_gpus"},
      {"tensor_parallel", "tp", "tp_size", "tp_degree", "tensor_parallel_size", "tensor_model_parallel_size"},
      {"pipeline_parallel", "pp", "pp_size", "pp_degree", "pipeline_parallel_size", "pipeline_model_parallel_size"},
      {"data_parallel", "dp", "dp_size", "dp_degree", "data_parallel_size"},
      {"context_parallel", "cp", "cp_size", "cp_degree", "sp_size", "sp_degree", "context_parallel_size"},
      {"ring_degree", "ring_parallel"},
      {"ulysses_degree", "hp_size"},
      {"batch_size", "batch", "bsz", "batchsize"},
      {"micro_batch", "micro_batch_size", "mbs"},
      {"global_batch", "global_batch_size", "gbs"}};
  return list;
}

/// Symbols of the field, lower case, as they stand before "=" in a text.
const Names &symbols_of(std::string_view name) {
  static const std::vector<std::pair<std::string_view, Names>> list{{"sequence_tokens", {"s", "n", "l"}},
                                                                    {"query_heads", {"h", "nh"}},
                                                                    {"head_dim", {"d", "hd"}},
                                                                    {"batch_size", {"b", "bs"}}};
  static const Names none;
  const auto found = std::find_if(list.begin(), list.end(), [&](const auto &entry) { return entry.first == name; });
  return found == list.end() ? none : found->second;
}

bool is_sequence_name(const Column &column) {
  const bool is_name = has_word(column.words, "label") || has_word(column.words, "name");
  return !is_name &&
         (has_word(column.words, "seq") || has_word(column.words, "seqlen") || has_word(column.words, "sequence") ||
          has_word(column.words, "context") || has_word(column.words, "tokens") || has_word(column.words, "length"));
}

bool is_ratio_name(const Column &column) {
  return has_word(column.words, "mfu") || has_word(column.words, "efficiency") ||
         has_word(column.words, "utilisation") || has_word(column.words, "utilization");
}

/// All values that are not null as numbers, printed counts among them; nothing when one is neither.
std::optional<std::vector<std::optional<double>>> counts_of(const Table &table, std::size_t column, bool &has_text) {
  std::vector<std::optional<double>> values;
  bool any = false;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const Value &value = table.rows[row].values[column];
    if (std::holds_alternative<std::monostate>(value)) {
      values.emplace_back();
      continue;
    }
    const auto text = table.text(row, column);
    const auto number = text ? count_in_text(*text) : table.number(row, column);
    if (!number) {
      return std::nullopt;
    }
    has_text = has_text || text;
    any = true;
    values.push_back(number);
  }
  return any ? std::optional(values) : std::nullopt;
}

std::string plain(double value) { return report::Json(value).dump(); }

/// 128 and not 128.0, as people print it.
std::string short_number(double value) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.15g", value);
  return text.data();
}

/// A length whose unit is "K" or "M" alone: 1024 and 2^20 where every number is as count_in_text takes for such, else
/// 1e3 and 1e6.
void settle_length_in_letters(Table &table, std::size_t index) {
  Column &column = table.columns[index];
  const bool is_letter = column.unit_text == "K" || column.unit_text == "k" || column.unit_text == "M";
  if (column.unit.dimension != unknown_unit || !is_letter || !is_sequence_name(column)) {
    return;
  }
  const double decimal = column.unit_text == "M" ? 1e6 : 1e3;
  const double binary = column.unit_text == "M" ? 1048576.0 : 1024.0;
  bool is_binary = true;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const auto number = table.number(row, index);
    const auto count = number ? count_in_text(short_number(*number) + column.unit_text) : std::nullopt;
    is_binary = is_binary && (!number || (count && *count == *number * binary));
  }
  column.unit = Unit{is_binary ? binary : decimal, "token", false};
  table.remarks.push_back(table.where + ": unit '" + column.unit_text + "' of " + column.name + " is read as " +
                          short_number(column.unit.scale) + " tokens");
}

void settle_column(Table &table, std::size_t index, bool has_tokens) {
  Column &column = table.columns[index];
  bool has_text = false;
  const auto values = counts_of(table, index, has_text);
  if (column.unit.dimension != "text" || column.is_formula || !values) {
    return;
  }
  const auto named = unit_of_name(column.name);
  const bool is_length = is_sequence_name(column) && !has_tokens && !named;
  const bool is_count = is_length || (named && named->dimension == "token") || names_of_setting(column.name).size() > 1;
  if (has_text && !is_count) {
    return; // texts that happen to be numbers are labels
  }
  if (has_text) {
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      if (const auto text = table.text(row, index)) {
        table.rows[row].values[index] = *(*values)[row];
        if (table.remarks.size() < 8 && *text != plain(*(*values)[row])) {
          table.remarks.push_back(table.where + ".rows[" + std::to_string(row) + "]." + column.name + " '" + *text +
                                  "' is read as " + plain(*(*values)[row]));
        }
      }
    }
  }
  if (named && !has_text) {
    column.unit = *named;
    table.remarks.push_back(
        table.where + ": " + column.name + " has unit '-' and numbers; the unit of its name is " +
        (named->dimension == unknown_unit ? "not known, and its figures are not predicted" : "taken"));
  } else if (is_length) {
    column.unit = Unit{1.0, "token", false};
  } else if (is_ratio_name(column)) {
    const bool is_percent = std::any_of(values->begin(), values->end(), [](const auto &value) { return value > 1.5; });
    column.unit = Unit{1.0, is_percent ? "%" : "1", false};
    table.remarks.push_back(table.where + ": " + column.name + " has unit '-'; its figures are taken as " +
                            (is_percent ? "percent" : "shares of 1"));
  } else if (has_word(column.words, "speedup")) {
    column.unit = Unit{1.0, "x", false};
  }
}

void settle_setup(Table &table) {
  static constexpr std::string_view devices = " gpus devices world_size num_gpus ranks ";
  std::optional<double> batch_tokens;
  for (auto &[key, value] : table.setup.items()) {
    if (!value.is_string()) {
      continue;
    }
    const std::string text = value.get<std::string>();
    const bool is_count = names_of_setting(key).size() > 1 || parse_name(key).dimension == "token";
    const auto count = is_count ? count_in_text(text) : std::nullopt;
    if (count && has_word(words_of(key), "batch") && text.find("tok") != std::string::npos &&
        !has_word(words_of(key), "tokens")) {
      batch_tokens = count;
      table.remarks.push_back(table.where + ".setup." + key + " '" + text + "' is read as a batch of " + plain(*count) +
                              " tokens");
      value = nullptr;
      continue;
    }
    const auto of_devices = is_setting_among(key, devices) ? devices_in_text(text).devices : std::nullopt;
    if (const auto number = count ? count : of_devices) {
      table.remarks.push_back(table.where + ".setup." + key + " '" + text + "' is read as " + plain(*number));
      value = *number;
    }
  }
  if (batch_tokens && !table.setup.contains("global_batch_tokens")) {
    table.setup["global_batch_tokens"] = *batch_tokens;
  }
}

} // namespace

const std::vector<std::string_view> &names_of_setting(std::string_view name) {
  for (const Names &names : settings()) {
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      return names;
    }
  }
  static thread_local Names alone;
  alone = {name};
  return alone;
}

bool is_setting_among(std::string_view name, std::string_view list) {
  const auto &names = names_of_setting(name);
  const auto is_listed = [&](std::string_view one) {
    std::string needle(1, ' ');
    needle.append(one).push_back(' ');
    return list.find(needle) != std::string_view::npos;
  };
  return !name.empty() && (is_listed(name) || std::any_of(names.begin(), names.end(), is_listed));
}

std::optional<double> setting_in_text(std::string_view text, std::string_view name) {
  const auto &names = names_of_setting(name);
  const auto is_name = [&](std::string word, bool is_equation) {
    std::transform(word.begin(), word.end(), word.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    if (is_equation && std::find(symbols_of(names.front()).begin(), symbols_of(names.front()).end(), word) !=
                           symbols_of(names.front()).end()) {
      return true;
    }
    const bool is_short = word.size() < 2;
    return !is_short && (word == name || std::find(names.begin(), names.end(), word) != names.end());
  };
  std::optional<double> found;
  std::string before;
  bool is_equation = false;
  for (std::size_t place = 0; place < text.size();) {
    const std::size_t end = std::min(text.find_first_of(" ,;()=:", place), text.size());
    const std::string word(text.substr(place, end - place));
    if (!word.empty()) {
      const auto count = count_in_text(word);
      if (count && !before.empty() && is_name(before, is_equation)) {
        if (found && *found != *count) {
          return std::nullopt;
        }
        found = count;
      }
      before = word;
      is_equation = false;
    }
    is_equation = is_equation || (end < text.size() && (text[end] == '=' || text[end] == ':'));
    if (end < text.size() && (text[end] == ',' || text[end] == ';')) {
      before.clear();
    }
    place = end + 1;
  }
  return found;
}

std::optional<double> count_in_text(std::string_view text) {
  std::string digits;
  std::size_t place = 0;
  for (; place < text.size(); ++place) {
    const char letter = text[place];
    const bool groups = letter == ',' && !digits.empty() && place + 3 < text.size() &&
                        std::all_of(text.begin() + static_cast<std::ptrdiff_t>(place) + 1,
                                    text.begin() + static_cast<std::ptrdiff_t>(place) + 4,
                                    [](char digit) { return digit >= '0' && digit <= '9'; });
    if ((letter >= '0' && letter <= '9') || (letter == '.' && !digits.empty())) {
      digits.push_back(letter);
    } else if (!groups) {
      break;
    }
  }
  double value = 0.0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.empty()) {
    return std::nullopt;
  }
  std::string_view rest = text.substr(place);
  while (rest.starts_with(' ')) {
    rest.remove_prefix(1);
  }
  const bool is_power = value >= 1.0 && std::exp2(std::round(std::log2(value))) == value;
  constexpr double eighths = 8.0;
  if (rest.starts_with("K") || rest.starts_with("k")) {
    value *= is_power || std::fmod(value, eighths) == 0.0 || value < 1.0 ? 1024.0 : 1e3;
    rest.remove_prefix(1);
  } else if (rest.starts_with("M")) {
    value *= is_power ? 1048576.0 : 1e6;
    rest.remove_prefix(1);
  }
  while (rest.starts_with(' ')) {
    rest.remove_prefix(1);
  }
  return rest.empty() || rest == "tokens" || rest == "tok" ? std::optional(value) : std::nullopt;
}

void settle_settings(Table &table) {
  settle_setup(table);
  for (std::size_t index = 0; index < table.columns.size(); ++index) {
    settle_length_in_letters(table, index);
  }
  const bool has_tokens = std::any_of(table.columns.begin(), table.columns.end(),
                                      [](const Column &column) { return column.unit.dimension == "token"; });
  for (std::size_t index = 0; index < table.columns.size(); ++index) {
    settle_column(table, index, has_tokens);
  }
}

} // namespace ringscale::validation
