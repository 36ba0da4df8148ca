// SPDX-License-Identifier: Apache-2.0
#include "simulator/plan_engine.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "simulator/noise.hpp"

namespace ringscale::simulator {

namespace {

using Ticks = std::vector<std::int64_t>;

std::int64_t rounded(double seconds, const TickScale &scale) { return std::llround(seconds / scale.tick_s); }

void raise(std::int64_t &time, std::int64_t other) { time = std::max(time, other); }

/// A message that is under way beyond its step.
struct Arriving {
  Transfer transfer;
  std::int64_t end = 0;
  std::int64_t length = 0; ///< ticks
  double length_s = 0.0;
  std::int64_t leaving_alone = 0; ///< when it would have left, and arrived, had nobody else been late
  std::int64_t reaching_alone = 0;
};

/// Work of a rank in a step as ticks, without jitter.
std::int64_t steady_ticks(const PlanCosts &costs, const TickScale &scale, std::int64_t rank, const WorkSeconds &work) {
  return rounded(work.total() * costs.time_factor(rank) + costs.step_fixed_s(rank), scale);
}

class PlanRun {
public:
  PlanRun(const PlanCosts &costs, const SimulationOptions &options, const TickScale &scale, StepSource &source,
          PlanObserver *observer, std::int64_t period)
      : costs_(costs), options_(options), scale_(scale), source_(source), observer_(observer), period_(period),
        alike_(static_cast<double>(costs.ring_size() / period)), steps_(schedule::step_count(costs.problem())) {
    const auto ranks = static_cast<std::size_t>(period);
    for (Ticks *times :
         {&start_, &posted_, &first_posted_, &free_, &due_, &finish_.work, &finish_.addition, &finish_.exposed,
          &finish_.message_steps, &finish_.messages, &finish_.beside, &sent_, &sent_results_}) {
      times->assign(ranks, 0);
    }
    for (auto *seconds : {&longest_received_s_, &finish_.merge_s, &finish_.fixed_terms}) {
      seconds->assign(ranks, 0.0);
    }
    for (Ends &ends : channels_) {
      ends.leaving.assign(ranks, 0);
      ends.reaching.assign(ranks, 0);
      ends.leaving_alone.assign(ranks, 0);
      ends.reaching_alone.assign(ranks, 0);
    }
    work_.resize(ranks);
    own_message_.resize(ranks);
  }

  PlanFinish run() {
    for (std::int64_t step = 0; step <= steps_; ++step) {
      source_.events(step, events_);
      copy_and_compute(step);
      send(step);
      end_step(step);
    }
    finish_.ticks = start_;
    finish_.most_block_messages = static_cast<double>(*std::max_element(sent_.begin(), sent_.end()));
    finish_.most_result_messages = static_cast<double>(*std::max_element(sent_results_.begin(), sent_results_.end()));
    finish_.steps_computed = static_cast<double>(period_) * static_cast<double>(steps_);
    finish_.nominal_work_s *= alike_;
    finish_.block_messages *= alike_;
    finish_.result_messages *= alike_;
    return std::move(finish_);
  }

private:
  /// Of the rank that stands for this one.
  std::size_t place(std::int64_t rank) const {
    return static_cast<std::size_t>(rank < period_ ? rank : rank % period_);
  }

  /// One channel at both ends of its messages: when it is free, and when it would be if its other ends were never late.
  struct Ends {
    Ticks leaving, reaching, leaving_alone, reaching_alone;
  };

  void copy_and_compute(std::int64_t step) {
    posted_ = start_;
    for (const Departure &departure : events_.departures) {
      const std::int64_t copy = departure.messages * rounded(costs_.copy_s(departure.rank, departure.owner), scale_);
      posted_[place(departure.rank)] += copy;
      finish_.exposed[place(departure.rank)] += copy;
    }
    if (step == 0) {
      first_posted_ = posted_;
    }
    std::fill(work_.begin(), work_.end(), WorkSeconds{});
    for (const RankWithOwner &meeting : events_.meetings) {
      const WorkSeconds one = costs_.meeting(meeting.rank, meeting.owner);
      WorkSeconds &work = work_[place(meeting.rank)];
      work.tile_s += one.tile_s;
      work.merge_s += one.merge_s;
      finish_.nominal_work_s += one.total();
    }
    const double shared = costs_.core_factor(step);
    for (std::int64_t rank = 0; rank < period_; ++rank) {
      WorkSeconds &work = work_[place(rank)];
      work.tile_s *= shared;
      work.merge_s *= shared;
      const std::int64_t ticks = plan_work_ticks(costs_, options_, scale_, rank, step, work, step < steps_);
      free_[place(rank)] = posted_[place(rank)] + ticks;
      finish_.work[place(rank)] += ticks;
      // Jitter lengthens all parts of a step's work alike; without any the stretch is exactly 1.
      const double stretch =
          has_jitter(options_) && step < steps_ ? jitter_stretch(ticks, steady_ticks(costs_, scale_, rank, work)) : 1.0;
      finish_.fixed_terms[place(rank)] += step < steps_ ? stretch : 0.0;
      finish_.merge_s[place(rank)] += work.merge_s * costs_.time_factor(rank) * stretch;
      finish_.longest_work_s = std::max(finish_.longest_work_s, work.total());
    }
  }

