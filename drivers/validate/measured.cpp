// SPDX-License-Identifier: Apache-2.0
#include "drivers/validate/measured.hpp"

#include <CLI/CLI.hpp>

#include "drivers/failure.hpp"
#include "drivers/session.hpp"

namespace ringscale::drivers {

void add_measured_flags(CLI::App &verb, MeasuredFlags &flags) {
  verb.add_flag("--measured", flags.measured, "Real rings of this job");
}

int run_measured(Session &, const MeasuredFlags &) { return exit_usage; }

} // namespace ringscale::drivers
