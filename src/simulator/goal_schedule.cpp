// SPDX-License-Identifier: Apache-2.0
#include "simulator/goal_schedule.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <utility>
#include <vector>

#include "problem/invalid_input.hpp"
#include "simulator/plan_engine.hpp"
#include "simulator/variation_text.hpp"

namespace ringscale::simulator {

namespace {

/// Number of an operation of a rank; 0: there is none, nothing to wait for.
using Label = std::int64_t;

/// Jitter is drawn on whole picoseconds, far finer than the schedule's nanoseconds.
constexpr TickScale picoseconds{1e-12, 0};

/// The operations of one rank as text.
class GoalRank {
public:
  Label calc(double seconds, std::initializer_list<Label> after) {
    const double wanted_ns = seconds * 1e9 + owed_ns_;
    const double whole_ns = std::max(0.0, std::round(wanted_ns));
    owed_ns_ = wanted_ns - whole_ns;
    return add("calc " + std::to_string(std::llround(whole_ns)), after);
  }
  Label send(std::int64_t bytes, std::int64_t to, std::int64_t tag, std::initializer_list<Label> after) {
    return add("send " + std::to_string(bytes) + "b to " + std::to_string(to) + " tag " + std::to_string(tag), after);
  }
  Label receive(std::int64_t bytes, std::int64_t from, std::int64_t tag, std::initializer_list<Label> after) {
    return add("recv " + std::to_string(bytes) + "b from " + std::to_string(from) + " tag " + std::to_string(tag),
               after);
  }
  void require(Label operation, Label before) {
    if (before != 0) {
      text_.append("l").append(std::to_string(operation)).append(" requires l").append(std::to_string(before));
      text_.append("\n");
    }
  }
  const std::string &text() const { return text_; }

private:
  Label add(const std::string &operation, std::initializer_list<Label> after) {
    ++last_;
    text_.append("l").append(std::to_string(last_)).append(": ").append(operation).append("\n");
    for (const Label before : after) {
      require(last_, before);
    }
    return last_;
  }

  std::string text_;
  Label last_ = 0;
  double owed_ns_ = 0.0; ///< lost in rounding so far
};

/// Where one rank stands while its operations are written.
struct RankPlace {
  Label begun = 0;                       ///< the step
  Label posted = 0;                      ///< after copies
  std::array<Label, 2> leaving = {0, 0}; ///< last message of each channel
  std::array<Label, 2> reaching = {0, 0};
  std::map<std::int64_t, std::vector<Label>> due;    ///< messages to wait for, by step
  std::map<std::int64_t, double> longest_received_s; ///< of them, those received
};

class GoalWriter {
public:
  GoalWriter(const PlanCosts &costs, const SimulationOptions &options)
      : costs_(costs), options_(options), steps_(schedule::step_count(costs.problem())),
        ranks_(static_cast<std::size_t>(costs.ring_size())), places_(ranks_.size()) {}

  std::string write() {
    std::vector<schedule::RingPlan> plans;
    const schedule::LastSteps last_steps(costs_.problem());
    for (std::int64_t rank = 0; rank < costs_.ring_size(); ++rank) {
      plans.push_back(schedule::ring_plan(costs_.problem(), last_steps, rank));
    }
    PlannedSteps source(costs_.problem(), std::move(plans));
    StepEvents events;
    for (std::int64_t step = 0; step <= steps_; ++step) {
      source.events(step, events);
      begin_step(events);
      for (const Transfer &transfer : events.transfers) {
        send(transfer);
      }
      end_step(step, events);
    }
    std::string text = "num_ranks " + std::to_string(ranks_.size()) + "\n";
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
      text += "\nrank " + std::to_string(rank) + " {\n" + ranks_[rank].text() + "}\n";
    }
    return text;
  }

private:
  GoalRank &rank_of(std::int64_t rank) { return ranks_[static_cast<std::size_t>(rank)]; }
  RankPlace &place_of(std::int64_t rank) { return places_[static_cast<std::size_t>(rank)]; }

  void begin_step(const StepEvents &events) {
    std::vector<double> copies_s(ranks_.size(), 0.0);
    for (const Departure &departure : events.departures) {
      copies_s[static_cast<std::size_t>(departure.rank)] +=
          static_cast<double>(departure.messages) * costs_.copy_s(departure.rank, departure.owner);
    }
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
      RankPlace &place = places_[rank];
      place.posted = copies_s[rank] > 0.0 ? ranks_[rank].calc(copies_s[rank], {place.begun}) : place.begun;
    }
  }

