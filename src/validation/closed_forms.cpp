// SPDX-License-Identifier: Apache-2.0
#include "validation/closed_forms.hpp"

#include <algorithm>
#include <optional>

#include "claims/expression.hpp"
#include "validation/device_words.hpp"
#include "validation/formula.hpp"
#include "validation/table_facts.hpp"
#include "validation/unit.hpp"

namespace ringscale::validation {

namespace {

bool all_in(const std::vector<std::string> &needed, const std::vector<std::string> &words) {
  return !needed.empty() &&
         std::all_of(needed.begin(), needed.end(), [&](const std::string &word) { return has_word(words, word); });
}

std::optional<double> variable(std::string_view name) {
  static const std::vector<std::pair<std::string_view, double>> layer{{"s", 65536.0}, {"n", 32.0},  {"h", 4096.0},
                                                                      {"c", 4096.0},  {"d", 128.0}, {"a", 32.0}};
  for (const auto &[letter, value] : layer) {
    if (letter == name) {
      return value;
    }
  }
  return 1.0;
}

} // namespace

double value_of_printed_formula(const std::string &text) {
  return claims::Expression(text, "formula").evaluate(variable);
}

namespace {

/// The largest of the row's formulas beside the column of totals.
std::optional<double> largest_part(const Table &table, std::size_t row, std::size_t total) {
  std::optional<double> largest;
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    const auto text = column != total && table.columns[column].is_formula ? table.text(row, column) : std::nullopt;
    if (text) {
      largest = std::max(largest.value_or(0.0), value_of_printed_formula(*text));
    }
  }
  return largest;
}

/// The value of the formula whose name has all words of a label of the row and says bytes.
std::optional<std::pair<double, std::string>> formula_of_label(const Table &table, std::size_t row) {
  for (const auto &[name, text] : table.formulas) {
    const NameParts key = parse_name(name);
    const auto formula = Formula::parse(text);
    if (!formula || key.dimension != "byte") {
      continue;
    }
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      const auto label = table.text(row, column);
      if (label && !table.columns[column].is_formula && all_in(words_of(*label), key.stem)) {
        return std::pair(formula->evaluate(variable), text);
      }
    }
  }
  return std::nullopt;
}

void accept(Prediction &prediction, double value, const std::string &method) {
  prediction.role = Role::predicted;
  prediction.value = value;
  prediction.kind = "analytic";
  prediction.method = method;
}

void predict_block(const RowFacts &facts, const Column &column, const machine::Machine *machine,
                   Prediction &prediction) {
  // Bandwidth and peak stand in the row, in base units by the columns' units; else in the machine file.
  auto peak = facts.number({"peak_tflops", "peak"});
  auto bandwidth = facts.number({"bandwidth_gb_per_s", "bandwidth", "interconnect_bandwidth_gb_per_s"});
  if (machine != nullptr) {
    peak = peak ? peak : std::optional(machine->device.peak_flop_per_s.value);
    bandwidth = bandwidth ? bandwidth : std::optional(machine->links.front().bandwidth_bytes_per_s.value);
  }
  if (!peak || !bandwidth || !(*bandwidth > 0.0)) {
    prediction.reason = "the row gives no peak or no bandwidth";
    return;
  }
  const double bytes = facts.number({"element_bytes"}).value_or(2.0);
  const double block = bytes * *peak / (2.0 * *bandwidth);
  const bool sequence = has_word(column.words, "sequence") || has_word(column.words, "seq");
  accept(prediction, (sequence ? 6.0 : 1.0) * block / column.unit.scale,
         sequence ? "6 element_bytes peak / (2 bandwidth)" : "element_bytes peak / (2 bandwidth)");
}

void predict_flop_ratio(const RowFacts &facts, Prediction &prediction) {
  const auto hidden = facts.number({"hidden_size", "hidden", "embed_dim"});
  const auto context = facts.number({"context_tokens", "sequence_tokens", "tokens", "context_ktokens"});
  const auto reference = facts.number({"reference_context_tokens", "baseline_context_tokens"});
  if (!hidden || !context || !reference) {
    prediction.reason = "the row and the setup give no hidden_size, context or reference context";
    return;
  }
  accept(prediction, (6.0 * *hidden + *context) / (6.0 * *hidden + *reference), "(6 h + s) / (6 h + s0)");
}

} // namespace

void predict_printed_formulas(const Table &table, std::vector<Prediction> &predictions) {
  for (Prediction &prediction : predictions) {
    const Column &column = table.columns[prediction.column];
    if (!column.is_formula || prediction.role != Role::not_predicted) {
      continue;
    }
    prediction.reason = "a formula as printed; the table gives no reference formula for it";
    if (has_word(column.words, "total")) {
      if (const auto found = formula_of_label(table, prediction.row)) {
        accept(prediction, found->first, found->second);
        prediction.reason.clear();
      } else if (const auto part = largest_part(table, prediction.row, prediction.column)) {
        accept(prediction, *part, "the largest of the row's other formulas");
        prediction.reason.clear();
      }
    }
  }
}

void predict_closed_forms(const Table &table, const std::vector<machine::Machine> &machines,
                          std::vector<Prediction> &predictions) {
  for (Prediction &prediction : predictions) {
    const Column &column = table.columns[prediction.column];
    const RowFacts facts(table, prediction.row);
    if (column.unit.dimension == "token" && has_word(column.words, "min")) {
      predict_block(facts, column, machine_of(table, prediction.row, prediction.column, machines).machine, prediction);
    } else if (column.unit.dimension == "x" && (has_word(column.words, "flops") || has_word(column.words, "flop"))) {
      predict_flop_ratio(facts, prediction);
    }
  }
}

} // namespace ringscale::validation
