// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "drivers/ring_settings.hpp"
#include "simulator/hold_out.hpp"

namespace ringscale::ring {
class Communicator;
}

namespace ringscale::drivers {

class Session;

/// Times real rings on the first ranks of a job, round after round. Collective over all ranks; the others sleep.
class RingTimer {
public:
  RingTimer(Session &session, ring::Communicator &world);

  /// One more round: `samples` of each ring, appended to those of earlier rounds; `typical` stands for them.
  void time(const std::vector<RingSetting> &settings, int samples, statistics::Typical typical);

  /// Rings of the settings, in order, with the samples of all rounds so far; as known to the first ranks.
  const std::vector<simulator::MeasuredRing> &rings() const { return rings_; }

private:
  void time(const RingSetting &setting, int samples, simulator::MeasuredRing &measured);

  Session &session_;
  ring::Communicator &world_;
  std::vector<int> host_of_rank_; ///< by rank, equal where the kernel is the same
  std::vector<simulator::MeasuredRing> rings_;
};

} // namespace ringscale::drivers
