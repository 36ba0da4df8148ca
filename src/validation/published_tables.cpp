// SPDX-License-Identifier: Apache-2.0
#include "validation/published_tables.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "claims/expression.hpp"
#include "problem/invalid_input.hpp"
#include "report/nearest_name.hpp"
#include "report/results_document.hpp"
#include "validation/arithmetic.hpp"
#include "validation/cell_text.hpp"
#include "validation/closed_forms.hpp"
#include "validation/formula.hpp"
#include "validation/setting_rules.hpp"
#include "validation/settled_units.hpp"
#include "validation/work_limits.hpp"

namespace ringscale::validation {

using problem::InvalidInput;
using report::Json;
using report::ObjectReader;

namespace {

/// What a unit alone cannot say: "B" of a model's size is 1e9 parameters, and "TFLOPs" of a throughput are those of a
/// second.
Unit unit_in_view_of_name(Unit unit, const std::string &unit_text, const std::vector<std::string> &words) {
  const auto has = [&](std::initializer_list<const char *> list) {
    return std::any_of(list.begin(), list.end(), [&](const char *word) { return has_word(words, word); });
  };
  if (unit_text == "B" && has({"params", "parameters", "model", "size", "param"})) {
    return Unit{1e9, "parameter", false};
  }
  constexpr double giga = 1e9;
  const std::vector<std::string> unit_words = words_of(unit_text);
  const bool is_plural = std::any_of(unit_words.begin(), unit_words.end(),
                                     [](const std::string &word) { return word.ends_with("flops"); });
  if (unit.dimension == "FLOP" && unit.scale >= giga && is_plural &&
      (unit.per_device || has({"throughput", "tflops", "pflops", "gflops", "speed", "rate", "performance"}))) {
    unit.dimension = "FLOP/s";
  }
  return unit;
}

Column read_column(const ObjectReader &form) {
  Column column;
  column.name = form.text("name");
  column.unit_text = form.text("unit");
  column.meaning = form.text_or("meaning", "");
  const std::string origin = form.text("origin");
  if (column.name.empty()) {
    form.refuse("name", "is empty");
  }
  if (origin != "published" && origin != "derived") {
    form.refuse("origin", "is '" + origin + "'; one of: published, derived");
  }
  const auto unit = parse_unit(column.unit_text);
  require_plain_text(column.unit_text, form.where("unit"));
  require_plain_text(column.name, form.where("name"));
  column.unit = unit.value_or(Unit{1.0, std::string(unknown_unit), false});
  column.derived = origin == "derived";
  column.words = words_of(column.name);
  column.parts = parse_name(column.name);
  column.unit = unit_in_view_of_name(column.unit, column.unit_text, column.words);
  form.finish();
  return column;
}

std::vector<Column> read_columns(const ObjectReader &form) {
  std::vector<Column> columns;
  std::set<std::string> names;
  for (const ObjectReader &entry : form.objects("columns")) {
    columns.push_back(read_column(entry));
    if (!names.insert(columns.back().name).second) {
      entry.refuse("name", "is '" + columns.back().name + "', met twice in this table");
    }
  }
  if (columns.empty()) {
    form.refuse("columns", "is empty");
  }
  return columns;
}

/// A text in a column of numbers is a formula as printed, with at least one product, or a mistake.
bool is_printed_formula(const std::string &text, const std::string &where) {
  if (text.find('*') == std::string::npos || text.size() > longest_formula) {
    return false;
  }
  try {
    return !claims::Expression(text, where).names().empty();
  } catch (const InvalidInput &) {
    return false;
  }
}

Value read_value(const Json &value, Column &column, bool first, const std::string &where, std::string &printed) {
  if (value.is_null()) {
    return {};
  }
  if (column.unit.dimension == "text") {
    if (value.is_boolean()) {
      return value.get<bool>();
    }
    if (value.is_number()) {
      return value.get<double>();
    }
    if (value.is_string()) {
      return value.get<std::string>();
    }
    throw InvalidInput(where + " must be a text, a number, true, false or null");
  }
  if (value.is_string() && is_printed_formula(value.get<std::string>(), where) && (first || column.is_formula)) {
    if (!std::isfinite(value_of_printed_formula(value.get<std::string>()))) {
      throw InvalidInput(where + " is '" + value.get<std::string>() + "', which divides by zero or grows too large");
    }
    column.is_formula = true;
    return value.get<std::string>();
  }
  if (value.is_string() && !column.is_formula && column.unit.dimension == unknown_unit) {
    require_plain_text(value.get<std::string>(), where);
    return value.get<std::string>();
  }
  const bool is_text = value.is_string() && !column.is_formula;
  if (const auto text = is_text ? read_cell_text(value.get<std::string>(), column.unit) : std::nullopt) {
    require_plain_text(value.get<std::string>(), where);
    printed = value.get<std::string>();
    return text->kind == CellText::Kind::number ? Value(text->value) : Value();
  }
  if (!value.is_number() || column.is_formula) {
    throw InvalidInput(where + " must be " + (column.is_formula ? "a formula" : "a number") +
                       " or null, or a text such as 'OOM', '-' or '> 3 h': its column has unit '" + column.unit_text +
                       "'");
  }
  return value.get<double>();
}

/// A column of an unknown unit that holds texts alone is one of labels; beside numbers they are printed in their place.
void settle_texts_of_unknown_units(std::vector<Row> &rows, std::vector<Column> &columns) {
  for (std::size_t index = 0; index < columns.size(); ++index) {
    if (columns[index].unit.dimension != unknown_unit || columns[index].is_formula) {
      continue;
    }
    const bool has_numbers = std::any_of(
        rows.begin(), rows.end(), [&](const Row &row) { return std::holds_alternative<double>(row.values[index]); });
    const bool has_texts = std::any_of(rows.begin(), rows.end(), [&](const Row &row) {
      return std::holds_alternative<std::string>(row.values[index]);
    });
    if (!has_numbers && has_texts) {
      columns[index].unit = Unit{1.0, "text", false};
      continue;
    }
    for (Row &row : rows) {
      if (const auto *text = std::get_if<std::string>(&row.values[index])) {
        row.printed[index] = *text;
        row.values[index] = Value();
      }
    }
  }
}

std::vector<Row> read_rows(const ObjectReader &form, std::vector<Column> &columns) {
  std::vector<Row> rows;
  std::vector<bool> met(columns.size(), false);
  for (const ObjectReader &entry : form.objects("rows")) {
    Row row;
    for (std::size_t index = 0; index < columns.size(); ++index) {
      Column &column = columns[index];
      if (!entry.has(column.name)) {
        throw InvalidInput(entry.where(column.name) + " is missing; write null for a value that was not published");
      }
      std::string printed;
      row.values.push_back(read_value(entry.any(column.name), column, !met[index], entry.where(column.name), printed));
      if (!printed.empty()) {
        row.printed[index] = printed;
      }
      met[index] = met[index] || !std::holds_alternative<std::monostate>(row.values.back());
    }
    row.missing_reason = entry.text_or("missing_reason", "");
    entry.finish();
    rows.push_back(std::move(row));
  }
  if (rows.empty()) {
    form.refuse("rows", "is empty");
  }
  settle_texts_of_unknown_units(rows, columns);
  return rows;
}

void read_formulas(const ObjectReader &form, Table &table) {
  if (!form.has("reference_formula") || form.any("reference_formula").is_null()) {
    return;
  }
  const ObjectReader formulas = form.object("reference_formula");
  for (const auto &[name, text] : form.any("reference_formula").items()) {
    table.formulas.emplace_back(name, formulas.text(name));
  }
}

/// A table is somebody else's data: what is not understood of it costs the figures that rest on it, and is said.
void note_what_is_not_used(const ObjectReader &form, Table &table) {
  for (const Column &column : table.columns) {
    if (column.unit.dimension == unknown_unit && column.unit_text != "-") {
      table.remarks.push_back(form.where("columns") + ": unit '" + column.unit_text + "' of " + column.name +
                              " is not known; such as -, x, %, 1/s, ms, tokens, 1e3 tokens, GiB, 1e12 FLOP/s per GPU, "
                              "bytes per layer; its figures are not predicted");
    }
  }
  std::size_t read_as_numbers = 0;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    for (const auto &[column, printed] : table.rows[row].printed) {
      const auto number = table.number(row, column);
      if (number && ++read_as_numbers == 1) {
        table.remarks.push_back(table.where + ".rows[" + std::to_string(row) + "]." + table.columns[column].name +
                                " '" + printed + "' is read as " + Json(*number).dump() +
                                ", and other texts with numbers likewise");
      }
    }
  }
  for (const Column &column : table.columns) {
    const NameParts parts = parse_name(column.name);
    // "tokens" and "bytes" in a name say what is counted, "ktokens" and "ms" in what.
    const bool is_exact = parts.scale != 1.0 || parts.dimension == "s";
    if (parts.scale > 0.0 && is_exact && parts.dimension == column.unit.dimension && parts.scale != column.unit.scale) {
      table.remarks.push_back(form.where("columns") + ": the name of " + column.name + " says another unit than '" +
                              column.unit_text + "', which is taken");
    }
  }
  table.unclear_setting = unclear_setting(table);
  if (!table.unclear_setting.empty()) {
    table.remarks.push_back(table.unclear_setting + "; no model is used for the table");
  }
  for (std::string &fault : unreadable_formulas(table)) {
    table.remarks.push_back(std::move(fault));
  }
}

/// Sizes by the document itself, before anything is computed from it.
void count_work(const ObjectReader &form, WorkLimits &limits) {
  const auto size_of = [&](const char *key) { return form.has(key) ? form.any(key).size() : 0; };
  limits.add(form.where(), size_of("rows"), size_of("columns"), size_of("reference_formula"));
}

Table read_table(const ObjectReader &form, const std::vector<std::string> &further_fields, WorkLimits &limits) {
  count_work(form, limits);
  Table table;
  table.where = form.where();
  table.id = form.text("id");
  table.title = form.text_or("title", "");
  const ObjectReader source = form.object("source");
  table.work = source.text("work");
  table.source_table = source.text_or("table", "");
  source.finish();
  table.trust = form.text_or("trust", "");
  require_plain_text(table.id, form.where("id"));
  require_plain_text(table.title, form.where("title"));
  require_plain_text(table.work, source.where("work"));
  require_plain_text(table.source_table, source.where("table"));
  table.setup = form.has("setup") && !form.any("setup").is_null() ? form.any("setup") : Json::object();
  if (!table.setup.is_object()) {
    form.refuse("setup", "must be an object");
  }
  table.columns = read_columns(form);
  table.rows = read_rows(form, table.columns);
  if (form.has("notes")) {
    table.notes = form.texts("notes");
  }
  read_formulas(form, table);
  settle_settings(table);
  check_sizes(table);
  note_what_is_not_used(form, table);
  for (const std::string &field : further_fields) {
    form.allow(field);
  }
  form.finish();
  return table;
}

} // namespace

