// SPDX-License-Identifier: Apache-2.0
#include "ring/checkpointed_run.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <span>
#include <string>

#include "problem/invalid_input.hpp"
#include "ring/checkpoint_file.hpp"
#include "ring/deadline.hpp"
#include "ring/grid_rank.hpp"
#include "ring/rank_state.hpp"
#include "ring/sampling.hpp"
#include "schedule/checkpoint_interval.hpp"

namespace ringscale::ring {

namespace {

using problem::InvalidInput;

constexpr const char *spent_name = "spent";

/// What a rank spent on the repetition so far, in all jobs: a section of the checkpoint.
struct Spent {
  double steps_s = 0.0; ///< exchange of heads and all steps
  double exchange_s = 0.0;
  std::int64_t exchanged_bytes = 0;
};

/// Runs `part` on this rank; when it throws on any rank, throws the first rank's message on all.
template <class Part> void together(const Communicator &communicator, const Part &part) {
  std::string reason;
  try {
    part();
  } catch (const std::exception &error) {
    reason = error.what();
  }
  for (const std::string &one : communicator.all_gather(reason)) {
    if (!one.empty()) {
      throw InvalidInput(one);
    }
  }
}

/// Brings the rank to the folder's checkpoint; false where there is none.
bool take_checkpoint(const Communicator &communicator, const CheckpointOptions &checkpoint,
                     const CheckpointIdentity &identity, RingRank &ring, Spent &spent) {
  std::int64_t step = 0; // none
  together(communicator, [&] {
    step = committed_step(checkpoint.folder, identity).value_or(0);
    if (step > 0 && !checkpoint.resume) {
      throw InvalidInput(checkpoint.folder.string() + " has a checkpoint after " + std::to_string(step) +
                         " steps; go on from it with --resume, or name another folder");
    }
  });
  if (communicator.max(step) != -communicator.max(-step)) {
    throw InvalidInput("the ranks do not see the same checkpoint in " + checkpoint.folder.string() +
                       "; name a folder that all nodes share");
  }
  if (step == 0) {
    return false;
  }
  together(communicator, [&] {
    const Checkpoint found = read_checkpoint(checkpoint.folder, identity);
    ring.restore_state(found);
    std::memcpy(&spent, found.section(spent_name, sizeof spent).data(), sizeof spent);
  });
  return true;
}

/// When the next checkpoint is due, by what the first one cost.
class DueSteps {
public:
  DueSteps(const CheckpointOptions &options, std::int64_t plan_steps)
      : mtbf_s_(options.mtbf_s), plan_steps_(plan_steps), every_steps_(options.every_steps) {}

