// SPDX-License-Identifier: Apache-2.0
#include "schedule/checkpoint_interval.hpp"

#include <cmath>
#include <string>

#include "problem/invalid_input.hpp"

namespace ringscale::schedule {

namespace {

void require_positive(const char *what, double value) {
  if (!(value > 0.0) || !std::isfinite(value)) {
    throw problem::InvalidInput(std::string(what) + " is " + std::to_string(value) +
                                "; it must be a finite number of seconds above 0");
  }
}

void require_not_negative(const char *what, double value) {
  if (!(value >= 0.0) || !std::isfinite(value)) {
    throw problem::InvalidInput(std::string(what) + " is " + std::to_string(value) +
                                "; it must be a finite number of seconds, 0 or more");
  }
}

} // namespace

double young_interval_s(double checkpoint_s, double mtbf_s) {
  require_positive("checkpoint_s", checkpoint_s);
  require_positive("mtbf_s", mtbf_s);
  return std::sqrt(2.0 * checkpoint_s * mtbf_s);
}

double daly_interval_s(double checkpoint_s, double mtbf_s) {
  const double first_order_s = young_interval_s(checkpoint_s, mtbf_s);
  const double ratio = checkpoint_s / (2.0 * mtbf_s);
  if (!(ratio < 1.0)) {
    return mtbf_s;
  }
  return first_order_s * (1.0 + std::sqrt(ratio) / 3.0 + ratio / 9.0) - checkpoint_s;
}

double expected_run_time_s(double work_s, double interval_s, const CheckpointCosts &costs) {
  require_positive("work_s", work_s);
  require_positive("interval_s", interval_s);
  require_positive("mtbf_s", costs.mtbf_s);
  require_not_negative("checkpoint_s", costs.checkpoint_s);
  require_not_negative("restart_s", costs.restart_s);
  const double mtbf_s = costs.mtbf_s;
  return mtbf_s * std::exp(costs.restart_s / mtbf_s) * std::expm1((interval_s + costs.checkpoint_s) / mtbf_s) * work_s /
         interval_s;
}

} // namespace ringscale::schedule
