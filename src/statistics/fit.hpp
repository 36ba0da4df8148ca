// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

namespace ringscale::statistics {

/// y = intercept + slope x by (weighted) least squares, with what is left over.
struct LineFit {
  double intercept = 0.0;
  double slope = 0.0;
  double intercept_standard_error = 0.0; ///< 0 for fewer than three points
  double slope_standard_error = 0.0;     ///< 0 for fewer than three points
  double r_squared = 0.0;                ///< weighted coefficient of determination
  double max_relative_residual = 0.0;    ///< largest |y - fit| / |y|
  double median_relative_residual = 0.0;

  double at(double x) const { return intercept + slope * x; }
};

/// Least squares with optional weights (1/variance, any common factor). Weights 1/y^2 fit relative residuals, which
/// suits times over decades. Throws std::invalid_argument for fewer than two different x, lengths that differ,
/// weights that are not positive or values that are not finite.
LineFit fit_line(std::span<const double> x, std::span<const double> y, std::span<const double> weights = {});

/// y = factor x^exponent.
struct PowerFit {
  double factor = 0.0;
  double exponent = 0.0;
  double exponent_standard_error = 0.0; ///< 0 for fewer than three points
  double r_squared = 0.0;               ///< of log y on log x
  double max_relative_residual = 0.0;   ///< largest |y - fit| / y, in y, not in its logarithm

  double at(double x) const;
};

/// Least squares of log y on log x. Throws std::invalid_argument as fit_line, and for x or y that is not positive.
PowerFit fit_power(std::span<const double> x, std::span<const double> y);

} // namespace ringscale::statistics
