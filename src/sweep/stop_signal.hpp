// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace ringscale::sweep {

/// While one lives, SIGTERM, SIGINT and SIGUSR1 (what batch systems send before a job's time is over) only raise a
/// flag, which a sweep looks at between points. A second signal of the same kind acts as usual and ends the process.
class StopSignal {
public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal &) = delete;
  StopSignal &operator=(const StopSignal &) = delete;

  /// "SIGTERM", ..., or null while nothing was received.
  static const char *received();
};

} // namespace ringscale::sweep
