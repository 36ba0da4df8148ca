// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "problem/invalid_input.hpp"
#include "report/json.hpp"
#include "report/machine_document.hpp"
#include "validation/model_shapes.hpp"
#include "validation/published_tables.hpp"
#include "validation/validate_tables.hpp"

namespace ringscale::validation_tests {

using report::Json;

inline std::filesystem::path experiments() { return RINGSCALE_EXPERIMENTS; }

/// Every machine file that ships, in order of their names.
inline const std::vector<machine::Machine> &machines() {
  static const std::vector<machine::Machine> list = [] {
    std::vector<std::filesystem::path> files;
    for (const auto &entry : std::filesystem::directory_iterator(experiments() / "machines")) {
      files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    std::vector<machine::Machine> read;
    for (const auto &file : files) {
      read.push_back(report::read_machine_file(file));
    }
    return read;
  }();
  return list;
}

inline const machine::Machine &machine_named(const std::string &name) {
  return *std::find_if(machines().begin(), machines().end(),
                       [&](const machine::Machine &candidate) { return candidate.name == name; });
}

inline const std::vector<validation::ModelShape> &shapes() {
  static const auto list =
      validation::read_model_shapes(report::read_json_file(experiments() / "published" / "models.json"), "models.json");
  return list;
}

inline const std::vector<validation::Table> &shipped_tables() {
  static const auto list = validation::read_published_tables(experiments() / "published" / "tables.json");
  return list;
}

inline const validation::Table &shipped_table(const std::string &id) {
  return *std::find_if(shipped_tables().begin(), shipped_tables().end(),
                       [&](const validation::Table &table) { return table.id == id; });
}

/// A document with these tables.
inline Json document_of(const Json &tables) {
  Json document = Json::object();
  document["schema"] = "ringscale.published-tables";
  document["schema_version"] = 1;
  document["tables"] = tables;
  return document;
}

inline Json column_of(const std::string &name, const std::string &unit, const std::string &meaning = "",
                      const std::string &origin = "published") {
  Json column = Json::object();
  column["name"] = name;
  column["unit"] = unit;
  column["meaning"] = meaning;
  column["origin"] = origin;
  return column;
}

inline Json table_of(const std::string &id, const Json &setup, const Json &columns, const Json &rows) {
  Json table = Json::object();
  table["id"] = id;
  table["title"] = "a table";
  table["source"] = Json::object();
  table["source"]["work"] = "a work";
  table["trust"] = "high";
  table["setup"] = setup;
  table["columns"] = columns;
  table["rows"] = rows;
  table["reference_formula"] = nullptr;
  return table;
}

inline std::vector<validation::Table> read(const Json &document) {
  return validation::read_published_tables(document, "tables.json");
}

inline std::vector<validation::TableResult> validate(const std::vector<validation::Table> &tables) {
  return validation::validate_tables(tables, machines(), shapes());
}

/// The one line of a refusal, empty when there is none.
template <class Call> std::string refusal(Call call) {
  try {
    call();
  } catch (const problem::InvalidInput &failure) {
    return failure.what();
  }
  return "";
}

} // namespace ringscale::validation_tests
