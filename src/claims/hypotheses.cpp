// SPDX-License-Identifier: Apache-2.0
#include "claims/hypotheses.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "problem/invalid_input.hpp"

namespace ringscale::claims {

using problem::InvalidInput;
using report::Json;

namespace {

using Column = std::vector<double>;

double dot(const Column &left, const Column &right) {
  double sum = 0.0;
  for (std::size_t index = 0; index < left.size(); ++index) {
    sum += left[index] * right[index];
  }
  return sum;
}

/// Least squares by modified Gram-Schmidt; empty when a column depends on those before it. `target` becomes the
/// residual.
std::vector<double> least_squares(std::vector<Column> columns, Column &target) {
  const std::size_t count = columns.size();
  std::vector<Column> triangle(count, Column(count, 0.0));
  std::vector<double> projection(count, 0.0);
  constexpr double dependent = 1e-10;
  for (std::size_t j = 0; j < count; ++j) {
    const double before = std::sqrt(dot(columns[j], columns[j]));
    for (std::size_t i = 0; i < j; ++i) {
      triangle[i][j] = dot(columns[i], columns[j]);
      for (std::size_t row = 0; row < target.size(); ++row) {
        columns[j][row] -= triangle[i][j] * columns[i][row];
      }
    }
    triangle[j][j] = std::sqrt(dot(columns[j], columns[j]));
    if (!(triangle[j][j] > dependent * before)) {
      return {};
    }
    for (double &entry : columns[j]) {
      entry /= triangle[j][j];
    }
    projection[j] = dot(columns[j], target);
    for (std::size_t row = 0; row < target.size(); ++row) {
      target[row] -= projection[j] * columns[j][row];
    }
  }
  for (std::size_t j = count; j-- > 0;) {
    for (std::size_t k = j + 1; k < count; ++k) {
      projection[j] -= triangle[j][k] * projection[k];
    }
    projection[j] /= triangle[j][j];
  }
  return projection;
}

NameScope row_scope(const Context &context, const Json &row) {
  NameScope scope;
  if (!row.is_null()) {
    scope.add_values(row);
  }
  scope.add_values(context.values);
  scope.add_constants(context.ledger_constants);
  return scope;
}

/// The owner's numbers, or the rows that the hypotheses bring themselves.
SeriesOwner with_own_rows(const report::ObjectReader &form, const SeriesOwner &owner) {
  if (!form.has("rows")) {
    return owner;
  }
  for (const auto &row : form.objects("rows")) {
    static_cast<void>(row.text("source"));
  }
  return {{{"rows", form.any("rows")}}, owner.place};
}

NameScope owner_scope(const SeriesOwner &owner, const Json &ledger_constants) {
  NameScope scope;
  scope.add_values(owner.values);
  scope.add_constants(ledger_constants);
  return scope;
}

HypothesisFit fit_model(const Hypothesis &model, const Figures &series, const Context &context, double resolution) {
  const auto points = series.figures.size();
  HypothesisFit fit;
  fit.name = model.name;
  fit.explains = model.explains;
  fit.fitted_constants = static_cast<int>(model.fitted.size());
  // Every equation is divided by y, so that residuals are relative over a series that spans decades.
  Column target(points);
  std::vector<Column> columns(model.fitted.size(), Column(points));
  for (std::size_t point = 0; point < points; ++point) {
    const Figure &figure = series.figures[point];
    const NameScope scope = row_scope(context, figure.fields);
    const double fixed = model.fixed ? model.fixed->evaluate(scope.lookup()) : 0.0;
    target[point] = (figure.value - fixed) / figure.value;
    for (std::size_t term = 0; term < columns.size(); ++term) {
      columns[term][point] = model.fitted[term].second.evaluate(scope.lookup()) / figure.value;
    }
  }
  const auto constants = least_squares(columns, target);
  const double n = static_cast<double>(points);
  const double k = static_cast<double>(fit.fitted_constants);
  fit.determined = constants.size() == model.fitted.size() && points > model.fitted.size();
  for (std::size_t term = 0; term < constants.size(); ++term) {
    fit.constants[model.fitted[term].first] = constants[term];
    fit.physical = fit.physical && constants[term] >= 0.0;
  }
  const double sum = dot(target, target);
  fit.relative_residual_rms = std::sqrt(sum / n);
  fit.residual_per_degree_of_freedom = fit.determined ? std::sqrt(sum / (n - k)) : 0.0;
  fit.bayes_information_criterion = n * std::log(std::max(sum / n, resolution * resolution)) + k * std::log(n);
  fit.determined = fit.determined && std::isfinite(fit.bayes_information_criterion);
  return fit;
}

} // namespace

HypothesisSet::HypothesisSet(const report::ObjectReader &form, const SeriesOwner &owner, const Json &ledger_constants)
    : owner_(with_own_rows(form, owner)), series_(form, "series", owner_scope(owner_, ledger_constants)),
      relative_resolution_(form.number("relative_resolution", 1e-12, 0.5)) {
  form.allow("of_claim");
  for (const auto &entry : form.objects("models")) {
    Hypothesis model;
    model.name = entry.text("name");
    model.explains = entry.text("explains");
    if (entry.has("fixed")) {
      model.fixed = Expression(entry.text("fixed"), entry.where("fixed"));
    }
    if (entry.has("fitted")) {
      for (const auto &[constant, term] : entry.any("fitted").items()) {
        if (!term.is_string()) {
          entry.refuse("fitted", "must name constants with an expression each");
        }
        model.fitted.emplace_back(constant, Expression(term.get<std::string>(), entry.where("fitted." + constant)));
      }
    }
    if (!model.fixed && model.fitted.empty()) {
      throw InvalidInput(entry.where() + " must give fixed, fitted or both");
    }
    entry.finish();
    if (knows(model.name)) {
      entry.refuse("name", "'" + model.name + "' is there twice");
    }
    models_.push_back(std::move(model));
  }
  form.finish();
  if (models_.size() < 2) {
    throw InvalidInput(form.where("models") + " must hold at least two models to compare");
  }
}

bool HypothesisSet::knows(const std::string &name) const {
  return std::any_of(models_.begin(), models_.end(), [&](const Hypothesis &model) { return model.name == name; });
}

HypothesisRanking HypothesisSet::rank(const Context &asking) const {
  HypothesisRanking ranking;
  const Context context{owner_.values, asking.check_constants, asking.ledger_constants, owner_.place, asking.rows};
  const Figures series = series_.figures(context);
  for (const Figure &figure : series.figures) {
    if (!(figure.value > 0.0) || !std::isfinite(figure.value)) {
      return {}; // a series with a missing or impossible number ranks nothing
    }
    ranking.evidence.push_back(figure.evidence);
  }
  if (series.figures.empty()) {
    return {};
  }
  for (const Hypothesis &model : models_) {
    ranking.fits.push_back(fit_model(model, series, context, relative_resolution_));
  }
  const auto usable = [](const HypothesisFit &fit) { return fit.determined && fit.physical; };
  std::stable_sort(ranking.fits.begin(), ranking.fits.end(), [&](const auto &left, const auto &right) {
    if (usable(left) != usable(right)) {
      return usable(left);
    }
    return left.bayes_information_criterion < right.bayes_information_criterion;
  });
  const double best = ranking.fits.front().bayes_information_criterion;
  int rank = 0;
  for (HypothesisFit &fit : ranking.fits) {
    const bool tied = usable(fit) && fit.bayes_information_criterion - best < indistinguishable_difference;
    ++rank;
    fit.rank = tied ? 1 : rank;
  }
  return ranking;
}

Json hypotheses_json(const HypothesisRanking &ranking) {
  Json list = Json::array();
  const auto number = [](double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); };
  for (const HypothesisFit &fit : ranking.fits) {
    Json constants = Json::object();
    for (const auto &[name, value] : fit.constants) {
      constants[name] = number(value);
    }
    list.push_back({{"rank", fit.rank},
                    {"model", fit.name},
                    {"explains", fit.explains},
                    {"relative_residual_rms", number(fit.relative_residual_rms)},
                    {"residual_per_degree_of_freedom", number(fit.residual_per_degree_of_freedom)},
                    {"bayes_information_criterion", number(fit.bayes_information_criterion)},
                    {"fitted_constants", constants},
                    {"number_of_fitted_constants", fit.fitted_constants},
                    {"points", ranking.evidence.size()},
                    {"determined", fit.determined},
                    {"physical", fit.physical}});
  }
  return list;
}

} // namespace ringscale::claims
