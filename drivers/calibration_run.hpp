// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "drivers/ring_settings.hpp"
#include "machine/machine.hpp"
#include "simulator/hold_out.hpp"

namespace ringscale::ring {
class Communicator;
}

namespace ringscale::drivers {

class Session;

/// What a calibration measures. In every round all tiles and rings are measured once more, so that a machine that gets
/// slower or faster meanwhile does so for all of them.
struct CalibrationPlan {
  std::vector<std::int64_t> head_dims;
  std::vector<std::int64_t> tile_tokens; ///< query x key grid of the first head_dim; others take every second length
  std::vector<std::int64_t> backward_tile_tokens; ///< the same of the backward pass
  std::size_t backward_head_dims = 1;             ///< so many of head_dims, from the first on
  std::vector<std::int64_t> reuse_tokens; ///< square tiles of the first head_dim, alone and in turn, of both passes
  std::vector<std::int64_t> message_bytes;
  std::vector<RingSetting> rings;
  int rounds = 1;
  int tile_samples = 5;          ///< a round
  int backward_tile_samples = 5; ///< a round
  int ring_samples = 7;          ///< a round
  int message_samples = 9;       ///< a round
  int other_samples = 5;         ///< of merges and steps, in the first round
  int jitter_samples = 60;       ///< a round
  statistics::Typical typical = statistics::Typical::median;
};

CalibrationPlan calibration_plan(int ranks, bool quick);
/// The rings of validation_rings, and the tiles that they are made of, in rounds.
CalibrationPlan validation_plan(int ranks, bool quick);
std::string describe(const CalibrationPlan &plan);

/// Host name, made into a file name.
std::string default_machine_name();

/// A calibrated machine and the rings that took no part in it. Whole on the root only.
struct Calibrated {
  machine::Machine machine;
  std::vector<simulator::MeasuredRing> held_out;
};

/// Measures the plan over all ranks, fits the machine on the rings that are not held out and times the others. A
/// machine's interval and hold_out come from rings left out of the fit in turn. Collective.
Calibrated run_calibration(Session &session, ring::Communicator &world, const CalibrationPlan &plan,
                           const std::string &name);

/// Times the plan's held-out rings alone, for a machine that is there already. Collective; whole on the root only.
std::vector<simulator::MeasuredRing> run_held_out_rings(Session &session, ring::Communicator &world,
                                                        const CalibrationPlan &plan);

} // namespace ringscale::drivers
