// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "claims/check.hpp"

namespace ringscale::claims {

/// Margins beyond this are cut: 20 decades stand for "exactly" or "not at all".
inline constexpr double largest_margin = 20.0;

/// Decades from `value` down to `limit`: log10(value / limit), cut to +-largest_margin; both at least 0.
double decades_above(double value, double limit);

/// {"low": expression, "high": expression}, at least one of them: what a figure must lie in for the claim to hold.
class AcceptRange {
public:
  /// Throws problem::InvalidInput when neither end is given, or a name is unknown.
  AcceptRange(const report::ObjectReader &form, const NameScope &scope);

  struct Limits {
    double low, high; ///< -infinity, +infinity where not given
  };
  /// Throws problem::InvalidInput when an end is NaN or low > high.
  Limits limits(const NameScope &scope) const;

private:
  std::optional<Expression> low_, high_;
  std::string where_;
};

/// "[0.9, 1.1]", "at least 5", "at most 1".
std::string shown(const AcceptRange::Limits &limits);

/// agrees when [low, high] of the figure lies inside the limits, contradicts when it lies outside altogether;
/// undecided when it straddles one, or anything is NaN.
Finding find_in_range(double low, double value, double high, const AcceptRange::Limits &limits);

/// Margin of a figure that cannot be negative, in decades to the nearest limit.
double margin_in_decades(double value, const AcceptRange::Limits &limits);

/// Joins findings of several figures into one outcome. With `all` one contradiction contradicts and all must agree;
/// otherwise one agreement is enough and all must contradict. `figure_reason` of the deciding figure is quoted.
struct PartialFinding {
  Finding finding;
  double margin;
  std::string reason;
};
enum class MustHold { all, any };
Outcome join(const std::vector<PartialFinding> &parts, MustHold must_hold);

} // namespace ringscale::claims
