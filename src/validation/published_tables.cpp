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
#include "validation/closed_forms.hpp"
#include "validation/setting_rules.hpp"

namespace ringscale::validation {

using problem::InvalidInput;
using report::Json;
using report::ObjectReader;

namespace {

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
  if (text.find('*') == std::string::npos) {
    return false;
  }
  try {
    return !claims::Expression(text, where).names().empty();
  } catch (const InvalidInput &) {
    return false;
  }
}

Value read_value(const Json &value, Column &column, bool first, const std::string &where) {
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
  if (!value.is_number() || column.is_formula) {
    throw InvalidInput(where + " must be " + (column.is_formula ? "a formula" : "a number") +
                       " or null: its column has unit '" + column.unit_text + "'");
  }
  return value.get<double>();
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
      row.values.push_back(read_value(entry.any(column.name), column, !met[index], entry.where(column.name)));
      met[index] = met[index] || !std::holds_alternative<std::monostate>(row.values.back());
    }
    row.missing_reason = entry.text_or("missing_reason", "");
    entry.finish();
    rows.push_back(std::move(row));
  }
  if (rows.empty()) {
    form.refuse("rows", "is empty");
  }
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
    if (column.unit.dimension == unknown_unit) {
      table.remarks.push_back(form.where("columns") + ": unit '" + column.unit_text + "' of " + column.name +
                              " is not known; such as -, x, %, 1/s, ms, tokens, 1e3 tokens, GiB, 1e12 FLOP/s per GPU, "
                              "bytes per layer; its figures are not predicted");
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

Table read_table(const ObjectReader &form, const std::vector<std::string> &further_fields) {
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
  for (const ObjectReader &entry : form.objects("tables")) {
    tables.push_back(read_table(entry, fields));
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
