// SPDX-License-Identifier: Apache-2.0
#include "simulator/held_out_rings.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "problem/invalid_input.hpp"

namespace ringscale::simulator {

namespace {

constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

bool all_finite(const std::vector<double> &values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

} // namespace

std::vector<HeldOutRing> predict_held_out(const machine::Machine &machine, const std::vector<MeasuredRing> &rings) {
  std::vector<HeldOutRing> result;
  for (const MeasuredRing &ring : rings) {
    if (ring.samples_s.empty()) {
      throw problem::InvalidInput("a held-out ring of " + std::to_string(ring.options.problem.ring_size) +
                                  " ranks has no samples");
    }
    HeldOutRing one;
    one.measured = ring;
    one.shares_cores = shares_cores(machine, ring.options);
    one.predicted = simulate(machine, ring.options);
    const bool measured = all_finite(ring.samples_s);
    one.measured_s = measured ? ring.measured_s() : no_number;
    // Nothing is said about how far a fastest sample lies from the next one.
    one.measured_interval = measured && ring.typical == statistics::Typical::median
                                ? statistics::median_interval(ring.samples_s)
                                : statistics::Interval{one.measured_s, one.measured_s, 0.0};
    one.relative_error = one.predicted.time_s / one.measured_s - 1.0;
    one.covered = one.predicted.time_low_s <= one.measured_s && one.measured_s <= one.predicted.time_high_s;
    result.push_back(std::move(one));
  }
  return result;
}

HeldOutErrors summarise_errors(const std::vector<HeldOutRing> &rings) {
  HeldOutErrors errors;
  errors.rings = std::ssize(rings);
  std::vector<double> signed_errors;
  std::vector<double> sizes;
  for (const HeldOutRing &ring : rings) {
    signed_errors.push_back(ring.relative_error);
    sizes.push_back(std::abs(ring.relative_error));
    errors.covered_share += ring.covered ? 1.0 : 0.0;
    errors.confidence += ring.predicted.time_confidence;
  }
  const auto count = static_cast<double>(rings.size());
  errors.covered_share /= count;
  errors.confidence /= count;
  if (rings.empty() || !all_finite(sizes)) {
    errors.median = errors.percentile_90 = errors.worst = errors.median_signed = no_number;
    return errors;
  }
  errors.median = statistics::median(sizes);
  errors.percentile_90 = statistics::quantile(sizes, 0.9);
  errors.worst = *std::max_element(sizes.begin(), sizes.end());
  errors.median_signed = statistics::median(signed_errors);
  return errors;
}

std::vector<HeldOutRing> of_kind(const std::vector<HeldOutRing> &rings, bool shares_cores) {
  std::vector<HeldOutRing> result;
  std::copy_if(rings.begin(), rings.end(), std::back_inserter(result),
               [&](const HeldOutRing &ring) { return ring.shares_cores == shares_cores; });
  return result;
}

} // namespace ringscale::simulator
