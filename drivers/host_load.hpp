// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace ringscale::ring {
class Communicator;
}

namespace ringscale::drivers {

/// What other processes took of this host's processors while this job measured: a time taken on a busy host says
/// little.
class HostLoad {
public:
  /// Starts counting, on every rank.
  explicit HostLoad(ring::Communicator &world);

  /// Share of the processor time of the root's host since the beginning that was neither idle nor used by this job's
  /// ranks, 0 .. 1; other virtual machines count where the system says so. NaN where the system does not tell. For jobs
  /// on one host. Collective.
  double others_share() const;

private:
  ring::Communicator &world_;
  double busy_s_;
  double all_s_;
  double own_s_;
};

} // namespace ringscale::drivers