  void send(std::int64_t step) {
    due_ = free_;
    std::fill(longest_received_s_.begin(), longest_received_s_.end(), 0.0);
    std::fill(own_message_.begin(), own_message_.end(), 0);
    for (const Transfer &transfer : events_.transfers) {
      const Arriving message = post(transfer, step);
      if (transfer.until_step == step) {
        wait_for(message);
      } else {
        under_way_[transfer.until_step].push_back(message);
      }
    }
    if (const auto arriving = under_way_.find(step); arriving != under_way_.end()) {
      for (const Arriving &message : arriving->second) {
        wait_for(message);
      }
      under_way_.erase(arriving);
    }
  }

  Arriving post(const Transfer &transfer, std::int64_t step) {
    // A block of an all-gather may be given out late; it was posted in step 0, at time 0 by its receiver.
    const bool earlier = transfer.departure_step < step;
    Arriving message;
    message.transfer = transfer;
    message.length_s = costs_.message_s(transfer);
    message.length = rounded(message.length_s, scale_);
    const std::int64_t sender_started = earlier ? 0 : start_[place(transfer.from)];
    const std::int64_t receiver_started = earlier ? 0 : start_[place(transfer.to)];
    Ends &ends = channels_[static_cast<std::size_t>(transfer.channel)];
    std::int64_t &leaving = ends.leaving[place(transfer.from)];
    std::int64_t &reaching = ends.reaching[place(transfer.to)];
    const std::int64_t sender_posted = (earlier ? first_posted_ : posted_)[place(transfer.from)];
    message.end = std::max(std::max(sender_posted, receiver_started), std::max(leaving, reaching)) + message.length;
    leaving = message.end;
    reaching = message.end;
    std::int64_t &leaving_alone = ends.leaving_alone[place(transfer.from)];
    std::int64_t &reaching_alone = ends.reaching_alone[place(transfer.to)];
    message.leaving_alone = leaving_alone = std::max(leaving_alone, sender_started) + message.length;
    message.reaching_alone = reaching_alone = std::max(reaching_alone, receiver_started) + message.length;
    if (observer_ != nullptr) {
      observer_->message(transfer, message.end - message.length, message.end);
    }
    if (message.length_s > std::max(finish_.longest_block_s, finish_.longest_result_s)) {
      finish_.longest_empty_s = costs_.empty_message_s(transfer);
    }
    if (transfer.is_result) {
      finish_.result_messages += 1.0;
      finish_.longest_result_s = std::max(finish_.longest_result_s, message.length_s);
      ++sent_results_[place(transfer.from)];
    } else {
      finish_.block_messages += 1.0;
      finish_.longest_block_s = std::max(finish_.longest_block_s, message.length_s);
      ++sent_[place(transfer.from)];
    }
    return message;
  }

  void wait_for(const Arriving &message) {
    const std::size_t from = place(message.transfer.from);
    const std::size_t to = place(message.transfer.to);
    raise(due_[from], message.end);
    raise(due_[to], message.end);
    longest_received_s_[to] = std::max(longest_received_s_[to], message.length_s);
    // For the breakdown: what of the message, and of those before it on its channel, is still to come now, whatever
    // others do.
    raise(own_message_[from], message.leaving_alone - start_[from]);
    raise(own_message_[to], message.reaching_alone - start_[to]);
  }

