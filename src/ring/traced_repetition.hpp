// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "ring/communicator.hpp"
#include "ring/grid_rank.hpp"
#include "ring/ring_options.hpp"
#include "schedule/timeline.hpp"

namespace ringscale::ring {

/// A shown rank's part in a traced repetition, in seconds of rank 0's clock since the first shown rank began.
struct TracedRank {
  std::int64_t rank = 0;
  double begin_s = 0.0;
  double end_s = 0.0;
  double clock_offset_s = 0.0; ///< its clock minus rank 0's
  double clock_uncertainty_s = 0.0;
  std::int64_t polls_left_out = 0; ///< slices of polling that had no room
};

/// What the ranks of a real run did in one repetition. Ranks are those of the communicator. A message begins when its
/// sender has handed it over and ends when its receiver's wait returned; those with an end at a rank that is not shown
/// are left out.
struct MeasuredTimeline {
  schedule::Timeline timeline;
  std::vector<TracedRank> ranks;
  double time_s = 0.0;                ///< slowest rank, after a barrier
  std::int64_t reversed_messages = 0; ///< ended before they began, within the clocks' uncertainty: taken to last 0 s
};

/// Throws InvalidInput on every rank when the slices and messages that the plans of the shown ranks foresee have no
/// room, or a shown rank does not exist. Returns how many slices of polling each shown rank may keep. Collective.
std::int64_t require_trace_room(const Communicator &communicator, const RingOptions &options, const GridRank &rank);

/// One more repetition of `rank`, recorded by options.recorder, with clocks aligned before and after it. Collective;
/// the timeline is complete on rank 0 and empty on the others.
MeasuredTimeline trace_repetition(const Communicator &communicator, const RingOptions &options, GridRank &rank);

} // namespace ringscale::ring
