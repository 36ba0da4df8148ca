// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "schedule/ring_plan.hpp"

namespace ringscale::simulator {

/// A message of a schedule: posted by both ranks at the beginning of departure_step, waited for by both at the end of
/// until_step. Messages of one channel that leave one rank go one after the other, and so do those that reach one.
struct Transfer {
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::int64_t owner = 0;
  std::int64_t channel = 0;
  std::int64_t departure_step = 0;
  std::int64_t until_step = 0;
  bool is_result = false;
  bool to_owner = false; ///< a result's last hop

  bool operator==(const Transfer &) const = default;
};

/// A rank and the owner of the block or result it works on.
struct RankWithOwner {
  std::int64_t rank = 0;
  std::int64_t owner = 0;
};

/// Messages in which a block leaves a rank.
struct Departure {
  std::int64_t rank = 0;
  std::int64_t owner = 0;
  std::int64_t messages = 1;
};

/// What all ranks do in one step. `transfers` are in the order in which they take their channels: blocks due by the end
/// of the step, results that follow their block, results going home, then blocks that are due later, the nearest first.
struct StepEvents {
  std::vector<Transfer> transfers;
  std::vector<RankWithOwner> meetings;
  std::vector<RankWithOwner> additions; ///< of a result that arrived, at the end of the step
  std::vector<Departure> departures;    ///< blocks that leave in this step
};

/// Where an engine takes its steps from; there are step_count + 1 of them, the last one only brings results home.
class StepSource {
public:
  virtual ~StepSource() = default;
  virtual void events(std::int64_t step, StepEvents &events) = 0;
};

/// Channel of a result: the direction round the ring that is shorter (bidirectional), inside or between inner rings
/// (double ring), the one that blocks do not use (all_gather), else the only one.
std::int64_t result_channel(const schedule::RingProblem &problem, std::int64_t from, std::int64_t to);

/// Who meets whom when, by the schedule's functions and in memory linear in ring_size. A block of an all-gather is
/// given out in the step in which it is due (its channel carries nothing else, so that changes no time).
class StreamedSteps : public StepSource {
public:
  /// `represented`: only of ranks below it are meetings, additions, blocks received and results sent given out; 0: all.
  explicit StreamedSteps(const schedule::RingProblem &problem, std::int64_t represented = 0);
  void events(std::int64_t step, StepEvents &events) override;

  /// Owner of the block that `rank` computes with or passes on in `step`, -1 for none.
  std::int64_t owner_at(std::int64_t rank, std::int64_t step, std::int64_t lane) const;
  std::int64_t lanes() const { return lanes_; }
  std::int64_t steps() const { return steps_; }

private:
  std::int64_t last_step(std::int64_t owner, std::int64_t lane) const { return last_steps_(owner, lane); }
  bool admits(std::int64_t rank, std::int64_t owner) const;
  bool stays_home(std::int64_t rank) const { return !follows_ || last_step(rank, 0) == 0; }
  bool comes_home_to_something(std::int64_t rank, std::int64_t step) const;
  void add_blocks(std::int64_t step, StepEvents &events) const;
  void add_later_blocks(std::int64_t step, StepEvents &events) const;
  void add_results(std::int64_t step, StepEvents &events) const;
  void add_additions(std::int64_t step, StepEvents &events) const;

  schedule::RingProblem problem_;
  std::int64_t represented_ = 1;
  std::int64_t lanes_ = 1;
  std::int64_t steps_ = 1;
  bool follows_ = true; ///< results follow their block
  schedule::LastSteps last_steps_;
};

/// The plans of all ranks, as they are. Throws InvalidInput where a receive has no send or a send no receive.
class PlannedSteps : public StepSource {
public:
  PlannedSteps(const schedule::RingProblem &problem, std::vector<schedule::RingPlan> plans);
  void events(std::int64_t step, StepEvents &events) override;

private:
  void require_matches(std::int64_t step) const;

  schedule::RingProblem problem_;
  std::vector<schedule::RingPlan> plans_;
};

} // namespace ringscale::simulator
