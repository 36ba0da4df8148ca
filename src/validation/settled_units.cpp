// SPDX-License-Identifier: Apache-2.0
#include "validation/settled_units.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "validation/cell_text.hpp"
#include "validation/device_words.hpp"
#include "validation/setting_names.hpp"

namespace ringscale::validation {

namespace {

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

/// Figures printed as texts ("161*", "1.2K", "OOM") in a column of unit "-" whose name says another unit than a count:
/// read as in a column of that unit. Whether all of them could be, and one is a number.
bool settle_printed_figures(Table &table, std::size_t index) {
  Column &column = table.columns[index];
  // "40%" and marks without figures; "0.4" beside them would be another unit.
  const bool is_percent = std::all_of(table.rows.begin(), table.rows.end(), [&](const Row &row) {
    const auto *text = std::get_if<std::string>(&row.values[index]);
    return text == nullptr ? !std::holds_alternative<double>(row.values[index])
                           : text->ends_with('%') || text->find_first_of("0123456789") == std::string::npos;
  });
  auto unit = unit_of_name(column.name);
  if (!unit && is_ratio_name(column) && is_percent) {
    unit = Unit{1.0, "%", false};
  } else if (!unit && has_word(column.words, "speedup")) {
    unit = Unit{1.0, "x", false};
  }
  if (column.unit.dimension != "text" || column.is_formula || !unit || unit->dimension == "token" ||
      unit->dimension == unknown_unit) {
    return false;
  }
  std::vector<std::optional<CellText>> texts;
  std::size_t printed_numbers = 0;
  for (const Row &row : table.rows) {
    const auto *text = std::get_if<std::string>(&row.values[index]);
    texts.push_back(text == nullptr ? std::nullopt : read_cell_text(*text, *unit));
    if (std::holds_alternative<bool>(row.values[index]) || (text != nullptr && !texts.back())) {
      return false;
    }
    printed_numbers += texts.back() && texts.back()->kind == CellText::Kind::number ? 1 : 0;
  }
  const bool has_numbers = std::any_of(table.rows.begin(), table.rows.end(), [&](const Row &row) {
    return std::holds_alternative<double>(row.values[index]);
  });
  const bool has_texts = std::any_of(texts.begin(), texts.end(), [](const auto &text) { return text.has_value(); });
  if (!has_texts || (printed_numbers == 0 && !has_numbers)) {
    return false; // numbers alone are read with their counts
  }
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    if (texts[row]) {
      table.rows[row].printed[index] = std::get<std::string>(table.rows[row].values[index]);
      table.rows[row].values[index] = texts[row]->kind == CellText::Kind::number ? Value(texts[row]->value) : Value();
    }
  }
  column.unit = *unit;
  table.remarks.push_back(table.where + ": " + column.name + " has unit '-'; the unit of its name is taken");
  return true;
}

void settle_column(Table &table, std::size_t index, bool has_tokens) {
  if (settle_printed_figures(table, index)) {
    return;
  }
  Column &column = table.columns[index];
  bool has_text = false;
  const auto values = counts_of(table, index, has_text);
  if (column.unit.dimension != "text" || column.is_formula || !values) {
    return;
  }
  const auto named = unit_of_name(column.name);
  const bool is_length = is_sequence_name(column) && !named && (!has_tokens || has_text);
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

/// "Head dim" and "Num-Heads" as head_dim and num_heads, where the setup has no such key.
void settle_keys(report::Json &setup) {
  report::Json settled = report::Json::object();
  for (const auto &[key, value] : setup.items()) {
    std::string usual;
    for (const std::string &word : words_of(key)) {
      usual.append(usual.empty() ? "" : "_").append(word);
    }
    settled[usual.empty() || setup.contains(usual) ? key : usual] = value;
  }
  setup = std::move(settled);
}

void settle_setup(Table &table) {
  settle_keys(table.setup);
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
