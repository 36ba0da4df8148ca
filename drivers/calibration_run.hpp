// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "problem/attention_problem.hpp"
#include "schedule/placement.hpp"

namespace ringscale::ring {
class Communicator;
}

namespace ringscale::drivers {

class Session;

/// What `calibrate` measures.
struct CalibrationPlan {
  struct Ring {
    std::int64_t ring_size;
    std::int64_t chunk_tokens;
    problem::Mask mask;
    schedule::Placement placement;
  };
  std::vector<std::int64_t> head_dims;
  std::vector<std::int64_t> tile_tokens; ///< query x key grid of the first head_dim; others take every second length
  std::vector<std::int64_t> message_bytes;
  std::vector<Ring> rings;
  int samples = 5;
  int jitter_samples = 60;
};

CalibrationPlan calibration_plan(int ranks, bool quick);
std::string describe(const CalibrationPlan &plan);

/// Host name, made into a file name.
std::string default_machine_name();

/// Measures the plan over all ranks and fits the machine; the result is whole on the root only. Collective.
machine::Machine run_calibration(Session &session, ring::Communicator &world, const CalibrationPlan &plan,
                                 const std::string &name);

} // namespace ringscale::drivers
