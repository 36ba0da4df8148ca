// SPDX-License-Identifier: Apache-2.0
#include "simulator/plan_costs.hpp"

#include <algorithm>

#include "machine/links.hpp"
#include "memory/closed_form.hpp"
#include "problem/invalid_input.hpp"
#include "simulator/device_time.hpp"
#include "simulator/stored_problem.hpp"

namespace ringscale::simulator {

using problem::TokenSet;
using schedule::Moving;
using schedule::Pass;
using schedule::RingProblem;
using schedule::Schedule;

namespace {

TokenSet longest_spans(const std::vector<TokenSet> &sets) {
  TokenSet longest;
  for (const TokenSet &tokens : sets) {
    longest.first.count = std::max(longest.first.count, tokens.first.count);
    longest.second.count = std::max(longest.second.count, tokens.second.count);
  }
  return longest;
}

} // namespace

PlanCosts::PlanCosts(const machine::Fleet &fleet, const SimulationOptions &options) : fleet_(fleet), options_(options) {
  if (options.kernel != memory::KernelKind::streamed) {
    throw problem::InvalidInput("kernel materialised: machine files hold times of the streamed kernel; simulate that");
  }
  add_types();
  const RingProblem &problem = options_.problem;
  for (std::int64_t rank = 0; rank < ring_size(); ++rank) {
    queries_.push_back(schedule::queries_of(problem, rank));
    keys_.push_back(schedule::keys_of(problem, rank));
    time_factor_.push_back(device_time_factor(options, rank));
  }
  if (options.measured_jitter) {
    measured_jitter_ = MeasuredJitter(fleet, options.seed);
  }
  find_bytes();
  if (problem.layout == schedule::MessageLayout::copied) {
    for (Type &one : types_) {
      find_copy_bandwidth(one);
    }
  }
  find_largest_work();
  find_core_sharing();
}

void PlanCosts::add_types() {
  if (fleet_.devices() != ring_size()) {
    throw problem::InvalidInput("the machines have " + std::to_string(fleet_.devices()) + " devices, the ring has " +
                                std::to_string(ring_size()));
  }
  for (std::size_t place = 0; place < fleet_.types(); ++place) {
    const machine::Machine &machine = fleet_.machine(place);
    // All types compute and send in the first one's element type.
    const std::string dtype = types_.empty() ? options_.dtype : types_[0].work.forward_tile().dtype();
    types_.push_back({machine, MeetingWork(machine, options_.problem, dtype, options_.tile_speedup),
                      machine.step_fixed_s.value, machine.overlap.hidden_fraction.value, 0.0,
                      fleet_.devices_of(place)});
  }
  if (fleet_.mixed()) {
    if (options_.ranks_on_node > 0) {
      throw problem::InvalidInput("ranks_on_node: ranks of one node share the cores of one type of device");
    }
    for (std::int64_t rank = 0; rank < ring_size(); ++rank) {
      type_of_rank_.push_back(static_cast<std::uint16_t>(fleet_.type_of(rank)));
    }
  }
}

WorkSeconds PlanCosts::meeting(std::int64_t rank, std::int64_t owner) const {
  const RingProblem &problem = options_.problem;
  const bool queries_move = problem.moving == Moving::query;
  const std::int64_t query_rank = queries_move ? owner : rank;
  const std::int64_t key_rank = queries_move ? rank : owner;
  // Moving queries leave a result of their own behind, which is joined to others where it arrives.
  const bool replaces = queries_move || rank == owner;
  MeetingWork &work = type(rank).work;
  if (problem.pattern.kind == problem::PatternKind::dense) {
    return work.dense(queries_[index(query_rank)], keys_[index(key_rank)], replaces);
  }
  return work.patterned(queries_[index(query_rank)], keys_[index(key_rank)],
                        schedule::pairs_of_meeting(problem, query_rank, key_rank), replaces);
}

void PlanCosts::find_largest_work() {
  RingProblem whole = options_.problem;
  whole.attention.mask = problem::Mask::none;
  // Overlapping groups of a dilated pattern may each admit a pair.
  const double repeats = options_.problem.pattern.kind == problem::PatternKind::dilated
                             ? static_cast<double>(options_.problem.pattern.dilated.segment_lengths.size())
                             : 1.0;
  for (const Type &one : types_) {
    MeetingWork unmasked(one.machine, whole, dtype(), options_.tile_speedup);
    const WorkSeconds work = unmasked.dense(longest_spans(queries_), longest_spans(keys_), false);
    largest_work_s_ = std::max(largest_work_s_, static_cast<double>(schedule::lane_count(options_.problem)) *
                                                    (work.tile_s * repeats + work.merge_s));
  }
}

double PlanCosts::largest_step_fixed_s() const {
  double most = 0.0;
  for (const Type &one : types_) {
    most = std::max(most, one.step_fixed_s);
  }
  return most;
}

double PlanCosts::largest_time_factor() const { return *std::max_element(time_factor_.begin(), time_factor_.end()); }

void PlanCosts::find_core_sharing() {
  const machine::CoreSharing &sharing = types_[0].machine.core_sharing;
  const std::int64_t ranks = std::min(options_.ranks_on_node, ring_size());
  if (sharing.cores == 0 || ranks <= 1) {
    return;
  }
  // How many ranks compute differs from step to step under a mask or pattern; counting them is quadratic in the ring.
  constexpr std::int64_t most_counted = 4096;
  const StreamedSteps meetings(options_.problem);
  std::vector<double> factors;
  for (std::int64_t step = 0; step < meetings.steps(); ++step) {
    double active = static_cast<double>(ranks);
    if (ring_size() <= most_counted) {
      double sum = 0.0;
      double largest = 0.0;
      for (std::int64_t rank = 0; rank < ring_size(); ++rank) {
        double work_s = 0.0;
        for (std::int64_t lane = 0; lane < meetings.lanes(); ++lane) {
          const std::int64_t owner = meetings.owner_at(rank, step, lane);
          work_s += owner >= 0 ? meeting(rank, owner).total() : 0.0;
        }
        sum += work_s;
        largest = std::max(largest, work_s);
      }
      active *= largest > 0.0 ? sum / (largest * static_cast<double>(ring_size())) : 0.0;
    }
    factors.push_back(machine::core_sharing_factor(sharing, static_cast<double>(ranks), active));
  }
  factors.push_back(1.0); // results come home, nobody computes
  step_factor_ = std::move(factors);
  largest_work_s_ *= *std::max_element(step_factor_.begin(), step_factor_.end());
  types_[0].step_fixed_s += ranks > sharing.cores ? sharing.extra_step_s.value : 0.0;
}

std::string PlanCosts::extrapolation() const {
  std::string reasons;
  for (const Type &one : types_) {
    const std::string &reason = one.work.extrapolation();
    if (!reason.empty()) {
      reasons += (reasons.empty() ? "" : "; ") + (fleet_.mixed() ? one.machine.name + ": " : "") + reason;
    }
  }
  return reasons;
}

std::string PlanCosts::time_source() const {
  const bool scaled =
      options_.problem.pass == Pass::backward &&
      std::any_of(types_.begin(), types_.end(), [](const Type &one) { return one.work.backward_is_scaled(); });
  return scaled ? "2.5 x forward tiles" : "tiles";
}

} // namespace ringscale::simulator
