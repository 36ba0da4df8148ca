// SPDX-License-Identifier: Apache-2.0
#include "statistics/gamma.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>

namespace ringscale::statistics {

namespace {

constexpr double precision = 1e-15;
constexpr int most_terms = 100'000;

double below_the_mean(double shape, double value) {
  double term = 1.0 / shape;
  double sum = term;
  for (int place = 1; place < most_terms && term > precision * sum; ++place) {
    term *= value / (shape + place);
    sum += term;
  }
  return sum * std::exp(shape * std::log(value) - value - std::lgamma(shape));
}

/// 1 - P by Lentz's evaluation of the continued fraction.
double above_the_mean(double shape, double value) {
  constexpr double tiny = std::numeric_limits<double>::min() / precision;
  double denominator = value + 1.0 - shape;
  double upper = 1.0 / tiny;
  double lower = 1.0 / denominator;
  double fraction = lower;
  for (int place = 1; place < most_terms; ++place) {
    const double numerator = -place * (place - shape);
    denominator += 2.0;
    lower = numerator * lower + denominator;
    upper = denominator + numerator / upper;
    lower = 1.0 / (std::abs(lower) < tiny ? tiny : lower);
    upper = std::abs(upper) < tiny ? tiny : upper;
    const double factor = lower * upper;
    fraction *= factor;
    if (std::abs(factor - 1.0) < precision) {
      break;
    }
  }
  return fraction * std::exp(shape * std::log(value) - value - std::lgamma(shape));
}

/// Normal variable below which `probability` lies, by halving.
double normal_quantile(double probability) {
  double low = -40.0;
  double high = 40.0;
  for (int step = 0; step < 100; ++step) {
    const double middle = 0.5 * (low + high);
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < probability ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

} // namespace

double gamma_probability(double shape, double value) {
  if (!(value > 0.0)) {
    return 0.0;
  }
  return value < shape + 1.0 ? below_the_mean(shape, value) : 1.0 - above_the_mean(shape, value);
}

double gamma_quantile(double shape, double probability) {
  if (!(shape > 0.0 && std::isfinite(shape) && probability > 0.0 && probability < 1.0)) {
    throw std::invalid_argument("gamma_quantile needs a shape above 0 and a probability between 0 and 1");
  }
  constexpr double large_shape = 1e4;
  if (shape >= large_shape) {
    const double ninth = 1.0 / (9.0 * shape);
    return shape * std::pow(1.0 - ninth + normal_quantile(probability) * std::sqrt(ninth), 3.0);
  }
  double low = 0.0;
  double high = shape + 1.0;
  while (gamma_probability(shape, high) < probability) {
    low = high;
    high *= 2.0;
  }
  for (int step = 0; step < 200 && high - low > precision * high; ++step) {
    const double middle = 0.5 * (low + high);
    (gamma_probability(shape, middle) < probability ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

} // namespace ringscale::statistics