std::optional<std::size_t> Table::column(std::string_view name) const {
  const auto found =
      std::find_if(columns.begin(), columns.end(), [&](const Column &entry) { return entry.name == name; });
  return found == columns.end() ? std::nullopt
                                : std::optional(static_cast<std::size_t>(std::distance(columns.begin(), found)));
}

std::optional<double> Table::number(std::size_t row, std::size_t column) const {
  const auto *value = std::get_if<double>(&rows[row].values[column]);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<std::string> Table::text(std::size_t row, std::size_t column) const {
  const auto *value = std::get_if<std::string>(&rows[row].values[column]);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::vector<Table> read_published_tables(const Json &document, const std::string &source) {
  report::require_schema(document, source, "ringscale.published-tables", 1);
  const ObjectReader form(document, source);
  for (const char *known : {"schema", "schema_version", "description", "trust_levels", "field_order"}) {
    form.allow(known);
  }
  const std::vector<std::string> fields =
      form.has("field_order") ? form.texts("field_order") : std::vector<std::string>{};
  std::vector<Table> tables;
  std::set<std::string> ids;
  WorkLimits limits;
  for (const ObjectReader &entry : form.objects("tables")) {
    tables.push_back(read_table(entry, fields, limits));
    if (!ids.insert(tables.back().id).second) {
      entry.refuse("id", "is '" + tables.back().id + "', met twice");
    }
  }
  if (tables.empty()) {
    form.refuse("tables", "is empty");
  }
  form.finish();
  return tables;
}

std::vector<Table> read_published_tables(const std::filesystem::path &file) {
  return read_published_tables(report::read_json_file(file), file.string());
}

} // namespace ringscale::validation
