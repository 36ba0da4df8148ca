// SPDX-License-Identifier: Apache-2.0
#include "validation/validation_document.hpp"

#include <array>
#include <cmath>
#include <cstdio>

#include "validation/attention_groups.hpp"
#include "validation/table_facts.hpp"

namespace ringscale::validation {

using report::Json;

namespace {

Json or_null(const std::optional<double> &value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

Json errors_to_json(const ErrorSummary &errors) {
  const bool any = errors.cells > 0;
  return {{"cells", errors.cells},
          {"median", any ? Json(errors.median) : Json(nullptr)},
          {"ninth_decile", any ? Json(errors.ninth_decile) : Json(nullptr)},
          {"largest", any ? Json(errors.largest) : Json(nullptr)}};
}

std::string percent(const ErrorSummary &errors, double share) {
  if (errors.cells == 0) {
    return "-";
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f %%", 100.0 * share);
  return text.data();
}

Json row_of(const Table &table, const Prediction &prediction) {
  const Column &column = table.columns[prediction.column];
  const std::string cell = cell_name(table, prediction.row, prediction.column);
  Json row = Json::object();
  row["kind"] = prediction.role == Role::not_predicted ? "published" : prediction.kind;
  row["verb"] = "validate";
  row["point"] = cell;
  row["table"] = table.id;
  row["cell"] = cell;
  row["row"] = prediction.row;
  row["column"] = column.name;
  row["unit"] = column.unit_text;
  row["published"] = or_null(published_number(table, prediction.row, prediction.column));
  if (column.is_formula) {
    row["published_formula"] = table.text(prediction.row, prediction.column).value_or("");
  }
  row["predicted"] = or_null(prediction.value);
  row["relative_error"] = or_null(relative_error(table, prediction));
  row["role"] = name(prediction.role);
  row["origin"] = column.derived ? "derived" : "published";
  row["trust"] = table.trust;
  if (!prediction.read_as.empty()) {
    row["read_as"] = prediction.read_as;
  }
  if (!prediction.doubt.empty()) {
    row["doubt"] = prediction.doubt;
  }
  if (!prediction.printed.empty()) {
    row["published_text"] = prediction.printed;
  }
  if (prediction.memory_check) {
    row["needed_bytes"] = prediction.memory_check->needed_bytes;
    row["device_bytes"] = prediction.memory_check->device_bytes;
    row["fits"] = prediction.memory_check->fits();
  }
  if (prediction.role == Role::not_predicted) {
    row["reason"] = prediction.reason;
  } else {
    row["method"] = prediction.method;
    row["by_formula"] = prediction.by_formula;
  }
  return row;
}

} // namespace

std::string name(Role role) {
  return role == Role::predicted ? "predicted" : role == Role::fitted ? "fitted" : "not_predicted";
}

Json published_rows(const std::vector<TableResult> &results) {
  Json rows = Json::array();
  for (const TableResult &result : results) {
    for (const Prediction &prediction : result.predictions) {
      rows.push_back(row_of(*result.table, prediction));
    }
  }
  return rows;
}

Json table_summaries(const std::vector<TableResult> &results) {
  Json tables = Json::array();
  for (const TableResult &result : results) {
    const TableSummary &summary = result.summary;
    Json entry = Json::object();
    entry["table"] = result.table->id;
    entry["title"] = result.table->title;
    entry["work"] = result.table->work;
    entry["predicted"] = summary.predicted;
    entry["fitted"] = summary.fitted;
    entry["not_predicted"] = summary.not_predicted;
    entry["missing"] = summary.missing;
    entry["doubted"] = summary.doubted;
    entry["memory_exceeds"] = summary.memory_exceeds;
    entry["memory_fits"] = summary.memory_fits;
    entry["errors"] = errors_to_json(summary.all);
    entry["formula_errors"] = errors_to_json(summary.formulas);
    entry["model_errors"] = errors_to_json(summary.models);
    entry["settings"] = result.settings;
    entry["remarks"] = result.table->remarks;
    tables.push_back(std::move(entry));
  }
  return tables;
}

Json fit_rows(const std::vector<TableResult> &results) {
  Json fits = Json::array();
  for (const TableResult &result : results) {
    for (const Fit &fit : result.fits) {
      fits.push_back({{"table", result.table->id},
                      {"name", fit.name},
                      {"value", fit.value},
                      {"unit", fit.unit},
                      {"cells", fit.cells}});
    }
  }
  return fits;
}

std::vector<std::string> summary_lines(const std::vector<TableResult> &results) {
  std::vector<std::string> lines;
  std::array<char, 200> text{};
  std::snprintf(text.data(), text.size(), "%-9s %6s %8s %9s | %8s %9s | %6s %8s %8s %8s", "table", "fitted", "missing",
                "not pred.", "formulas", "largest", "models", "median", "90 %", "largest");
  lines.emplace_back(text.data());
  for (const TableResult &result : results) {
    const TableSummary &summary = result.summary;
    std::snprintf(text.data(), text.size(), "%-9s %6zu %8zu %9zu | %8zu %9s | %6zu %8s %8s %8s",
                  result.table->id.c_str(), summary.fitted, summary.missing, summary.not_predicted,
                  summary.formulas.cells, percent(summary.formulas, summary.formulas.largest).c_str(),
                  summary.models.cells, percent(summary.models, summary.models.median).c_str(),
                  percent(summary.models, summary.models.ninth_decile).c_str(),
                  percent(summary.models, summary.models.largest).c_str());
    lines.emplace_back(text.data());
  }
  return lines;
}

} // namespace ringscale::validation
