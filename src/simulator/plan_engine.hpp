// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "simulator/plan_costs.hpp"
#include "simulator/tick_costs.hpp"

namespace ringscale::simulator {

/// When every rank has finished and where its time went, in ticks.
struct PlanFinish {
  std::vector<std::int64_t> ticks;
  std::vector<std::int64_t> work;          ///< tiles, merges and fixed terms, with speed and jitter
  std::vector<std::int64_t> addition;      ///< of results
  std::vector<std::int64_t> exposed;       ///< copies, its own messages beyond its own work, what does not hide
  std::vector<double> merge_s;             ///< merges of meetings, with speed and jitter
  std::vector<double> fixed_terms;         ///< one a step that computes, times what jitter makes of it
  std::vector<std::int64_t> message_steps; ///< in which messages of the rank are under way until the end
  std::vector<std::int64_t> messages;      ///< what of its own messages may be under way in these steps
  std::vector<std::int64_t> beside;        ///< work in these steps
  double nominal_work_s = 0.0;             ///< of all ranks and steps, without fixed terms
  double longest_work_s = 0.0;             ///< of a rank in one step
  double longest_block_s = 0.0;            ///< block message alone
  double longest_result_s = 0.0;
  double longest_empty_s = 0.0; ///< the slowest of all messages if it had no bytes
  double block_messages = 0.0;  ///< of all ranks
  double result_messages = 0.0;
  double most_block_messages = 0.0; ///< that one rank sends
  double most_result_messages = 0.0;
  double steps_computed = 0.0;
};

/// Times of all ranks in one step, in ticks, one entry a rank.
struct StepTimes {
  const std::vector<std::int64_t> &start;
  const std::vector<std::int64_t> &posted;      ///< after copies
  const std::vector<std::int64_t> &free;        ///< done computing
  const std::vector<std::int64_t> &due;         ///< and all messages of the step have ended
  const std::vector<std::int64_t> &joining;     ///< and what does not hide has passed
  const std::vector<std::int64_t> &end;         ///< results that arrived are added
  const std::vector<std::int64_t> &own_message; ///< what of its own messages may be under way in this step, at most
};

/// Told what a run does, as it goes.
class PlanObserver {
public:
  virtual ~PlanObserver() = default;
  virtual void message(const Transfer &transfer, std::int64_t begin, std::int64_t end) = 0;
  virtual void step(std::int64_t step, const StepEvents &events, const StepTimes &times) = 0;
};

/// A tick so fine that 2^bits of them are the longest step, messages one after the other included.
TickScale plan_tick_scale(const PlanCosts &costs, const SimulationOptions &options, int bits);

/// Advances all ranks step by step with memory linear in ring_size beside what `source` holds:
///
///   posted         T[q] + copies of the blocks that leave q, one a message
///   a message      leaves at the latest of: posted by its sender, T of its receiver, its channel free at both ends
///   compute free   posted + work
///
/// and the next T[q] is the latest of compute free and of the messages that q sends or receives and that are due, plus
/// what does not hide, plus additions of results that arrived. `observer`: null, or told of every step and message.
///
/// With a `period` (see plan_period) ranks are alike after so many, and only the first ones are advanced: `source` then
/// gives out their part alone, times are theirs, and sums over all ranks are multiplied.
PlanFinish run_plan(const PlanCosts &costs, const SimulationOptions &options, const TickScale &scale,
                    StepSource &source, PlanObserver *observer = nullptr, std::int64_t period = 0);

/// Ranks after which all do the same at the same time, in any step: every rank's share, work and links look alike from
/// there. ring_size where nothing of that kind is known.
std::int64_t plan_period(const PlanCosts &costs, const SimulationOptions &options);

/// Work of a rank in a step as ticks, with speed, fixed term and jitter; `work` at nominal speed on shared cores.
/// `computes`: false for the last entry of a plan, which only brings results home.
std::int64_t plan_work_ticks(const PlanCosts &costs, const SimulationOptions &options, const TickScale &scale,
                             std::int64_t rank, std::int64_t step, const WorkSeconds &work, bool computes);

} // namespace ringscale::simulator
