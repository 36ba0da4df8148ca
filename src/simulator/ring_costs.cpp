// SPDX-License-Identifier: Apache-2.0
#include "simulator/ring_costs.hpp"

#include <algorithm>

#include "machine/links.hpp"
#include "problem/invalid_input.hpp"
#include "simulator/stored_problem.hpp"

namespace ringscale::simulator {

using schedule::RingProblem;

RingCosts::RingCosts(const machine::Machine &machine, const SimulationOptions &options)
    : options_(options), classes_(options.problem),
      meeting_work_(machine, options.problem, options.dtype, options.tile_speedup) {
  if (options.kernel != memory::KernelKind::streamed) {
    throw problem::InvalidInput("kernel materialised: machine files hold times of the streamed kernel; simulate that");
  }
  find_hops(machine);
  find_work();
  set_free_terms(machine);
}

void RingCosts::set_free_terms(const machine::Machine &machine) {
  step_fixed_s_ = machine.step_fixed_s.value;
  hidden_fraction_ = machine.overlap.hidden_fraction.value;
  largest_work_s_ = largest_own_work_s_;
  shares_cores_ = false;
  step_factor_.clear();
  find_core_sharing(machine);
}

WorkSeconds RingCosts::work_of(std::int64_t rank, std::int64_t step) {
  const RingProblem &problem = options_.problem;
  const std::int64_t owner = schedule::step_of(problem, rank, step).block_owner;
  return meeting_work_.dense(schedule::queries_of(problem, rank), schedule::keys_of(problem, owner), step == 0);
}

void RingCosts::find_work() {
  class_work_.resize(static_cast<std::size_t>(classes_.query_classes() * classes_.key_relations()));
  for (int query_class = 0; query_class < classes_.query_classes(); ++query_class) {
    for (int relation = 0; relation < classes_.key_relations(); ++relation) {
      const StepClasses::Example example = classes_.example(query_class, relation);
      if (example.rank >= 0) {
        WorkSeconds &work = class_work_[static_cast<std::size_t>(query_class * classes_.key_relations() + relation)];
        work = work_of(example.rank, example.step);
        largest_own_work_s_ = std::max(largest_own_work_s_, work.total());
      }
    }
  }
  if (classes_.work_depends_on_owner()) {
    owner_work_.resize(static_cast<std::size_t>(ring_size()));
    owner_first_work_.resize(static_cast<std::size_t>(ring_size()));
    for (std::int64_t owner = 0; owner < ring_size(); ++owner) {
      // All ranks own all queries, so any other rank tells what every rank does with this owner's block.
      const std::int64_t rank = owner == 0 && ring_size() > 1 ? 1 : 0;
      owner_work_[static_cast<std::size_t>(owner)] = work_of(rank, (rank - owner + ring_size()) % ring_size());
      owner_first_work_[static_cast<std::size_t>(owner)] = work_of(owner, 0);
      largest_own_work_s_ = std::max({largest_own_work_s_, owner_work_[static_cast<std::size_t>(owner)].total(),
                                      owner_first_work_[static_cast<std::size_t>(owner)].total()});
    }
  }
}

WorkSeconds RingCosts::work(std::int64_t rank, std::int64_t step) const {
  WorkSeconds result;
  if (owner_work_.empty()) {
    result = class_work(classes_.query_class(rank), classes_.key_relation(rank, step));
  } else {
    const std::int64_t owner = rank >= step ? rank - step : rank - step + ring_size();
    result = (step == 0 ? owner_first_work_ : owner_work_)[static_cast<std::size_t>(owner)];
  }
  if (shares_cores_) {
    const double factor = step_factor_[static_cast<std::size_t>(step)];
    result.tile_s *= factor;
    result.merge_s *= factor;
  }
  return result;
}

void RingCosts::find_core_sharing(const machine::Machine &machine) {
  const machine::CoreSharing &sharing = machine.core_sharing;
  const std::int64_t ranks = std::min(options_.ranks_on_node, ring_size());
  if (sharing.cores == 0 || ranks <= 1) {
    return;
  }
  // How many ranks compute differs from step to step under a causal mask; counting them is quadratic in the ring.
  constexpr std::int64_t most_counted = 4096;
  step_factor_.resize(static_cast<std::size_t>(steps()));
  for (std::int64_t step = 0; step < steps(); ++step) {
    double active = static_cast<double>(ranks);
    if (ring_size() <= most_counted) {
      double sum = 0.0;
      double largest = 0.0;
      for (std::int64_t rank = 0; rank < ring_size(); ++rank) {
        const double work_s = work(rank, step).total();
        sum += work_s;
        largest = std::max(largest, work_s);
      }
      active *= largest > 0.0 ? sum / (largest * static_cast<double>(ring_size())) : 0.0;
    }
    step_factor_[static_cast<std::size_t>(step)] =
        machine::core_sharing_factor(sharing, static_cast<double>(ranks), active);
  }
  shares_cores_ = true;
  largest_work_s_ *= *std::max_element(step_factor_.begin(), step_factor_.end());
  step_fixed_s_ += ranks > sharing.cores ? sharing.extra_step_s.value : 0.0;
}

void RingCosts::find_hops(const machine::Machine &machine) {
  const RingProblem &problem = options_.problem;
  const memory::KernelFootprint footprint{machine.footprint.key_tile_tokens, machine.footprint.workspace_bytes};
  hop_bytes_ = static_cast<double>(memory::block_buffer_bytes(stored_in(problem, element_bytes()), footprint));
  link_period_ = machine::link_period(machine, ring_size());
  const auto hop_between = [&](std::int64_t from, std::int64_t to) {
    const machine::Link &link = machine::link_between(machine, from, to);
    const machine::Traffic traffic{ring_size(), machine::concurrent_flows(machine, link, ring_size())};
    return machine::message_time(link, hop_bytes_,
                                 machine::crowd_factor(link, machine::nearer_group(machine, link), traffic));
  };
  hop_by_place_ = {hop_between(ring_size() - 1, 0)};
  for (std::int64_t place = 0; place < link_period_; ++place) {
    // Rank `place` has no rank before it within the period when it is 0: then its neighbour lies in the group before.
    const std::int64_t rank = place == 0 ? std::min(link_period_, ring_size() - 1) : place;
    hop_by_place_.push_back(rank == 0 ? hop_by_place_.front() : hop_between(rank - 1, rank));
  }
  const bool closes = ring_size() % link_period_ == 0 && hop_by_place_[0] == hop_by_place_[1];
  hop_period_ = hops_are_alike() ? 1 : closes ? link_period_ : ring_size();
}

double RingCosts::largest_hop_s() const {
  return steps() > 1 ? *std::max_element(hop_by_place_.begin(), hop_by_place_.end()) : 0.0;
}

bool RingCosts::hops_are_alike() const {
  return std::all_of(hop_by_place_.begin(), hop_by_place_.end(),
                     [&](double hop_time) { return hop_time == hop_by_place_.front(); });
}

} // namespace ringscale::simulator