  void end_step(std::int64_t step) {
    if (observer_ != nullptr) {
      begun_ = start_;
    }
    for (std::int64_t rank = 0; rank < period_; ++rank) {
      const std::size_t here = place(rank);
      std::int64_t exposed = 0;
      if (longest_received_s_[here] > 0.0) {
        const double work_s = work_[here].total() + (step < steps_ ? costs_.step_fixed_s(rank) : 0.0);
        exposed = rounded(costs_.exposed_s(rank, work_s, longest_received_s_[here]), scale_);
      }
      const std::int64_t work = free_[here] - posted_[here];
      finish_.exposed[here] += exposed + std::max<std::int64_t>(0, own_message_[here] - work);
      if (own_message_[here] > 0) {
        ++finish_.message_steps[here];
        finish_.messages[here] += own_message_[here];
        finish_.beside[here] += work;
      }
      start_[here] = due_[here] + exposed;
    }
    if (observer_ != nullptr) {
      joining_ = start_;
    }
    for (const RankWithOwner &addition : events_.additions) {
      const std::int64_t ticks =
          rounded(costs_.addition_s(addition.rank, addition.owner) * costs_.time_factor(addition.rank), scale_);
      start_[place(addition.rank)] += ticks;
      finish_.addition[place(addition.rank)] += ticks;
    }
    if (observer_ != nullptr) {
      observer_->step(step, events_, {begun_, posted_, free_, due_, joining_, start_, own_message_});
    }
  }

  const PlanCosts &costs_;
  const SimulationOptions &options_;
  TickScale scale_;
  StepSource &source_;
  PlanObserver *observer_;
  std::int64_t period_;
  double alike_; ///< ranks that one stands for
  std::int64_t steps_;
  StepEvents events_;
  Ticks start_;        ///< T
  Ticks posted_;       ///< after copies
  Ticks first_posted_; ///< that of step 0
  Ticks free_;         ///< done computing
  Ticks due_;          ///< and all messages of the step have ended
  Ticks own_message_;
  Ticks begun_;   ///< T of the step, for an observer
  Ticks joining_; ///< before additions, for an observer
  Ticks sent_;
  Ticks sent_results_;
  std::vector<double> longest_received_s_;
  std::vector<WorkSeconds> work_;
  Ends channels_[2];
  std::map<std::int64_t, std::vector<Arriving>> under_way_; ///< by until_step
  PlanFinish finish_;
};

} // namespace

TickScale plan_tick_scale(const PlanCosts &costs, const SimulationOptions &options, int bits) {
  const double noise = static_cast<double>(largest_noise) / noise_deviation * options.jitter;
  const double work_s = (costs.largest_work_s() * costs.largest_time_factor() + costs.largest_step_fixed_s()) *
                        (1.0 + noise + std::max(0.0, costs.measured_jitter().largest()));
  double most_tokens_addition_s = 0.0;
  double most_copy_s = 0.0;
  for (std::int64_t owner = 0; owner < costs.ring_size(); ++owner) {
    for (std::size_t type = 0; type < costs.fleet().types(); ++type) {
      const std::int64_t rank = costs.fleet().first_rank(type);
      most_tokens_addition_s = std::max(most_tokens_addition_s, costs.addition_s(rank, owner));
      most_copy_s = std::max(most_copy_s, costs.copy_s(rank, owner));
    }
  }
  // In a step a rank waits for a block and two results on each of two channels, and for the channels at the other end.
  constexpr double most_messages = 12.0;
  constexpr double most_additions = 4.0;
  const double longest_s = work_s + most_messages * costs.largest_message_s() + 2.0 * most_copy_s +
                           most_additions * most_tokens_addition_s * costs.largest_time_factor();
  require_countable_steps(longest_s, schedule::step_count(costs.problem()) + 1);
  TickScale scale;
  if (longest_s > 0.0) {
    scale.tick_s = longest_s / std::ldexp(1.0, bits);
    scale.longest_step = (std::int64_t{1} << bits) + 32; // rounding of the parts
    set_jitter_exponent(scale, work_s / (1.0 + noise) / scale.tick_s, options.jitter);
  }
  return scale;
}

std::int64_t plan_work_ticks(const PlanCosts &costs, const SimulationOptions &options, const TickScale &scale,
                             std::int64_t rank, std::int64_t step, const WorkSeconds &work, bool computes) {
  if (!computes) {
    return 0;
  }
  const std::int64_t ticks = steady_ticks(costs, scale, rank, work);
  return ticks + jitter_ticks(costs.measured_jitter(), options, scale, rank, step, ticks);
}

PlanFinish run_plan(const PlanCosts &costs, const SimulationOptions &options, const TickScale &scale,
                    StepSource &source, PlanObserver *observer, std::int64_t period) {
  return PlanRun(costs, options, scale, source, observer, period == 0 ? costs.ring_size() : period).run();
}

} // namespace ringscale::simulator
