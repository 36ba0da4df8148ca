// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "problem/attention_problem.hpp"
#include "schedule/placement.hpp"

namespace ringscale::schedule {

/// How key/value blocks move. ring: each rank sends its block to the next rank every step (Liu et al. 2023).
/// local_only: blocks never move, a negative control that is wrong for ring_size > 1.
enum class Schedule { ring, local_only };

std::string_view name(Schedule schedule);
Schedule parse_schedule(std::string_view word);

/// Everything a schedule depends on.
struct RingProblem {
  problem::AttentionProblem attention;
  Placement placement = Placement::contiguous;
  Schedule schedule = Schedule::ring;
  std::int64_t ring_size = 1;
};

/// Throws InvalidInput for a bad shape, ring_size < 1 or tokens < ring_size.
void validate(const RingProblem &problem);

/// What one rank does in one step: compute its queries against the block of `block_owner`, and meanwhile pass that
/// block on. A peer of -1 means no message.
struct Step {
  std::int64_t block_owner = 0;
  std::int64_t send_to = -1;
  std::int64_t receive_from = -1;
};

/// Steps of the schedule: ring_size for `ring`, 1 for `local_only`.
std::int64_t step_count(const RingProblem &problem);

/// Messages each rank sends: step_count - 1 (the last block is not passed on).
std::int64_t hop_count(const RingProblem &problem);

Step step_of(const RingProblem &problem, std::int64_t rank, std::int64_t step);

/// Admitted query-key pairs of one head that `rank` computes in `step`; exact, constant time.
std::int64_t pairs_in_step(const RingProblem &problem, std::int64_t rank, std::int64_t step);

/// Tokens of the block of `owner`, the payload of a hop.
std::int64_t block_tokens(const RingProblem &problem, std::int64_t owner);

} // namespace ringscale::schedule
