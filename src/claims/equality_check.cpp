// SPDX-License-Identifier: Apache-2.0
// equality_within_bound: figures must equal expected ones up to a bound. arithmetic: two expressions of the claim's
// own numbers must.
#include <algorithm>
#include <cmath>
#include <utility>

#include "claims/accept_range.hpp"
#include "claims/check_kinds.hpp"
#include "claims/paired_figures.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::claims {

using report::ObjectReader;

namespace {

/// Either an absolute bound (an expression) or a fraction of the expected figure.
struct Bound {
  std::optional<Expression> absolute;
  double relative = 0.0;

  double at(double expected, const NameScope &scope) const {
    return absolute ? absolute->evaluate(scope.lookup()) : relative * std::abs(expected);
  }
};

PartialFinding judge_difference(const Figure &figure, const Figure &expected, double bound, const std::string &label) {
  const double difference = std::abs(figure.value - expected.value);
  // The interval of the difference, by the ends of both figures.
  const double farthest = std::max(std::abs(figure.high - expected.low), std::abs(figure.low - expected.high));
  const bool overlap = figure.low <= expected.high && expected.low <= figure.high;
  const double nearest =
      overlap ? 0.0 : std::min(std::abs(figure.high - expected.low), std::abs(figure.low - expected.high));
  PartialFinding part{Finding::undecided, 0.0, ""};
  part.reason = label + (label.empty() ? "" : ": ") + "|" + shown(figure.value) + " - " + shown(expected.value) +
                "| = " + shown(difference) + ", bound " + shown(bound);
  if (!std::isfinite(difference) || !std::isfinite(farthest) || !(bound >= 0.0)) {
    part.reason += ": no number, no judgement";
    return part;
  }
  if (farthest <= bound) {
    part.finding = Finding::agrees;
  } else if (nearest > bound) {
    part.finding = Finding::contradicts;
  } else {
    part.reason += "; the interval straddles the bound, more repetitions would decide";
  }
  part.margin = difference == 0.0 ? largest_margin : decades_above(bound, difference);
  return part;
}

class EqualityCheck final : public Check {
public:
  EqualityCheck(const ObjectReader &form, Quantity figure, Quantity expected, Bound bound,
                std::vector<std::string> pair_by)
      : Check(form, Meaning::refuted), figure_(std::move(figure)), expected_(std::move(expected)),
        bound_(std::move(bound)), pair_by_(std::move(pair_by)) {}

private:
  Outcome examine(const Context &context, const std::optional<HypothesisSet> &) const override {
    const PairedFigures paired = pair_figures(figure_, expected_, pair_by_, context);
    Outcome outcome;
    if (paired.pairs.empty()) {
      outcome.reason = paired.missing;
    } else {
      std::vector<PartialFinding> parts;
      std::vector<Evidence> evidence;
      std::vector<const report::Json *> rows;
      for (const auto &pair : paired.pairs) {
        rows.push_back(&pair.first.fields);
      }
      const auto telling = differing_fields(rows, pair_by_);
      for (const auto &[figure, expected] : paired.pairs) {
        parts.push_back(judge_difference(figure, expected, bound_.at(expected.value, context.scope()),
                                         fields_text(figure.fields, telling)));
        add_evidence(evidence, figure.evidence);
        add_evidence(evidence, expected.evidence);
      }
      outcome = join(parts, MustHold::all);
      outcome.evidence = std::move(evidence);
    }
    outcome.invalid_rows = paired.invalid_rows;
    return outcome;
  }

  Quantity figure_, expected_;
  Bound bound_;
  std::vector<std::string> pair_by_;
};

Bound read_bound(const ObjectReader &form, const NameScope &scope) {
  Bound bound;
  if (form.has("bound") == form.has("relative_bound")) {
    throw problem::InvalidInput(form.where() + " must give bound or relative_bound, one of them");
  }
  if (form.has("relative_bound")) {
    bound.relative = form.number("relative_bound", 0.0, 1e6);
    return bound;
  }
  const report::Json &value = form.any("bound");
  if (!value.is_string() && !value.is_number()) {
    form.refuse("bound", "must be a number or an expression");
  }
  bound.absolute = Expression(value.is_string() ? value.get<std::string>() : value.dump(), form.where("bound"));
  scope.require_names(*bound.absolute, form.where("bound"));
  return bound;
}

} // namespace

std::unique_ptr<Check> make_equality_check(const ObjectReader &form, const NameScope &scope, const HypothesisSet *) {
  Quantity figure(form, "figure", scope);
  Quantity expected(form, "expected", scope);
  return std::make_unique<EqualityCheck>(form, std::move(figure), std::move(expected), read_bound(form, scope),
                                         form.has("pair_by") ? form.texts("pair_by") : std::vector<std::string>{});
}

std::unique_ptr<Check> make_arithmetic_check(const ObjectReader &form, const NameScope &scope, const HypothesisSet *) {
  Quantity left(form, "left", scope);
  Quantity right(form, "right", scope);
  Bound bound;
  bound.relative = form.number("relative_tolerance", 0.0, 10.0);
  const bool by_rows = form.has("pair_by");
  return std::make_unique<EqualityCheck>(form, std::move(left), std::move(right), bound,
                                         by_rows ? form.texts("pair_by") : std::vector<std::string>{});
}

} // namespace ringscale::claims
