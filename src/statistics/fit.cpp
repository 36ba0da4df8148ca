// SPDX-License-Identifier: Apache-2.0
#include "statistics/fit.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <vector>

#include "statistics/summary.hpp"

namespace ringscale::statistics {

namespace {

void require_points(std::span<const double> x, std::span<const double> y, std::span<const double> weights) {
  if (x.size() != y.size() || (!weights.empty() && weights.size() != x.size())) {
    throw std::invalid_argument("a fit needs as many y (and weights) as x");
  }
  for (std::size_t index = 0; index < x.size(); ++index) {
    if (!std::isfinite(x[index]) || !std::isfinite(y[index])) {
      throw std::invalid_argument("a fit needs finite points");
    }
    if (!weights.empty() && !(weights[index] > 0.0 && std::isfinite(weights[index]))) {
      throw std::invalid_argument("a fit needs positive weights");
    }
  }
  if (x.empty() || std::all_of(x.begin(), x.end(), [&](double value) { return value == x[0]; })) {
    throw std::invalid_argument("a fit needs at least two different x");
  }
}

double relative_residual(double y, double fitted) {
  const double residual = std::fabs(y - fitted);
  return residual == 0.0 ? 0.0 : residual / std::fabs(y);
}

} // namespace

LineFit fit_line(std::span<const double> x, std::span<const double> y, std::span<const double> weights) {
  require_points(x, y, weights);
  const auto weight = [&](std::size_t index) { return weights.empty() ? 1.0 : weights[index]; };
  double total = 0.0;
  double mean_x = 0.0;
  double mean_y = 0.0;
  for (std::size_t index = 0; index < x.size(); ++index) {
    total += weight(index);
    mean_x += weight(index) * x[index];
    mean_y += weight(index) * y[index];
  }
  mean_x /= total;
  mean_y /= total;
  // Sums about the means: x spans decades, and raw sums of squares would cancel.
  double xx = 0.0;
  double xy = 0.0;
  double yy = 0.0;
  for (std::size_t index = 0; index < x.size(); ++index) {
    xx += weight(index) * (x[index] - mean_x) * (x[index] - mean_x);
    xy += weight(index) * (x[index] - mean_x) * (y[index] - mean_y);
    yy += weight(index) * (y[index] - mean_y) * (y[index] - mean_y);
  }
  LineFit fit;
  fit.slope = xy / xx;
  fit.intercept = mean_y - fit.slope * mean_x;
  double left_over = 0.0;
  std::vector<double> relative(x.size());
  for (std::size_t index = 0; index < x.size(); ++index) {
    const double residual = y[index] - fit.at(x[index]);
    left_over += weight(index) * residual * residual;
    relative[index] = relative_residual(y[index], fit.at(x[index]));
  }
  fit.r_squared = yy > 0.0 ? 1.0 - left_over / yy : 1.0;
  fit.max_relative_residual = *std::max_element(relative.begin(), relative.end());
  fit.median_relative_residual = median(relative);
  if (x.size() > 2) {
    const double variance = left_over / static_cast<double>(x.size() - 2);
    fit.slope_standard_error = std::sqrt(variance / xx);
    fit.intercept_standard_error = std::sqrt(variance * (1.0 / total + mean_x * mean_x / xx));
  }
  return fit;
}

double PowerFit::at(double x) const { return factor * std::pow(x, exponent); }

PowerFit fit_power(std::span<const double> x, std::span<const double> y) {
  const auto logarithms = [](std::span<const double> values) {
    std::vector<double> logs;
    logs.reserve(values.size());
    for (const double value : values) {
      if (!(value > 0.0)) {
        throw std::invalid_argument("a power law needs positive points");
      }
      logs.push_back(std::log(value));
    }
    return logs;
  };
  const LineFit line = fit_line(logarithms(x), logarithms(y));
  PowerFit fit;
  fit.factor = std::exp(line.intercept);
  fit.exponent = line.slope;
  fit.exponent_standard_error = line.slope_standard_error;
  fit.r_squared = line.r_squared;
  for (std::size_t index = 0; index < x.size(); ++index) {
    fit.max_relative_residual = std::max(fit.max_relative_residual, relative_residual(y[index], fit.at(x[index])));
  }
  return fit;
}

} // namespace ringscale::statistics
