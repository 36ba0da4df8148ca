// SPDX-License-Identifier: Apache-2.0
#include "schedule/ring_schedule.hpp"

#include <array>
#include <string>
#include <utility>

#include "problem/words.hpp"

namespace ringscale::schedule {

namespace {

constexpr std::array<std::pair<std::string_view, Schedule>, 2> schedule_words{
    {{"ring", Schedule::ring}, {"local_only", Schedule::local_only}}};

} // namespace

std::string_view name(Schedule schedule) { return problem::word_of(schedule_words, schedule); }
Schedule parse_schedule(std::string_view word) { return problem::parse_word("schedule", schedule_words, word); }

void validate(const RingProblem &problem) {
  problem::validate(problem.attention);
  (void)key_tokens(problem.placement, problem.attention.tokens, problem.ring_size, 0);
}

std::int64_t step_count(const RingProblem &problem) {
  return problem.schedule == Schedule::local_only ? 1 : problem.ring_size;
}

std::int64_t hop_count(const RingProblem &problem) { return step_count(problem) - 1; }

Step step_of(const RingProblem &problem, std::int64_t rank, std::int64_t step) {
  const std::int64_t ring_size = problem.ring_size;
  Step result;
  // Blocks travel to the next rank, so after `step` hops a rank holds the block that started `step` ranks before.
  result.block_owner = (rank - step % ring_size + ring_size) % ring_size;
  if (step + 1 < step_count(problem)) {
    result.send_to = (rank + 1) % ring_size;
    result.receive_from = (rank - 1 + ring_size) % ring_size;
  }
  return result;
}

std::int64_t pairs_in_step(const RingProblem &problem, std::int64_t rank, std::int64_t step) {
  const std::int64_t owner = step_of(problem, rank, step).block_owner;
  const std::int64_t tokens = problem.attention.tokens;
  return problem::admitted_pairs(query_tokens(problem.placement, tokens, problem.ring_size, rank),
                                 key_tokens(problem.placement, tokens, problem.ring_size, owner),
                                 problem.attention.mask);
}

std::int64_t block_tokens(const RingProblem &problem, std::int64_t owner) {
  return key_tokens(problem.placement, problem.attention.tokens, problem.ring_size, owner).count();
}

} // namespace ringscale::schedule