  void send(const Transfer &transfer) {
    const double bytes = transfer.is_result ? costs_.result_bytes(transfer.owner) : costs_.block_bytes(transfer.owner);
    const bool apart = costs_.problem().layout == schedule::MessageLayout::separate && !transfer.is_result;
    const std::int64_t whole = std::llround(bytes);
    const auto channel = static_cast<std::size_t>(transfer.channel);
    RankPlace &from = place_of(transfer.from);
    RankPlace &to = place_of(transfer.to);
    // Keys and values that travel apart are two messages, one after the other.
    for (const std::int64_t part : apart ? std::vector{whole - whole / 2, whole / 2} : std::vector{whole}) {
      ++tag_;
      from.leaving[channel] =
          rank_of(transfer.from).send(part, transfer.to, tag_, {from.posted, from.leaving[channel]});
      to.reaching[channel] = rank_of(transfer.to).receive(part, transfer.from, tag_, {to.begun, to.reaching[channel]});
    }
    from.due[transfer.until_step].push_back(from.leaving[channel]);
    to.due[transfer.until_step].push_back(to.reaching[channel]);
    double &longest_s = to.longest_received_s[transfer.until_step];
    longest_s = std::max(longest_s, costs_.message_s(transfer));
  }

  void end_step(std::int64_t step, const StepEvents &events) {
    std::vector<WorkSeconds> work(ranks_.size());
    for (const RankWithOwner &meeting : events.meetings) {
      const WorkSeconds one = costs_.meeting(meeting.rank, meeting.owner);
      work[static_cast<std::size_t>(meeting.rank)].tile_s += one.tile_s * costs_.core_factor(step);
      work[static_cast<std::size_t>(meeting.rank)].merge_s += one.merge_s * costs_.core_factor(step);
    }
    std::vector<double> after_s(ranks_.size(), 0.0);
    for (const RankWithOwner &addition : events.additions) {
      after_s[static_cast<std::size_t>(addition.rank)] +=
          costs_.addition_s(addition.rank, addition.owner) * costs_.time_factor(addition.rank);
    }
    const bool computes = step < steps_;
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
      GoalRank &goal = ranks_[rank];
      RankPlace &place = places_[rank];
      Label done = place.posted;
      if (computes) {
        const std::int64_t ticks =
            plan_work_ticks(costs_, options_, picoseconds, static_cast<std::int64_t>(rank), step, work[rank], true);
        done = goal.calc(static_cast<double>(ticks) * picoseconds.tick_s, {place.posted});
      }
      if (const double longest_s = place.longest_received_s[step]; longest_s > 0.0) {
        after_s[rank] += costs_.exposed_s(
            static_cast<std::int64_t>(rank),
            work[rank].total() + (computes ? costs_.step_fixed_s(static_cast<std::int64_t>(rank)) : 0.0), longest_s);
      }
      const std::vector<Label> due = std::exchange(place.due[step], {});
      place.due.erase(step);
      place.longest_received_s.erase(step);
      if (!due.empty() || after_s[rank] > 0.0) {
        done = goal.calc(after_s[rank], {done});
        for (const Label message : due) {
          goal.require(done, message);
        }
      }
      place.begun = done;
    }
  }

  const PlanCosts &costs_;
  const SimulationOptions &options_;
  std::int64_t steps_;
  std::vector<GoalRank> ranks_;
  std::vector<RankPlace> places_;
  std::int64_t tag_ = 0; ///< no two messages share one
};

std::string shown(double value) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.12g", value);
  return text.data();
}

/// Comment lines: where the schedule comes from, and what a message takes by level of link.
std::string head(const machine::Fleet &fleet, const SimulationOptions &options) {
  std::string text =
      "// ring attention on " + std::to_string(options.problem.ring_size) + " devices of " + fleet.name() +
      ": a simulated schedule, nothing in it was measured\n"
      "// calc: nanoseconds. Messages are rendezvous (S = 0), o = g = 0; a message alone takes L + bytes "
      "x G, plus what\n// cards, duplex, oversubscription and handshakes of a machine file add:\n";
  for (std::size_t type = 0; type < fleet.types(); ++type) {
    for (const machine::Link &link : fleet.machine(type).links) {
      text += "//   " + fleet.machine(type).name + " (" + fleet.machine(type).kind + "), level " +
              std::string(machine::name(link.level)) +
              ": L = " + shown(1e9 * (link.latency_s.value + link.per_message_overhead_s.value)) +
              " ns, G = " + shown(1e9 / link.bandwidth_bytes_per_s.value) + " ns a byte, sharing " +
              shown(link.sharing.value) + "\n";
    }
  }
  if (const std::string variation = variation_text(options); !variation.empty()) {
    text += "// with " + variation + "; seed " + std::to_string(options.seed) + "\n";
  }
  return text;
}

} // namespace

std::string goal_schedule(const machine::Fleet &fleet, const SimulationOptions &options) {
  validate(options);
  const std::int64_t ring_size = options.problem.ring_size;
  const std::int64_t steps = schedule::step_count(options.problem);
  if (ring_size > most_goal_steps / steps) {
    throw problem::InvalidInput("ring_size " + std::to_string(ring_size) + " with " + std::to_string(steps) +
                                " steps is too large to write as GOAL; ring_size x steps may be up to " +
                                std::to_string(most_goal_steps));
  }
  const PlanCosts costs(fleet, options);
  return head(fleet, options) + GoalWriter(costs, options).write();
}

} // namespace ringscale::simulator
