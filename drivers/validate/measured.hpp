// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace CLI {
class App;
}

namespace ringscale::drivers {

class Session;

/// Flags of validate --measured.
struct MeasuredFlags {
  bool measured = false;
};

void add_measured_flags(CLI::App &verb, MeasuredFlags &flags);

/// Calibrates on some real rings of this job, predicts others and prints the error.
int run_measured(Session &session, const MeasuredFlags &flags);

} // namespace ringscale::drivers
