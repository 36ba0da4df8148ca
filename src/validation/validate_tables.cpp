// SPDX-License-Identifier: Apache-2.0
#include "validation/validate_tables.hpp"

#include <algorithm>
#include <cmath>

#include "statistics/summary.hpp"
#include "validation/arithmetic.hpp"
#include "validation/attention_model.hpp"
#include "validation/attention_ratios.hpp"
#include "validation/closed_forms.hpp"
#include "validation/context_model.hpp"
#include "validation/memory_check.hpp"
#include "validation/run_parts.hpp"
#include "validation/table_facts.hpp"
#include "validation/training_model.hpp"

namespace ringscale::validation {

namespace {

bool has_formula(const std::vector<Table> &tables, const Table &table, std::size_t column) {
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    std::string failure;
    if (evaluate_cell(tables, table, row, column, &failure) || !failure.empty()) {
      return true;
    }
  }
  return false;
}

/// All published figures of a table, those that a formula gives already predicted.
void list_cells(const std::vector<Table> &tables, const Table &table, TableResult &result) {
  std::vector<bool> is_listed(table.columns.size());
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    const Column &candidate = table.columns[column];
    is_listed[column] =
        candidate.unit.dimension != "text" && (is_result(candidate) || has_formula(tables, table, column));
    if (!is_listed[column]) {
      result.settings.push_back(candidate.name);
    }
  }
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      if (!is_listed[column]) {
        continue;
      }
      if (!published_number(table, row, column)) {
        const auto printed = table.rows[row].printed.find(column);
        if (printed == table.rows[row].printed.end()) {
          ++result.summary.missing;
        } else {
          Prediction prediction;
          prediction.row = row;
          prediction.column = column;
          prediction.printed = printed->second;
          prediction.reason = "printed as '" + printed->second + "'";
          prediction.formula_failed = true; // no model is asked for a figure that is none
          result.predictions.push_back(std::move(prediction));
        }
        continue;
      }
      Prediction prediction;
      prediction.row = row;
      prediction.column = column;
      prediction.reason = "no formula and no model covers it";
      std::string failure;
      if (table.columns[column].unit.dimension == unknown_unit) {
        prediction.reason = table.columns[column].unit_text == "-"
                                ? "the unit that the column's name says is not known"
                                : "unit '" + table.columns[column].unit_text + "' is not known";
        prediction.formula_failed = true;
      } else if (const auto arithmetic = evaluate_cell(tables, table, row, column, &failure)) {
        prediction.role = Role::predicted;
        prediction.value = arithmetic->value;
        prediction.kind = "analytic";
        prediction.method = arithmetic->formula;
        prediction.by_formula = true;
        prediction.reason.clear();
      } else if (!failure.empty()) {
        prediction.reason = failure;
        prediction.formula_failed = true;
      }
      result.predictions.push_back(std::move(prediction));
    }
  }
}

/// A model's infinity or NaN is no prediction.
void require_finite(Prediction &prediction) {
  if (prediction.value && !std::isfinite(*prediction.value)) {
    const std::size_t row = prediction.row;
    const std::size_t column = prediction.column;
    prediction = Prediction{};
    prediction.row = row;
    prediction.column = column;
    prediction.reason = "the model gives no finite number for these settings";
  }
}

/// Hands the cells that are still open to a layer and takes back what it made of them.
template <class Layer> void run_layer(TableResult &result, Layer layer) {
  std::vector<Prediction> open;
  std::vector<std::size_t> places;
  for (std::size_t place = 0; place < result.predictions.size(); ++place) {
    const Prediction &prediction = result.predictions[place];
    const Column &column = result.table->columns[prediction.column];
    if (prediction.role == Role::not_predicted && !prediction.formula_failed && !column.is_formula) {
      if (column.derived) {
        result.predictions[place].reason = "derived by means that the table does not give as a formula";
        continue;
      }
      if (!result.table->unclear_setting.empty()) {
        result.predictions[place].reason = "no model is used: " + result.table->unclear_setting;
        continue;
      }
      open.push_back(prediction);
      places.push_back(place);
    }
  }
  if (open.empty()) {
    return;
  }
  layer(open, result.fits);
  for (std::size_t index = 0; index < open.size(); ++index) {
    if (open[index].role != Role::not_predicted) {
      open[index].reason.clear();
    }
    require_finite(open[index]);
    result.predictions[places[index]] = std::move(open[index]);
  }
}

