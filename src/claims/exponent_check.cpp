// SPDX-License-Identifier: Apache-2.0
// fitted_exponent: y = a x^b over selected rows; the interval of b must lie in a range.
#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "claims/accept_range.hpp"
#include "claims/check_kinds.hpp"
#include "claims/paired_figures.hpp"
#include "statistics/fit.hpp"

namespace ringscale::claims {

using report::ObjectReader;

namespace {

/// 97.5 % quantile of Student's t for 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.2); beyond, the
/// value of the last is used, which is wider than the truth.
double student_quantile(std::size_t degrees) {
  static constexpr std::array<double, 30> table{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                                2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                                                2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
  return table[std::min(degrees, table.size()) - 1];
}

struct Group {
  report::Json fields;
  std::vector<double> x, y;
  std::vector<Evidence> evidence;
};

class ExponentCheck final : public Check {
public:
  ExponentCheck(const ObjectReader &form, const NameScope &scope)
      : Check(form, Meaning::refuted), points_(form, "points", scope), x_(form.text("x"), form.where("x")),
        accept_(form.object("accept"), scope),
        minimum_points_(static_cast<std::size_t>(form.integer_or("minimum_points", 3, 3, 1000))) {
    if (form.has("group_by")) {
      group_by_ = form.texts("group_by");
    }
  }

private:
  Outcome examine(const Context &context, const std::optional<HypothesisSet> &) const override {
    const Figures figures = points_.figures(context);
    Outcome outcome;
    if (!figures.missing.empty()) {
      outcome.reason = figures.missing;
      outcome.invalid_rows = figures.invalid_rows;
      return outcome;
    }
    const auto limits = accept_.limits(context.scope());
    std::vector<PartialFinding> parts;
    std::vector<Evidence> evidence;
    std::size_t most_points = 0;
    const std::vector<Group> groups = groups_of(figures, context);
    std::vector<const report::Json *> rows;
    for (const Group &group : groups) {
      rows.push_back(&group.fields);
    }
    const auto telling = differing_fields(rows, group_by_);
    for (const Group &group : groups) {
      const std::size_t different = std::set<double>(group.x.begin(), group.x.end()).size();
      most_points = std::max(most_points, different);
      if (different >= minimum_points_) {
        parts.push_back(judge_group(group, fields_text(group.fields, telling), limits, evidence));
      }
    }
    if (parts.empty()) {
      outcome.reason = "at most " + std::to_string(most_points) + " different " + x_.text() +
                       " in a comparable group; " + std::to_string(minimum_points_) + " are needed";
    } else {
      outcome = join(parts, MustHold::all);
      outcome.evidence = std::move(evidence);
    }
    outcome.invalid_rows = figures.invalid_rows;
    return outcome;
  }

  std::vector<Group> groups_of(const Figures &figures, const Context &context) const {
    std::vector<Group> groups;
    for (const Figure &figure : figures.figures) {
      auto group = std::find_if(groups.begin(), groups.end(), [&](const Group &candidate) {
        return group_by_.empty() || same_fields(candidate.fields, figure.fields, group_by_);
      });
      if (group == groups.end()) {
        group = groups.insert(groups.end(), Group{figure.fields, {}, {}, {}});
      }
      NameScope scope;
      scope.add_values(figure.fields);
      scope.add_values(context.values);
      scope.add_constants(context.ledger_constants);
      group->x.push_back(x_.evaluate(scope.lookup()));
      group->y.push_back(figure.value);
      group->evidence.push_back(figure.evidence);
    }
    return groups;
  }

  PartialFinding judge_group(const Group &group, const std::string &label, const AcceptRange::Limits &limits,
                             std::vector<Evidence> &evidence) const {
    PartialFinding part{Finding::undecided, 0.0, label + (label.empty() ? "" : ": ")};
    for (const Evidence &each : group.evidence) {
      add_evidence(evidence, each);
    }
    const auto positive = [](double value) { return value > 0.0 && std::isfinite(value); };
    if (!std::all_of(group.x.begin(), group.x.end(), positive) ||
        !std::all_of(group.y.begin(), group.y.end(), positive)) {
      part.reason += "a point is NaN, zero or negative; no exponent";
      return part;
    }
    const auto fit = statistics::fit_power(group.x, group.y);
    const double half = student_quantile(group.x.size() - 2) * fit.exponent_standard_error;
    const double low = fit.exponent - half;
    const double high = fit.exponent + half;
    part.finding = find_in_range(low, fit.exponent, high, limits);
    const auto [first, last] = std::minmax_element(group.x.begin(), group.x.end());
    // An exponent that is off by delta makes the two ends of the series differ by delta times their distance.
    const double delta = std::min(fit.exponent - limits.low, limits.high - fit.exponent);
    part.margin = std::clamp(delta * std::log10(*last / *first), -largest_margin, largest_margin);
    part.reason += "exponent over " + x_.text() + " " + shown(fit.exponent) + " [" + shown(low) + ", " + shown(high) +
                   "] from " + std::to_string(group.x.size()) + " points; the claim needs it " + shown(limits);
    if (part.finding == Finding::undecided) {
      part.reason += "; the interval straddles the limit, more points would decide";
    }
    evidence.push_back(
        {group.evidence.front().kind,
         "least squares of logarithms over " + std::to_string(group.x.size()) + " points above, Student's t",
         "fitted_exponent", fit.exponent, statistics::Interval{low, high, 0.95}});
    return part;
  }

  Quantity points_;
  Expression x_;
  AcceptRange accept_;
  std::size_t minimum_points_;
  std::vector<std::string> group_by_;
};

} // namespace

std::unique_ptr<Check> make_exponent_check(const ObjectReader &form, const NameScope &scope, const HypothesisSet *) {
  return std::make_unique<ExponentCheck>(form, scope);
}

} // namespace ringscale::claims
