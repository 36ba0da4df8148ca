// SPDX-License-Identifier: Apache-2.0
#include "simulator/ring_timeline.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "problem/invalid_input.hpp"
#include "simulator/plan_engine.hpp"

namespace ringscale::simulator {

using problem::InvalidInput;
using schedule::Activity;
using schedule::TimelineMessage;
using schedule::TimelineSelection;
using schedule::TimelineSlice;

namespace {

/// A part of a step's work in seconds.
struct WorkPart {
  Activity activity = Activity::fixed;
  double length_s = 0.0;
  std::int64_t owner = -1;
  double pairs = schedule::no_pairs;
};

/// Turns what the engine reports into slices and messages. Counts all events, keeps no more than are allowed.
class TimelineObserver : public PlanObserver {
public:
  TimelineObserver(const PlanCosts &costs, const TickScale &scale, const TimelineSelection &selection)
      : costs_(costs), scale_(scale), selection_(selection), steps_(schedule::step_count(costs.problem())) {
    timeline_.ranks = selection.ranks;
  }

  void message(const Transfer &transfer, std::int64_t begin, std::int64_t end) override {
    TimelineMessage shown;
    shown.from = transfer.from;
    shown.to = transfer.to;
    shown.owner = transfer.owner;
    shown.channel = transfer.channel;
    shown.departure_step = transfer.departure_step;
    shown.until_step = transfer.until_step;
    shown.is_result = transfer.is_result;
    shown.bytes = transfer.is_result ? costs_.result_bytes(transfer.owner) : costs_.block_bytes(transfer.owner);
    shown.begin_s = seconds(begin);
    shown.end_s = seconds(end);
    if (selection_.shows(shown)) {
      events_ += selection_.events_of(shown);
      if (has_room()) {
        timeline_.messages.push_back(shown);
      }
    }
  }

  void step(std::int64_t step, const StepEvents &events, const StepTimes &times) override {
    if (!selection_.shows_step(step)) {
      return;
    }
    find_meetings(events);
    for (const std::int64_t rank : selection_.ranks) {
      const auto place = static_cast<std::size_t>(rank);
      add(rank, step, Activity::copy, times.start[place], times.posted[place]);
      add_work(rank, step, times.posted[place], times.free[place]);
      // The time between the end of work and that of the last message: what the rank's own messages take beyond its
      // work comes last, before it the rank waits for others.
      const std::int64_t work = times.free[place] - times.posted[place];
      const std::int64_t idle = times.due[place] - times.free[place];
      const std::int64_t exposed = std::clamp<std::int64_t>(times.own_message[place] - work, 0, idle);
      add(rank, step, Activity::wait, times.free[place], times.due[place] - exposed);
      add(rank, step, Activity::exposed, times.due[place] - exposed, times.joining[place]);
      add(rank, step, Activity::join, times.joining[place], times.end[place]);
    }
  }

  schedule::Timeline take() {
    selection_.require_room(events_);
    return std::move(timeline_);
  }

private:
  bool has_room() const { return events_ <= selection_.most_events; }
  double seconds(std::int64_t ticks) const { return static_cast<double>(ticks) * scale_.tick_s; }

  void add(std::int64_t rank, std::int64_t step, Activity activity, std::int64_t begin, std::int64_t end,
           std::int64_t owner = -1, double pairs = schedule::no_pairs) {
    if (end <= begin) {
      return;
    }
    events_ += 1;
    if (has_room()) {
      timeline_.slices.push_back({rank, step, activity, seconds(begin), seconds(end), owner, pairs});
    }
  }

  void find_meetings(const StepEvents &events) {
    meetings_.clear();
    for (const RankWithOwner &meeting : events.meetings) {
      if (selection_.shows_rank(meeting.rank)) {
        meetings_.emplace_back(meeting.rank, meeting.owner);
      }
    }
    std::stable_sort(meetings_.begin(), meetings_.end(),
                     [](const auto &left, const auto &right) { return left.first < right.first; });
  }

  void add_work(std::int64_t rank, std::int64_t step, std::int64_t begin, std::int64_t end) {
    parts_.clear();
    parts_.push_back({Activity::fixed, step < steps_ ? costs_.step_fixed_s(rank) : 0.0});
    const double factor = costs_.core_factor(step) * costs_.time_factor(rank);
    auto meeting = std::lower_bound(meetings_.begin(), meetings_.end(), rank,
                                    [](const auto &one, std::int64_t wanted) { return one.first < wanted; });
    for (; meeting != meetings_.end() && meeting->first == rank; ++meeting) {
      const std::int64_t owner = meeting->second;
      const WorkSeconds work = costs_.meeting(rank, owner);
      const bool queries_move = costs_.problem().moving == schedule::Moving::query;
      const double pairs =
          schedule::pairs_of_meeting(costs_.problem(), queries_move ? owner : rank, queries_move ? rank : owner);
      parts_.push_back({Activity::compute, work.tile_s * factor, owner, pairs});
      parts_.push_back({Activity::merge, work.merge_s * factor, owner});
    }
    double whole_s = 0.0;
    for (const WorkPart &part : parts_) {
      whole_s += part.length_s;
    }
    double before_s = 0.0;
    std::int64_t from = begin;
    for (const WorkPart &part : parts_) {
      before_s += part.length_s;
      // Borders are rounded, not lengths, so that the parts add up to the work. The last one ends where work ends.
      const double share = whole_s > 0.0 ? std::min(1.0, before_s / whole_s) : 1.0;
      const std::int64_t to =
          &part == &parts_.back() ? end : begin + std::llround(share * static_cast<double>(end - begin));
      add(rank, step, part.activity, from, to, part.owner, part.pairs);
      from = to;
    }
  }

  const PlanCosts &costs_;
  TickScale scale_;
  const TimelineSelection &selection_;
  std::int64_t steps_;
  std::int64_t events_ = 0;
  schedule::Timeline timeline_;
  std::vector<std::pair<std::int64_t, std::int64_t>> meetings_; ///< rank and owner, by rank
  std::vector<WorkPart> parts_;
};

void require_feasible(const schedule::RingProblem &problem) {
  constexpr std::int64_t most_ranks = std::int64_t{1} << 17;
  constexpr std::int64_t most_rank_steps = 1'000'000'000;
  if (problem.ring_size > most_ranks || problem.ring_size * schedule::step_count(problem) > most_rank_steps) {
    throw InvalidInput("ring_size " + std::to_string(problem.ring_size) +
                       " is too large to trace: a trace computes every step of every device, up to 1e9 of them");
  }
}

} // namespace

schedule::Timeline ring_timeline(const machine::Fleet &fleet, const SimulationOptions &options,
                                 const Simulation &result, const TimelineSelection &selection) {
  validate(options);
  require_feasible(options.problem);
  const PlanCosts costs(fleet, options);
  const TickScale scale{result.tick_s, 0};
  StreamedSteps source(options.problem);
  TimelineObserver observer(costs, scale, selection);
  const PlanFinish finish = run_plan(costs, options, scale, source, &observer);
  const double time_s = static_cast<double>(*std::max_element(finish.ticks.begin(), finish.ticks.end())) * scale.tick_s;
  if (!(time_s == result.time_s)) {
    throw InvalidInput("the trace would end after " + std::to_string(time_s) + " s and the " + result.engine +
                       " engine says " + std::to_string(result.time_s) + " s; simulate with --engine plan");
  }
  return observer.take();
}

} // namespace ringscale::simulator
