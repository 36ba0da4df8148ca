// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "schedule/ring_schedule.hpp"

namespace ringscale::schedule {

/// A block that begins to travel at the beginning of a step and is there at the end of until_step. The buffer is one
/// of the rank's block buffers, its own block in buffer 0 at first.
struct BlockMessage {
  std::int64_t peer = 0;
  std::int64_t owner = 0;
  std::int64_t buffer = 0;
  std::int64_t channel = 0;
  std::int64_t until_step = 0;
};

/// Buffer of a result that is the rank's own final one, not one of its result buffers.
inline constexpr std::int64_t home_buffer = -1;

/// In place of a buffer: no result.
inline constexpr std::int64_t no_result = -2;

/// A partial result that travels in one step: posted at its beginning, there at its end.
struct ResultMessage {
  std::int64_t peer = 0;
  std::int64_t owner = 0;
  std::int64_t buffer = 0; ///< one of the rank's result buffers, or home_buffer
  std::int64_t lane = 0;
  bool to_owner = false; ///< the last hop, to the owner of the result
};

/// A rank computing with one block. Where results travel, result_buffer takes its contribution.
struct Meeting {
  std::int64_t owner = 0;
  std::int64_t lane = 0;
  std::int64_t buffer = 0;        ///< block buffer
  bool admitted = true;           ///< false: the mask or pattern admits no pair, nothing to compute
  std::int64_t result_buffer = 0; ///< home_buffer, or a result buffer; that of the arriving result if not admitted
  std::int64_t arriving_result = no_result; ///< result buffer to add at the end of the step
};

/// What one rank does in one step: post the messages, compute the meetings, wait for what is due by the end of the
/// step, add arriving results to those of the meetings, then home_additions (result buffers) to the final result.
struct RankStep {
  std::vector<BlockMessage> receives;
  std::vector<BlockMessage> sends;
  std::vector<ResultMessage> result_receives;
  std::vector<ResultMessage> result_sends;
  std::vector<Meeting> meetings;
  std::vector<std::int64_t> home_additions;
};

/// The whole of a schedule for one rank, linear in ring_size: what the executor runs, and what simulator and
/// accountant are tested against. steps has step_count + 1 entries; the last one only brings results home. Results
/// follow their block one step behind, from holder to holder and then to the owner, so that each has a step to travel.
struct RingPlan {
  std::vector<RankStep> steps;
  std::int64_t block_buffers = 1;
  std::int64_t result_buffers = 0;

  std::int64_t block_messages() const;  ///< blocks the rank sends
  std::int64_t result_messages() const; ///< results the rank sends
};

/// Throws InvalidInput for a bad problem or rank.
RingPlan ring_plan(const RingProblem &problem, std::int64_t rank);
/// The same for many ranks of one problem, whose last steps are asked once.
RingPlan ring_plan(const RingProblem &problem, const LastSteps &last_steps, std::int64_t rank);

/// Buffers that plans of this problem need: block buffers (the own one among them) and result buffers. Constant time
/// for Hops::all, where all ranks need the same; else those of the plan of `rank`.
struct BufferCounts {
  std::int64_t block_buffers = 1;
  std::int64_t result_buffers = 0;
};
BufferCounts buffer_counts(const RingProblem &problem, std::int64_t rank);

} // namespace ringscale::schedule
