// SPDX-License-Identifier: Apache-2.0
#include "schedule/ring_plan.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace ringscale::schedule {

namespace {

/// Deals buffers: the lowest one that is free from a step on, for as long as it is busy.
class BufferDeal {
public:
  std::int64_t take(std::int64_t step, std::int64_t busy_until) {
    const auto free =
        std::find_if(busy_until_.begin(), busy_until_.end(), [&](std::int64_t last) { return last < step; });
    if (free == busy_until_.end()) {
      busy_until_.push_back(busy_until);
      return count() - 1;
    }
    *free = busy_until;
    return free - busy_until_.begin();
  }
  std::int64_t count() const { return static_cast<std::int64_t>(busy_until_.size()); }

private:
  std::vector<std::int64_t> busy_until_;
};

/// One rank's plan in the making.
class Planner {
public:
  Planner(const RingProblem &problem, const LastSteps &last_steps, std::int64_t rank)
      : problem_(problem), last_steps_(last_steps), rank_(rank) {
    plan_.steps.resize(static_cast<std::size_t>(step_count(problem) + 1));
  }

  RingPlan make() {
    place_blocks();
    if (has_results(problem_)) {
      place_results();
    }
    plan_.block_buffers = blocks_.count();
    plan_.result_buffers = results_.count();
    return std::move(plan_);
  }

private:
  RankStep &at(std::int64_t step) { return plan_.steps[static_cast<std::size_t>(step)]; }

  bool meets(std::int64_t step, std::int64_t lane) const {
    const std::int64_t owner = block_at(problem_, rank_, step, lane);
    return owner >= 0 && step <= last_of(owner, lane);
  }

  std::int64_t last_of(std::int64_t owner, std::int64_t lane) const { return last_steps_(owner, lane); }

  bool admits(std::int64_t owner) const {
    const bool queries_move = problem_.moving == Moving::query;
    return pairs_of_meeting(problem_, queries_move ? owner : rank_, queries_move ? rank_ : owner) > 0.0;
  }

  /// Where the block of `owner`, met here in `step`, goes next: all messages that leave with it.
  std::vector<BlockMessage> departures(std::int64_t owner, std::int64_t step, std::int64_t lane) const {
    std::vector<BlockMessage> messages;
    const auto add = [&](std::int64_t to_lane, std::int64_t later) {
      const std::int64_t holder = holder_of(problem_, owner, later, to_lane);
      if (holder >= 0 && later <= last_of(owner, to_lane)) {
        const Arrival arrival = arrival_of(problem_, holder, later, to_lane);
        if (arrival.from == rank_ && arrival.departure_step == step) {
          messages.push_back({holder, owner, 0, arrival.channel, later - 1});
        }
      }
    };
    if (problem_.schedule == Schedule::all_gather) {
      for (std::int64_t later = 1; step == 0 && later < step_count(problem_); ++later) {
        add(lane, later);
      }
      return messages;
    }
    add(lane, step + 1);
    if (problem_.schedule == Schedule::double_ring && problem_.inner_ring_size > 1) {
      add(lane, step + problem_.inner_ring_size);
    }
    if (step == 0 && lane_count(problem_) > 1) {
      add(1, 1);
    }
    return messages;
  }

  void place_blocks() {
    struct Coming {
      std::int64_t departure, step, lane;
    };
    std::vector<Coming> coming;
    for (std::int64_t lane = 0; lane < lane_count(problem_); ++lane) {
      for (std::int64_t step = lane == 0 ? 0 : 1; step < step_count(problem_); ++step) {
        if (meets(step, lane)) {
          coming.push_back({step == 0 ? -1 : arrival_of(problem_, rank_, step, lane).departure_step, step, lane});
        }
      }
    }
    std::stable_sort(coming.begin(), coming.end(), [](const Coming &left, const Coming &right) {
      return left.departure != right.departure ? left.departure < right.departure : left.step < right.step;
    });
    for (const Coming &one : coming) {
      const std::int64_t owner = block_at(problem_, rank_, one.step, one.lane);
      std::vector<BlockMessage> leaving = departures(owner, one.step, one.lane);
      std::int64_t last_use = one.step;
      for (const BlockMessage &message : leaving) {
        last_use = std::max(last_use, message.until_step);
      }
      const std::int64_t buffer = blocks_.take(std::max<std::int64_t>(one.departure, 0), last_use);
      if (one.step > 0) {
        const Arrival arrival = arrival_of(problem_, rank_, one.step, one.lane);
        at(one.departure).receives.push_back({arrival.from, owner, buffer, arrival.channel, one.step - 1});
      }
      for (BlockMessage &message : leaving) {
        message.buffer = buffer;
        at(one.step).sends.push_back(message);
      }
      at(one.step).meetings.push_back({owner, one.lane, buffer, one.step == 0 || admits(owner), 0, no_result});
    }
  }

  bool follows() const { return problem_.schedule != Schedule::all_gather; }

