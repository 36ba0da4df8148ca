// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace ringscale::statistics {

/// Probability that a gamma variable of that shape and scale 1 is at most `value`: the regularised incomplete gamma
/// function P(shape, value), by its series below the mean and its continued fraction above (Abramowitz and Stegun 1964,
/// 6.5.29 and 6.5.31). For shapes up to a million or so: terms grow as the square root. Needs shape > 0.
double gamma_probability(double shape, double value);

/// The value below which it lies with `probability`, between 0 and 1. Shapes from 1e4 on by Wilson and Hilferty's cube
/// of a normal variable (26.4.17), there within 1e-6 of the value. Throws std::invalid_argument for other arguments.
double gamma_quantile(double shape, double probability);

} // namespace ringscale::statistics
