// SPDX-License-Identifier: Apache-2.0
#include "claims/quantity.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "problem/invalid_input.hpp"
#include "problem/words.hpp"
#include "statistics/summary.hpp"

namespace ringscale::claims {

using problem::InvalidInput;
using report::Json;

namespace {

constexpr std::array<std::pair<std::string_view, Reduction>, 4> reduction_words{{{"all", Reduction::all},
                                                                                 {"median", Reduction::median},
                                                                                 {"min", Reduction::smallest},
                                                                                 {"max", Reduction::largest}}};
/// Each name with an interval doubles the corners at which a formula is evaluated.
constexpr std::size_t most_interval_names = 4;

/// Ends of a formula over a row: evaluated with every name that has a "<name>_interval" beside it at its low and at
/// its high end. Exact for formulas monotone in each such name, which ratios and products of positive figures are.
void set_interval(Figure &figure, const Expression &formula, const NameScope &scope, const Json &row) {
  std::vector<std::string> uncertain;
  double confidence = 1.0;
  for (const std::string &name : formula.names()) {
    const auto interval = row.find(name + "_interval");
    if (interval == row.end() || !number_at(*interval, "low") || !number_at(*interval, "high")) {
      continue;
    }
    uncertain.push_back(name);
    confidence = std::min(confidence, number_at(*interval, "confidence").value_or(0.0));
  }
  if (uncertain.empty() || uncertain.size() > most_interval_names) {
    return;
  }
  for (std::size_t corner = 0; corner < (std::size_t{1} << uncertain.size()); ++corner) {
    const double value = formula.evaluate([&](std::string_view name) -> std::optional<double> {
      for (std::size_t index = 0; index < uncertain.size(); ++index) {
        if (uncertain[index] == name) {
          return number_at(row[uncertain[index] + "_interval"], (corner >> index & 1U) != 0 ? "high" : "low");
        }
      }
      return scope.find(name);
    });
    figure.low = std::min(figure.low, value);
    figure.high = std::max(figure.high, value);
  }
  figure.evidence.interval = statistics::Interval{figure.low, figure.high, confidence};
}

double median_of(const std::vector<Figure> &figures, double Figure::*member) {
  std::vector<double> values;
  values.reserve(figures.size());
  for (const Figure &figure : figures) {
    if (std::isnan(figure.*member)) {
      return std::numeric_limits<double>::quiet_NaN();
    }
    values.push_back(figure.*member);
  }
  return statistics::median(values);
}

/// One figure out of several; a NaN among them stays a NaN, so that no check can accept it.
Figure reduce(const std::vector<Figure> &figures, Reduction reduction) {
  const auto not_a_number =
      std::find_if(figures.begin(), figures.end(), [](const Figure &each) { return std::isnan(each.value); });
  const auto by_value = [](const Figure &left, const Figure &right) { return left.value < right.value; };
  Figure reduced;
  if (not_a_number != figures.end()) {
    reduced = *not_a_number;
  } else if (reduction == Reduction::median) {
    auto sorted = figures;
    std::sort(sorted.begin(), sorted.end(), by_value);
    reduced = sorted[sorted.size() / 2];
    reduced.value = median_of(figures, &Figure::value);
    reduced.low = median_of(figures, &Figure::low);
    reduced.high = median_of(figures, &Figure::high);
    reduced.evidence.value = reduced.value;
    if (reduced.evidence.interval) {
      reduced.evidence.interval->low = reduced.low;
      reduced.evidence.interval->high = reduced.high;
    }
  } else {
    reduced = reduction == Reduction::smallest ? *std::min_element(figures.begin(), figures.end(), by_value)
                                               : *std::max_element(figures.begin(), figures.end(), by_value);
  }
  if (figures.size() > 1) {
    reduced.evidence.source += " (" + std::string(problem::word_of(reduction_words, reduction)) + " of " +
                               std::to_string(figures.size()) + " rows)";
  }
  return reduced;
}

} // namespace

NameScope Context::scope() const {
  NameScope scope;
  scope.add_constants(check_constants);
  scope.add_values(values);
  scope.add_constants(ledger_constants);
  return scope;
}

Quantity::Quantity(const std::string &formula, const std::string &where)
    : figure_(formula), formula_(std::make_shared<Expression>(formula, where)) {}

Quantity::Quantity(const report::ObjectReader &parent, const std::string &key, const NameScope &scope) {
  const Json &form = parent.any(key);
  const std::string where = parent.where(key);
  if (form.is_string() || form.is_number()) {
    formula_ = std::make_shared<Expression>(form.is_string() ? form.get<std::string>() : form.dump(), where);
    scope.require_names(*formula_, where);
    figure_ = formula_->text();
    return;
  }
  const report::ObjectReader reader = parent.object(key);
  const bool selects = reader.has("select");
  figure_ = selects ? reader.text("figure") : reader.text_or("figure", "");
  source_ = reader.text_or("source", "");
  const std::string formula = selects ? reader.text_or("formula", figure_) : reader.text("formula");
  formula_ = std::make_shared<Expression>(formula, where + ".formula");
  if (figure_.empty()) {
    figure_ = formula;
  }
  if (selects) {
    selector_ = std::make_shared<RowSelector>(reader.any("select"), where + ".select", scope);
    reduction_ = problem::parse_word(where + ".reduce", reduction_words, reader.text_or("reduce", "all"));
    delivered_by_ = reader.text("delivered_by");
  } else if (reader.has("each")) {
    each_ = reader.text("each");
  } else {
    scope.require_names(*formula_, where + ".formula");
  }
  reader.finish();
}

std::string Quantity::derivation(const NameScope &scope, EvidenceKind &kind) const {
  std::string text;
  if (formula_->text() != figure_) {
    text += "; " + figure_ + " = " + formula_->text();
  }
  std::string constants;
  for (const std::string &name : formula_->names()) {
    const auto origin = scope.constant_origin(name);
    if (!origin) {
      continue;
    }
    constants +=
        (constants.empty() ? "" : "; ") + name + " = " + shown(*scope.find(name)) + " (" + origin->source + ")";
    if (origin->kind != EvidenceKind::published && kind == EvidenceKind::published) {
      kind = EvidenceKind::analytic;
    }
  }
  return text + (constants.empty() ? "" : "; with " + constants);
}

Evidence Quantity::analytic_or_published(const Context &context, const NameScope &scope, const Json *fields) const {
  Evidence evidence;
  const auto &names = formula_->names();
  if (names.empty() && figure_ == formula_->text()) {
    return evidence; // a plain number of the check itself is no evidence
  }
  evidence.figure = figure_;
  const bool uses_claim =
      std::any_of(names.begin(), names.end(), [&](const std::string &name) { return !scope.constant_origin(name); });
  if (!source_.empty()) {
    evidence.source = source_;
  } else if (fields != nullptr && fields->contains("source") && (*fields)["source"].is_string()) {
    evidence.source = (*fields)["source"].get<std::string>();
  } else if (uses_claim) {
    evidence.source = context.published_source;
  }
  const std::string how = derivation(scope, evidence.kind);
  evidence.source += evidence.source.empty() && how.size() > 2 ? how.substr(2) : how;
  return evidence;
}

Figure Quantity::figure_of(const Context &context, const NameScope &scope, const Json *fields) const {
  Figure figure;
  figure.value = formula_->evaluate(scope.lookup());
  figure.low = figure.high = figure.value;
  figure.evidence = analytic_or_published(context, scope, fields);
  figure.evidence.value = figure.value;
  if (fields != nullptr) {
    figure.fields = *fields;
  }
  return figure;
}

Figures Quantity::from_results(const Context &context) const {
  Figures found;
  const NameScope outer = context.scope();
  const auto selection = selector_->select(context.rows, outer);
  for (const ResultRow *row : selection.invalid_rows) {
    found.invalid_rows.push_back(row->source);
  }
  std::string without_figure;
  for (const ResultRow *row : selection.rows) {
    NameScope scope;
    scope.add_values(row->row);
    scope.add_constants(context.check_constants);
    scope.add_values(context.values);
    scope.add_constants(context.ledger_constants);
    const auto &names = formula_->names();
    if (!std::all_of(names.begin(), names.end(), [&](const auto &name) { return scope.find(name).has_value(); })) {
      without_figure = row->source;
      continue;
    }
    Figure figure = figure_of(context, scope, &row->row);
    figure.evidence.kind = row->kind;
    figure.evidence.source = row->source + derivation(scope, figure.evidence.kind);
    set_interval(figure, *formula_, scope, row->row);
    found.figures.push_back(std::move(figure));
  }
  if (found.figures.empty()) {
    found.missing = "no row with " + selector_->text() + " and " + figure_ +
                    (without_figure.empty() ? "" : " (" + without_figure + " lacks it)") + "; delivered by " +
                    delivered_by_;
  } else if (reduction_ != Reduction::all) {
    found.figures = {reduce(found.figures, reduction_)};
  }
  return found;
}

Figures Quantity::figures(const Context &context) const {
  if (selector_ != nullptr) {
    return from_results(context);
  }
  Figures found;
  const NameScope outer = context.scope();
  if (each_.empty()) {
    found.figures.push_back(figure_of(context, outer, nullptr));
    return found;
  }
  const auto table = context.values.find(each_);
  if (table == context.values.end() || !table->is_array() || table->empty()) {
    throw InvalidInput(context.published_source + ": the claim's values hold no table '" + each_ + "'");
  }
  for (const Json &row : *table) {
    NameScope scope;
    scope.add_values(row);
    scope.add_constants(context.check_constants);
    scope.add_values(context.values);
    scope.add_constants(context.ledger_constants);
    found.figures.push_back(figure_of(context, scope, &row));
  }
  return found;
}

} // namespace ringscale::claims