  /// Results of this rank's own block: when each comes home, and from whom.
  struct Homecoming {
    std::int64_t step, lane, from;
  };
  std::vector<Homecoming> homecomings() const {
    std::vector<Homecoming> all;
    for (std::int64_t lane = 0; lane < lane_count(problem_); ++lane) {
      const std::int64_t last = last_of(rank_, lane);
      for (std::int64_t step = follows() ? last : 1; step >= 1 && step <= last; ++step) {
        const std::int64_t holder = holder_of(problem_, rank_, step, lane);
        all.push_back({step + 1, lane, holder});
      }
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Homecoming &left, const Homecoming &right) { return left.step < right.step; });
    return all;
  }

  /// A result that never leaves is computed where it stays.
  bool stays_home(const Meeting &meeting, std::int64_t step) const {
    return step == 0 && (!follows() || last_of(rank_, 0) == 0) && meeting.owner == rank_;
  }

  void place_results() {
    const std::vector<Homecoming> home = homecomings();
    std::size_t next_home = 0;
    bool home_holds_something = stays_home(at(0).meetings.front(), 0);
    for (std::int64_t step = 0; step <= step_count(problem_); ++step) {
      for (Meeting &meeting : at(step).meetings) {
        place_result(meeting, step);
      }
      for (; next_home < home.size() && home[next_home].step == step; ++next_home) {
        const Homecoming &one = home[next_home];
        std::int64_t buffer = home_buffer;
        if (home_holds_something) {
          buffer = results_.take(step, step);
          at(step).home_additions.push_back(buffer);
        }
        home_holds_something = true;
        at(step).result_receives.push_back({one.from, rank_, buffer, one.lane, true});
      }
    }
  }

  void place_result(Meeting &meeting, std::int64_t step) {
    if (stays_home(meeting, step)) {
      meeting.result_buffer = home_buffer;
      return;
    }
    const bool first = step == (meeting.lane == 0 ? 0 : 1);
    const bool arrives = follows() && !first;
    std::int64_t arriving = no_result;
    if (arrives) {
      // Not admitted: the arriving result goes on as it is.
      arriving = results_.take(step, meeting.admitted ? step : step + 1);
      at(step).result_receives.push_back(
          {holder_of(problem_, meeting.owner, step - 1, meeting.lane), meeting.owner, arriving, meeting.lane, false});
    }
    const bool passes = arrives && !meeting.admitted;
    meeting.result_buffer = passes ? arriving : results_.take(step, step + 1);
    meeting.arriving_result = passes ? no_result : arriving;
    const bool goes_on = follows() && step < last_of(meeting.owner, meeting.lane);
    const std::int64_t to = goes_on ? holder_of(problem_, meeting.owner, step + 1, meeting.lane) : meeting.owner;
    at(step + 1).result_sends.push_back({to, meeting.owner, meeting.result_buffer, meeting.lane, !goes_on});
  }

  const RingProblem &problem_;
  const LastSteps &last_steps_;
  std::int64_t rank_;
  RingPlan plan_;
  BufferDeal blocks_;
  BufferDeal results_;
};

} // namespace

std::int64_t RingPlan::block_messages() const {
  std::int64_t messages = 0;
  for (const RankStep &step : steps) {
    messages += static_cast<std::int64_t>(step.sends.size());
  }
  return messages;
}

std::int64_t RingPlan::result_messages() const {
  std::int64_t messages = 0;
  for (const RankStep &step : steps) {
    messages += static_cast<std::int64_t>(step.result_sends.size());
  }
  return messages;
}

RingPlan ring_plan(const RingProblem &problem, std::int64_t rank) {
  validate(problem);
  return ring_plan(problem, LastSteps(problem), rank);
}

RingPlan ring_plan(const RingProblem &problem, const LastSteps &last_steps, std::int64_t rank) {
  (void)keys_of(problem, rank);
  return Planner(problem, last_steps, rank).make();
}

BufferCounts buffer_counts(const RingProblem &problem, std::int64_t rank) {
  if (problem.hops == Hops::needed) {
    const RingPlan plan = ring_plan(problem, rank);
    return {plan.block_buffers, plan.result_buffers};
  }
  const std::int64_t ring_size = problem.ring_size;
  const std::int64_t results = has_results(problem) ? 1 : 0;
  if (ring_size == 1 || problem.schedule == Schedule::local_only) {
    return {1, 0};
  }
  switch (problem.schedule) {
  case Schedule::all_gather:
    return {ring_size, results * std::min<std::int64_t>(ring_size, 3)};
  case Schedule::bidirectional_ring: {
    // Two blocks held and two on their way. Results: a contribution, one on its way out and one on its way in, for each
    // lane. Small rings end before all of these meet; the lane that ends first brings its result into the final buffer.
    constexpr std::array<BufferCounts, 3> small{{{2, 3}, {3, 4}, {3, 4}}};
    const BufferCounts counts = ring_size < 5 ? small[static_cast<std::size_t>(ring_size - 2)] : BufferCounts{4, 6};
    return {counts.block_buffers, results * counts.result_buffers};
  }
  case Schedule::double_ring: {
    const bool both = problem.inner_ring_size > 1 && problem.inner_ring_size < ring_size;
    return {both ? std::min<std::int64_t>(problem.inner_ring_size + 1, 4) : 2, results * 3};
  }
  default:
    return {2, results * 3};
  }
}

} // namespace ringscale::schedule
