// SPDX-License-Identifier: Apache-2.0
#include "simulator/plan_steps.hpp"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "problem/invalid_input.hpp"

namespace ringscale::simulator {

using schedule::RingProblem;
using schedule::Schedule;

namespace {

void clear(StepEvents &events) {
  events.transfers.clear();
  events.meetings.clear();
  events.additions.clear();
  events.departures.clear();
}

} // namespace

std::int64_t result_channel(const RingProblem &problem, std::int64_t from, std::int64_t to) {
  switch (problem.schedule) {
  case Schedule::bidirectional_ring:
    return 2 * ((to - from + problem.ring_size) % problem.ring_size) > problem.ring_size ? 1 : 0;
  case Schedule::double_ring:
    return from / problem.inner_ring_size == to / problem.inner_ring_size ? 0 : 1;
  case Schedule::all_gather:
    return 1;
  default:
    return 0;
  }
}

StreamedSteps::StreamedSteps(const RingProblem &problem, std::int64_t represented)
    : problem_(problem), represented_(represented == 0 ? problem.ring_size : represented),
      lanes_(schedule::lane_count(problem)), steps_(schedule::step_count(problem)),
      follows_(problem.schedule != Schedule::all_gather), last_steps_(problem) {}

std::int64_t StreamedSteps::owner_at(std::int64_t rank, std::int64_t step, std::int64_t lane) const {
  const std::int64_t owner = schedule::block_at(problem_, rank, step, lane);
  return owner >= 0 && step <= last_step(owner, lane) ? owner : -1;
}

bool StreamedSteps::admits(std::int64_t rank, std::int64_t owner) const {
  if (problem_.pattern.kind == problem::PatternKind::dense && problem_.attention.mask == problem::Mask::none) {
    return true;
  }
  const bool queries_move = problem_.moving == schedule::Moving::query;
  return schedule::pairs_of_meeting(problem_, queries_move ? owner : rank, queries_move ? rank : owner) > 0.0;
}

void StreamedSteps::events(std::int64_t step, StepEvents &events) {
  clear(events);
  for (std::int64_t rank = 0; rank < represented_; ++rank) {
    for (std::int64_t lane = 0; lane < lanes_; ++lane) {
      const std::int64_t owner = owner_at(rank, step, lane);
      if (owner >= 0) {
        events.meetings.push_back({rank, owner});
      }
    }
  }
  add_blocks(step, events);
  if (schedule::has_results(problem_)) {
    add_results(step, events);
    add_additions(step, events);
  }
  add_later_blocks(step, events);
  if (follows_) {
    for (const Transfer &transfer : events.transfers) {
      if (!transfer.is_result) {
        events.departures.push_back({transfer.from, transfer.owner, 1});
      }
    }
  } else if (step == 0) {
    for (std::int64_t rank = 0; rank < represented_; ++rank) {
      if (last_step(rank, 0) > 0) {
        events.departures.push_back({rank, rank, last_step(rank, 0)});
      }
    }
  }
}

void StreamedSteps::add_blocks(std::int64_t step, StepEvents &events) const {
  for (std::int64_t rank = 0; rank < represented_; ++rank) {
    for (std::int64_t lane = 0; lane < lanes_; ++lane) {
      const std::int64_t owner = owner_at(rank, step + 1, lane);
      if (owner < 0) {
        continue;
      }
      const schedule::Arrival arrival = schedule::arrival_of(problem_, rank, step + 1, lane);
      // An outer hop of a double ring was given out when it left.
      if (arrival.departure_step == step || !follows_) {
        events.transfers.push_back(
            {arrival.from, rank, owner, arrival.channel, arrival.departure_step, step, false, false});
      }
    }
  }
}

void StreamedSteps::add_later_blocks(std::int64_t step, StepEvents &events) const {
  const std::int64_t inner = problem_.inner_ring_size;
  if (problem_.schedule != Schedule::double_ring || inner == 1 || step % inner != 0) {
    return;
  }
  for (std::int64_t rank = 0; rank < represented_; ++rank) {
    const std::int64_t owner = owner_at(rank, step + inner, 0);
    if (owner >= 0) {
      const schedule::Arrival arrival = schedule::arrival_of(problem_, rank, step + inner);
      events.transfers.push_back({arrival.from, rank, owner, arrival.channel, step, step + inner - 1, false, false});
    }
  }
}

void StreamedSteps::add_results(std::int64_t step, StepEvents &events) const {
  for (const bool homecoming : {false, true}) {
    for (std::int64_t rank = 0; rank < represented_; ++rank) {
      for (std::int64_t lane = 0; lane < lanes_; ++lane) {
        const std::int64_t owner = owner_at(rank, step - 1, lane);
        if (owner < 0 || (step == 1 && owner == rank && stays_home(rank))) {
          continue;
        }
        const bool goes_on = follows_ && step <= last_step(owner, lane);
        if (goes_on == homecoming) {
          continue;
        }
        const std::int64_t to = goes_on ? schedule::holder_of(problem_, owner, step, lane) : owner;
        events.transfers.push_back({rank, to, owner, result_channel(problem_, rank, to), step, step, true, homecoming});
      }
    }
  }
}

void StreamedSteps::add_additions(std::int64_t step, StepEvents &events) const {
  for (std::int64_t rank = 0; rank < represented_; ++rank) {
    for (std::int64_t lane = 0; follows_ && lane < lanes_; ++lane) {
      const std::int64_t owner = step > lane ? owner_at(rank, step, lane) : -1;
      if (owner >= 0 && admits(rank, owner)) {
        events.additions.push_back({rank, owner});
      }
    }
    if (comes_home_to_something(rank, step)) {
      events.additions.push_back({rank, rank});
    }
  }
}

bool StreamedSteps::comes_home_to_something(std::int64_t rank, std::int64_t step) const {
  if (!follows_) {
    return step >= 2 && step - 1 <= last_step(rank, 0); // its own contribution is there from step 0 on
  }
  // The first result to come home is received where it stays, unless the rank's own contribution never left.
  const std::int64_t home_0 = last_step(rank, 0) + 1;
  const std::int64_t home_1 = lanes_ > 1 ? last_step(rank, 1) + 1 : 0;
  if (home_1 < 2) {
    return false;
  }
  return step == (stays_home(rank) ? home_1 : std::max(home_0, home_1));
}

PlannedSteps::PlannedSteps(const RingProblem &problem, std::vector<schedule::RingPlan> plans)
    : problem_(problem), plans_(std::move(plans)) {
  for (std::int64_t step = 0; step <= schedule::step_count(problem_); ++step) {
    require_matches(step);
  }
}

void PlannedSteps::require_matches(std::int64_t step) const {
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;
  std::vector<Key> sent;
  std::vector<Key> received;
  for (std::size_t place = 0; place < plans_.size(); ++place) {
    const auto rank = static_cast<std::int64_t>(place);
    const schedule::RankStep &one = plans_[place].steps[static_cast<std::size_t>(step)];
    for (const schedule::BlockMessage &message : one.sends) {
      sent.emplace_back(rank, message.peer, message.owner, message.channel, message.until_step);
    }
    for (const schedule::BlockMessage &message : one.receives) {
      received.emplace_back(message.peer, rank, message.owner, message.channel, message.until_step);
    }
    for (const schedule::ResultMessage &message : one.result_sends) {
      sent.emplace_back(rank, message.peer, message.owner, message.lane, message.to_owner ? -2 : -1);
    }
    for (const schedule::ResultMessage &message : one.result_receives) {
      received.emplace_back(message.peer, rank, message.owner, message.lane, message.to_owner ? -2 : -1);
    }
  }
  std::sort(sent.begin(), sent.end());
  std::sort(received.begin(), received.end());
  const auto [one, other] = std::mismatch(sent.begin(), sent.end(), received.begin(), received.end());
  if (one != sent.end() || other != received.end()) {
    const bool lost = other == received.end() || (one != sent.end() && *one < *other);
    const Key &key = lost ? *one : *other;
    throw problem::InvalidInput("plans do not match in step " + std::to_string(step) + ": the message of block " +
                                std::to_string(std::get<2>(key)) + " from rank " + std::to_string(std::get<0>(key)) +
                                " to rank " + std::to_string(std::get<1>(key)) +
                                (lost ? " is never received" : " is never sent"));
  }
}

void PlannedSteps::events(std::int64_t step, StepEvents &events) {
  clear(events);
  std::vector<Transfer> homecomings;
  std::vector<Transfer> following;
  std::vector<Transfer> later;
  for (std::size_t place = 0; place < plans_.size(); ++place) {
    const auto rank = static_cast<std::int64_t>(place);
    const schedule::RankStep &one = plans_[place].steps[static_cast<std::size_t>(step)];
    for (const schedule::BlockMessage &message : one.sends) {
      (message.until_step == step ? events.transfers : later)
          .push_back({rank, message.peer, message.owner, message.channel, step, message.until_step, false, false});
      events.departures.push_back({rank, message.owner, 1});
    }
    for (const schedule::ResultMessage &message : one.result_sends) {
      (message.to_owner ? homecomings : following)
          .push_back({rank, message.peer, message.owner, result_channel(problem_, rank, message.peer), step, step, true,
                      message.to_owner});
    }
    for (const schedule::Meeting &meeting : one.meetings) {
      events.meetings.push_back({rank, meeting.owner});
      if (meeting.arriving_result != schedule::no_result) {
        events.additions.push_back({rank, meeting.owner});
      }
    }
    for (std::size_t addition = 0; addition < one.home_additions.size(); ++addition) {
      events.additions.push_back({rank, rank});
    }
  }
  std::stable_sort(later.begin(), later.end(),
                   [](const Transfer &left, const Transfer &right) { return left.until_step < right.until_step; });
  for (const std::vector<Transfer> *some : {&following, &homecomings, &later}) {
    events.transfers.insert(events.transfers.end(), some->begin(), some->end());
  }
}

} // namespace ringscale::simulator