  bool due() const { return since_last_ >= std::max<std::int64_t>(every_steps_, 1); }
  void step_done() { ++since_last_; }
  void written(double checkpoint_s, double mean_step_s, CheckpointReport &report) {
    since_last_ = 0;
    if (mtbf_s_ > 0.0 && report.write_samples_s.size() == 1) {
      report.young_interval_s = schedule::young_interval_s(checkpoint_s, mtbf_s_);
      report.daly_interval_s = schedule::daly_interval_s(checkpoint_s, mtbf_s_);
      every_steps_ =
          every_steps_ > 0 ? every_steps_ : steps_of_interval(report.daly_interval_s, mean_step_s, plan_steps_);
    }
    report.every_steps = every_steps_;
  }

private:
  double mtbf_s_;
  std::int64_t plan_steps_;
  std::int64_t every_steps_;
  std::int64_t since_last_ = 0;
};

/// Writes the rank's state and what it spent; returns the bytes of its sections.
std::int64_t write_state(const CheckpointOptions &checkpoint, const CheckpointIdentity &identity, const RingRank &ring,
                         const Spent &spent, const Agreement &all_agree) {
  const RankState state = ring.state();
  std::vector<CheckpointSection> sections = state.sections;
  sections.push_back({spent_name, std::as_bytes(std::span(&spent, 1))});
  write_checkpoint(checkpoint.folder, identity, state.steps_done, sections, all_agree);
  std::int64_t bytes = 0;
  for (const CheckpointSection &section : sections) {
    bytes += static_cast<std::int64_t>(section.bytes.size());
  }
  return bytes;
}

} // namespace

std::int64_t steps_of_interval(double interval_s, double step_s, std::int64_t most) {
  const double steps = std::round(interval_s / step_s);
  if (!(steps > 1.0)) {
    return 1;
  }
  return steps < static_cast<double>(most) ? static_cast<std::int64_t>(steps) : most;
}

void validate_checkpoints(const CheckpointOptions &checkpoint, const RingOptions &options) {
  if (checkpoint.folder.empty()) {
    throw InvalidInput("a checkpointed run needs a folder for its checkpoints");
  }
  if (checkpoint.every_steps < 0) {
    throw InvalidInput("checkpoints every " + std::to_string(checkpoint.every_steps) +
                       " steps; the number must be at least 1");
  }
  const double mtbf_s = checkpoint.mtbf_s;
  if (!(mtbf_s >= 0.0 && std::isfinite(mtbf_s)) || (mtbf_s == 0.0 && checkpoint.every_steps == 0)) {
    throw InvalidInput("checkpoints need a number of steps between them, or the mean seconds between failures that "
                       "gives it, finite and greater than 0");
  }
  if (options.repetitions != 1 || options.warmup != 0 || options.messages_only) {
    throw InvalidInput("a checkpointed run has one repetition, no warm-up and no messages without computing");
  }
}

CheckpointedPass run_with_checkpoints(const Communicator &communicator, const RingOptions &options,
                                      const CheckpointOptions &checkpoint, GridRank &rank) {
  const CheckpointIdentity identity{options_fingerprint(options, kernels::ExecutionSpace().concurrency()),
                                    communicator.rank(), communicator.size()};
  const Agreement all_agree = [&](bool mine) { return communicator.all(mine); };
  RingRank &ring = rank.ring();
  CheckpointedPass pass;
  CheckpointReport &report = pass.report;
  report.mtbf_s = checkpoint.mtbf_s;
  report.every_steps = checkpoint.every_steps;

  Spent before;
  rank.begin(options.verify);
  if (take_checkpoint(communicator, checkpoint, identity, ring, before)) {
    report.resumed_from_step = ring.steps_done();
  }
  communicator.barrier("before a checkpointed repetition");
  double steps_s = report.resumed_from_step ? 0.0 : time_once([&] { rank.bring_inputs(); });
  const auto spent = [&] {
    return Spent{before.steps_s + steps_s, before.exchange_s + rank.exchange_s(),
                 before.exchanged_bytes + rank.exchanged_bytes()};
  };
  DueSteps due_steps(checkpoint, ring.plan_steps());
  std::vector<double> step_samples_s;
  while (ring.steps_done() < ring.plan_steps() && !report.stopped_after_step) {
    const std::int64_t step = ring.steps_done();
    step_samples_s.push_back(time_once([&] {
      ring.start(step);
      ring.compute(step);
      ring.finish(step);
    }));
    steps_s += step_samples_s.back();
    due_steps.step_done();
    // A state that something is wrong with is not worth keeping.
    if (step + 1 == ring.plan_steps() || !due_steps.due() ||
        !communicator.all(ring.quiet() && ring.complaints().empty())) {
      continue;
    }
    std::int64_t bytes = 0;
    const double checkpoint_s =
        communicator.max(time_once([&] { bytes = write_state(checkpoint, identity, ring, spent(), all_agree); }));
    report.write_samples_s.push_back(checkpoint_s);
    report.bytes.push_back(communicator.sum(bytes));
    due_steps.written(checkpoint_s, communicator.max(steps_s) / static_cast<double>(step_samples_s.size()), report);
    if (checkpoint.stop_after_step >= 0 && step >= checkpoint.stop_after_step) {
      report.stopped_after_step = step;
    }
  }
  if (!report.stopped_after_step) {
    steps_s += time_once([&] { rank.bring_results(); });
  }
  const Spent all = spent();
  pass.time_s = all.steps_s;
  pass.exchange_s = all.exchange_s;
  pass.exchanged_bytes = all.exchanged_bytes;
  const std::vector<double> of_ranks = communicator.all_gather(step_samples_s);
  report.step_samples_s.assign(step_samples_s.size(), 0.0);
  for (std::size_t place = 0; place < of_ranks.size(); ++place) {
    double &slowest_s = report.step_samples_s[place % step_samples_s.size()];
    slowest_s = std::max(slowest_s, of_ranks[place]);
  }
  return pass;
}

} // namespace ringscale::ring
