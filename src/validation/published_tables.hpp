// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "report/json.hpp"
#include "validation/name_unit.hpp"
#include "validation/unit.hpp"

namespace ringscale::validation {

/// One entry of a row: nothing (null in the file), a number, a text or a truth value.
using Value = std::variant<std::monostate, double, std::string, bool>;

struct Column {
  std::string name;
  std::string unit_text;
  Unit unit;
  std::string meaning;
  bool derived = false;           ///< computed by whoever wrote the table down, not printed in the source
  bool is_formula = false;        ///< its cells are formulas as printed
  std::vector<std::string> words; ///< of the name
  NameParts parts;                ///< of the name
};

struct Row {
  std::vector<Value> values; ///< one a column
  std::string missing_reason;
  std::map<std::size_t, std::string> printed; ///< texts such as OOM where a column of numbers has no figure
};

/// A published table as data. Numbers are in the units of their columns.
struct Table {
  std::string id;
  std::string title;
  std::string work;
  std::string source_table;
  std::string trust;
  report::Json setup;
  std::vector<Column> columns;
  std::vector<Row> rows;
  std::vector<std::string> notes;
  std::vector<std::pair<std::string, std::string>> formulas; ///< reference_formula: name and text
  std::string where;                                         ///< "file: $.tables[3]"
  std::string unclear_setting;      ///< that a model could only misread, so none is used; empty: all are clear
  std::vector<std::string> remarks; ///< what of the table was not used, and why

  /// Index of a column, or nothing.
  std::optional<std::size_t> column(std::string_view name) const;
  /// The number of a cell in the unit of its column.
  std::optional<double> number(std::size_t row, std::size_t column) const;
  /// The text of a cell.
  std::optional<std::string> text(std::size_t row, std::size_t column) const;
};

/// Reads a document of schema ringscale.published-tables. Throws problem::InvalidInput with one line that names file
/// and path: unknown keys and units, a column that a row lacks (null is for missing values), a text where a number
/// belongs, ids and names met twice, no tables, columns or rows.
std::vector<Table> read_published_tables(const report::Json &document, const std::string &source);
std::vector<Table> read_published_tables(const std::filesystem::path &file);

} // namespace ringscale::validation