ErrorSummary errors_of(const std::vector<double> &errors) {
  ErrorSummary summary;
  summary.cells = errors.size();
  if (!errors.empty()) {
    constexpr double ninth_decile = 0.9;
    summary.median = statistics::median(errors);
    summary.ninth_decile = statistics::quantile(errors, ninth_decile);
    summary.largest = *std::max_element(errors.begin(), errors.end());
  }
  return summary;
}

void summarise(TableResult &result) {
  std::vector<double> of_formulas;
  std::vector<double> of_models;
  TableSummary &summary = result.summary;
  for (const Prediction &prediction : result.predictions) {
    summary.predicted += prediction.role == Role::predicted ? 1 : 0;
    summary.fitted += prediction.role == Role::fitted ? 1 : 0;
    summary.not_predicted += prediction.role == Role::not_predicted ? 1 : 0;
    summary.doubted += prediction.doubt.empty() ? 0 : 1;
    if (prediction.memory_check) {
      ++(prediction.memory_check->fits() ? summary.memory_fits : summary.memory_exceeds);
    }
    if (prediction.role == Role::predicted) {
      if (const auto error = relative_error(*result.table, prediction)) {
        (prediction.by_formula ? of_formulas : of_models).push_back(std::abs(*error));
      }
    }
  }
  summary.formulas = errors_of(of_formulas);
  summary.models = errors_of(of_models);
  of_models.insert(of_models.end(), of_formulas.begin(), of_formulas.end());
  summary.all = errors_of(of_models);
}

} // namespace

std::optional<double> published_number(const Table &table, std::size_t row, std::size_t column) {
  if (const auto number = table.number(row, column)) {
    return number;
  }
  const auto text = table.text(row, column);
  if (!text || !table.columns[column].is_formula) {
    return std::nullopt;
  }
  return value_of_printed_formula(*text);
}

std::optional<double> relative_error(const Table &table, const Prediction &prediction) {
  const auto published = published_number(table, prediction.row, prediction.column);
  if (!published || !prediction.value || *published == 0.0) {
    return std::nullopt;
  }
  return *prediction.value / *published - 1.0;
}

std::vector<TableResult> validate_tables(const std::vector<Table> &tables,
                                         const std::vector<machine::Machine> &machines,
                                         const std::vector<ModelShape> &shapes) {
  std::vector<TableResult> results;
  RingWork work;
  for (const Table &table : tables) {
    TableResult result;
    result.table = &table;
    list_cells(tables, table, result);
    predict_printed_formulas(table, result.predictions);
    std::for_each(result.predictions.begin(), result.predictions.end(), require_finite);
    using Cells = std::vector<Prediction>;
    using Fits = std::vector<Fit>;
    run_layer(result, [&](Cells &cells, Fits &fits) { predict_attention(table, machines, cells, fits, work); });
    run_layer(result, [&](Cells &cells, Fits &) { predict_attention_ratios(table, machines, cells, work); });
    run_layer(result, [&](Cells &cells, Fits &) { predict_run_parts(table, machines, cells); });
    run_layer(result, [&](Cells &cells, Fits &fits) { predict_training(table, machines, shapes, cells, fits); });
    run_layer(result, [&](Cells &cells, Fits &fits) { predict_contexts(table, machines, shapes, cells, fits); });
    run_layer(result, [&](Cells &cells, Fits &) { predict_closed_forms(table, machines, cells); });
    check_memory(table, machines, shapes, result.predictions);
    summarise(result);
    results.push_back(std::move(result));
  }
  return results;
}

} // namespace ringscale::validation
