// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "claims/quantity.hpp"

namespace ringscale::claims {

/// One execution model of a series: y = fixed + sum over constants of constant * term, where `fixed` and the terms
/// are expressions over the row, and the constants are fitted.
struct Hypothesis {
  std::string name;
  std::string explains; ///< what would have been executed, in a sentence
  std::optional<Expression> fixed;
  std::vector<std::pair<std::string, Expression>> fitted;
};

/// How well a hypothesis reproduces the series.
struct HypothesisFit {
  std::string name;
  std::string explains;
  std::map<std::string, double> constants;
  int fitted_constants = 0;
  double relative_residual_rms = 0.0;          ///< root of the mean of ((y - model) / y)^2
  double residual_per_degree_of_freedom = 0.0; ///< root of the sum over (points - fitted constants)
  double bayes_information_criterion = 0.0;    ///< n ln(mean square) + k ln n; smaller is better
  bool determined = true; ///< false: no more points than constants, or terms that cannot be told apart
  bool physical = true;   ///< false: a fitted constant is negative, which no cost can be
  int rank = 0;           ///< 1 for the best; hypotheses not told apart from the best share rank 1
};

struct HypothesisRanking {
  std::vector<HypothesisFit> fits; ///< best first
  std::vector<Evidence> evidence;  ///< the points of the series
};

/// The numbers of the claim that a series belongs to.
struct SeriesOwner {
  report::Json values;
  std::string place; ///< "document: section"
};

/// The series of a claim and the models that could have produced it. JSON: {"series": quantity, "relative_resolution":
/// 0.001, "models": [{"name", "explains", "fixed", "fitted": {"tile_s": "ring_size"}}]}. relative_resolution is
/// how precisely the series is printed: no model is credited with a residual below it. "of_claim" names another claim
/// of the ledger when the series stands there; the ledger hands its numbers over as `owner`. "rows" gives a series that
/// is gathered from several places, each row with its "source"; `series` then reads {"each": "rows"}.
class HypothesisSet {
public:
  HypothesisSet(const report::ObjectReader &form, const SeriesOwner &owner, const report::Json &ledger_constants);

  /// Fits every model by least squares of relative residuals and orders them by the Bayesian information criterion
  /// (Schwarz 1978, doi 10.1214/aos/1176344136), models that are not physical or not determined last.
  HypothesisRanking rank(const Context &context) const;
  bool knows(const std::string &name) const;

private:
  SeriesOwner owner_;
  Quantity series_;
  double relative_resolution_ = 0.0;
  std::vector<Hypothesis> models_;
};

/// Difference of the criterion below which two models are not told apart: 2 (Kass and Raftery 1995, "not worth more
/// than a bare mention").
inline constexpr double indistinguishable_difference = 2.0;

report::Json hypotheses_json(const HypothesisRanking &ranking);

} // namespace ringscale::claims
