// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

namespace ringscale::statistics {

/// An interval that covers the wanted quantity with probability `confidence` (0 when nothing can be said).
struct Interval {
  double low = 0.0;
  double high = 0.0;
  double confidence = 0.0;
};

/// Middle sample, or the mean of the two middle ones. Throws std::invalid_argument for no samples or a NaN.
double median(std::span<const double> samples);

/// What stands for repeated times of one thing. fastest: the smallest, for a host that others use too, where every
/// disturbance makes a time longer and none makes it shorter.
enum class Typical { median, fastest };

/// Throws std::invalid_argument for no samples or a NaN.
double typical(std::span<const double> samples, Typical kind);

/// Sample quantile, 0 <= q <= 1, linear between order statistics (definition 7 of Hyndman and Fan 1996, the default
/// of numpy). Throws std::invalid_argument for no samples, a NaN or q outside [0, 1].
double quantile(std::span<const double> samples, double q);

/// Nonparametric interval of the median from order statistics (Conover, Practical Nonparametric Statistics, 3.2):
/// the narrowest symmetric pair with at least 95 %, or the whole range where fewer than six samples cannot reach
/// that. `confidence` is the exact coverage of the pair taken, 1 - 2^(1-n) for the whole range.
Interval median_interval(std::span<const double> samples);

} // namespace ringscale::statistics
