// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace ringscale::drivers {

class Session;

/// Flags of validate --measured.
struct MeasuredFlags {
  bool measured = false;
  std::string machine; ///< empty: this job calibrates one
  bool quick = false;
  int rounds = 0; ///< 0: as many as the plan has
  int threads = 1;
  std::string typical = "median"; ///< or "fastest"
};

void add_measured_flags(CLI::App &verb, MeasuredFlags &flags);

/// Calibrates on some real rings of this job, predicts others and prints the error. Returns 0 when every ring was
/// measured and predicted, goals met or not; 1 when a number is missing.
int run_measured(Session &session, const MeasuredFlags &flags);

} // namespace ringscale::drivers
