// SPDX-License-Identifier: Apache-2.0
#include "claims/accept_range.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "problem/invalid_input.hpp"

namespace ringscale::claims {

namespace {
constexpr double infinity = std::numeric_limits<double>::infinity();
}

double decades_above(double value, double limit) {
  if (value == limit) {
    return 0.0;
  }
  if (value == infinity || limit == 0.0) {
    return largest_margin;
  }
  if (value == 0.0 || limit == infinity) {
    return -largest_margin;
  }
  return std::clamp(std::log10(value / limit), -largest_margin, largest_margin);
}

AcceptRange::AcceptRange(const report::ObjectReader &form, const NameScope &scope) : where_(form.where()) {
  const auto read = [&](const std::string &key) -> std::optional<Expression> {
    if (!form.has(key)) {
      return std::nullopt;
    }
    const report::Json &value = form.any(key);
    if (!value.is_string() && !value.is_number()) {
      form.refuse(key, "must be a number or an expression");
    }
    Expression expression(value.is_string() ? value.get<std::string>() : value.dump(), form.where(key));
    scope.require_names(expression, form.where(key));
    return expression;
  };
  low_ = read("low");
  high_ = read("high");
  form.finish();
  if (!low_ && !high_) {
    throw problem::InvalidInput(where_ + " must give low, high or both");
  }
}

AcceptRange::Limits AcceptRange::limits(const NameScope &scope) const {
  const Limits limits{low_ ? low_->evaluate(scope.lookup()) : -infinity,
                      high_ ? high_->evaluate(scope.lookup()) : infinity};
  if (!(limits.low <= limits.high)) {
    throw problem::InvalidInput(where_ + ": low is " + shown(limits.low) + " and high is " + shown(limits.high) +
                                "; low must not be above high");
  }
  return limits;
}

std::string shown(const AcceptRange::Limits &limits) {
  if (limits.low == -infinity) {
    return "at most " + shown(limits.high);
  }
  if (limits.high == infinity) {
    return "at least " + shown(limits.low);
  }
  return "in [" + shown(limits.low) + ", " + shown(limits.high) + "]";
}

Finding find_in_range(double low, double value, double high, const AcceptRange::Limits &limits) {
  if (!(low <= value && value <= high)) {
    return Finding::undecided; // NaN lands here too
  }
  if (low >= limits.low && high <= limits.high) {
    return Finding::agrees;
  }
  return high < limits.low || low > limits.high ? Finding::contradicts : Finding::undecided;
}

double margin_in_decades(double value, const AcceptRange::Limits &limits) {
  double margin = largest_margin;
  if (limits.low > 0.0) {
    margin = std::min(margin, decades_above(value, limits.low));
  }
  if (limits.high < infinity) {
    margin = std::min(margin, decades_above(std::max(limits.high, 0.0), value));
  }
  return margin;
}

Outcome join(const std::vector<PartialFinding> &parts, MustHold must_hold) {
  Outcome outcome;
  if (parts.empty()) {
    outcome.reason = "no figure to judge";
    return outcome;
  }
  const auto count = [&](Finding finding) {
    return std::count_if(parts.begin(), parts.end(), [&](const auto &part) { return part.finding == finding; });
  };
  const auto agreeing = count(Finding::agrees);
  const auto total = static_cast<std::ptrdiff_t>(parts.size());
  if (must_hold == MustHold::all) {
    outcome.finding = count(Finding::contradicts) > 0 ? Finding::contradicts
                      : agreeing == total             ? Finding::agrees
                                                      : Finding::undecided;
  } else {
    outcome.finding = agreeing > 0                           ? Finding::agrees
                      : count(Finding::contradicts) == total ? Finding::contradicts
                                                             : Finding::undecided;
  }
  // The figure that decides: the worst of those with the joint finding where all must hold, else the best.
  const PartialFinding *deciding = nullptr;
  for (const auto &part : parts) {
    if (part.finding != outcome.finding) {
      continue;
    }
    const bool better = deciding == nullptr ||
                        (must_hold == MustHold::all ? part.margin < deciding->margin : part.margin > deciding->margin);
    deciding = better ? &part : deciding;
  }
  if (deciding != nullptr) {
    outcome.margin = outcome.finding == Finding::undecided ? 0.0 : deciding->margin;
    outcome.reason = deciding->reason;
  }
  if (total > 1) {
    outcome.reason += "; " + std::to_string(agreeing) + " of " + std::to_string(total) + " figures agree, " +
                      std::to_string(count(Finding::contradicts)) + " contradict";
  }
  return outcome;
}

} // namespace ringscale::claims
