// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "simulator/failures.hpp"

namespace CLI {
class App;
}

namespace ringscale::drivers {

/// Flags of failures and checkpoints as typed.
struct FailureFlags {
  std::string checkpoint_interval = "none";
  std::string checkpoint_bytes;
  std::string checkpoint_bandwidth;
  bool trials_given = false;
  simulator::FailureOptions options;
};

void add_failure_flags(CLI::App &verb, FailureFlags &flags);

/// The options; throws InvalidInput for an interval or a size that is none.
simulator::FailureOptions failure_options(const FailureFlags &flags);

} // namespace ringscale::drivers
