// SPDX-License-Identifier: Apache-2.0
#include "simulator/ring_costs.hpp"

#include <algorithm>

#include "machine/links.hpp"
#include "problem/invalid_input.hpp"
#include "simulator/stored_problem.hpp"

namespace ringscale::simulator {

using schedule::RingProblem;

RingCosts::RingCosts(const machine::Fleet &fleet, const SimulationOptions &options)
    : options_(options), classes_(options.problem) {
  if (options.kernel != memory::KernelKind::streamed) {
    throw problem::InvalidInput("kernel materialised: machine files hold times of the streamed kernel; simulate that");
  }
  add_types(fleet);
  if (options.measured_jitter) {
    measured_jitter_ = MeasuredJitter(fleet, options.seed);
  }
  find_hops(fleet);
  for (Type &type : types_) {
    find_work(type);
  }
  largest_work_s_ = largest_own_work_s_;
  if (types_.size() == 1) {
    set_free_terms(fleet.machine(0));
  }
}

void RingCosts::add_types(const machine::Fleet &fleet) {
  if (fleet.devices() != ring_size()) {
    throw problem::InvalidInput("the machines have " + std::to_string(fleet.devices()) + " devices, the ring has " +
                                std::to_string(ring_size()));
  }
  if (fleet.mixed() && options_.ranks_on_node > 0) {
    throw problem::InvalidInput("ranks_on_node: ranks of one node share the cores of one type of device");
  }
  for (std::size_t place = 0; place < fleet.types(); ++place) {
    const machine::Machine &machine = fleet.machine(place);
    // All types compute and send in the first one's element type.
    const std::string dtype = types_.empty() ? options_.dtype : this->dtype();
    types_.push_back({machine.name,
                      MeetingWork(machine, options_.problem, dtype, options_.tile_speedup),
                      {},
                      {},
                      {},
                      machine.step_fixed_s.value,
                      machine.overlap.hidden_fraction.value});
    first_ranks_.push_back(fleet.first_rank(place));
  }
  first_ranks_.push_back(ring_size());
  for (std::int64_t rank = 0; rank < ring_size() && fleet.mixed(); ++rank) {
    type_of_rank_.push_back(static_cast<std::uint16_t>(fleet.type_of(rank)));
  }
}

void RingCosts::set_free_terms(const machine::Machine &machine) {
  types_[0].step_fixed_s = machine.step_fixed_s.value;
  types_[0].hidden_fraction = machine.overlap.hidden_fraction.value;
  largest_work_s_ = largest_own_work_s_;
  shares_cores_ = false;
  step_factor_.clear();
  find_core_sharing(machine);
}

WorkSeconds RingCosts::work_of(Type &type, std::int64_t rank, std::int64_t step) const {
  const RingProblem &problem = options_.problem;
  const std::int64_t owner = schedule::step_of(problem, rank, step).block_owner;
  return type.meeting_work.dense(schedule::queries_of(problem, rank), schedule::keys_of(problem, owner), step == 0);
}

void RingCosts::find_work(Type &type) {
  type.class_work.resize(static_cast<std::size_t>(classes_.query_classes() * classes_.key_relations()));
  for (int query_class = 0; query_class < classes_.query_classes(); ++query_class) {
    for (int relation = 0; relation < classes_.key_relations(); ++relation) {
      const StepClasses::Example example = classes_.example(query_class, relation);
      if (example.rank >= 0) {
        WorkSeconds &work =
            type.class_work[static_cast<std::size_t>(query_class * classes_.key_relations() + relation)];
        work = work_of(type, example.rank, example.step);
        largest_own_work_s_ = std::max(largest_own_work_s_, work.total());
      }
    }
  }
  if (classes_.work_depends_on_owner()) {
    type.owner_work.resize(static_cast<std::size_t>(ring_size()));
    type.owner_first_work.resize(static_cast<std::size_t>(ring_size()));
    for (std::int64_t owner = 0; owner < ring_size(); ++owner) {
      // All ranks own all queries, so any other rank tells what every rank does with this owner's block.
      const std::int64_t rank = owner == 0 && ring_size() > 1 ? 1 : 0;
      WorkSeconds &work = type.owner_work[static_cast<std::size_t>(owner)];
      WorkSeconds &first_work = type.owner_first_work[static_cast<std::size_t>(owner)];
      work = work_of(type, rank, (rank - owner + ring_size()) % ring_size());
      first_work = work_of(type, owner, 0);
      largest_own_work_s_ = std::max({largest_own_work_s_, work.total(), first_work.total()});
    }
  }
}

WorkSeconds RingCosts::work(std::int64_t rank, std::int64_t step) const {
  const Type &type = types_[type_of(rank)];
  WorkSeconds result;
  if (type.owner_work.empty()) {
    result = class_work(type_of(rank), classes_.query_class(rank), classes_.key_relation(rank, step));
  } else {
    const std::int64_t owner = rank >= step ? rank - step : rank - step + ring_size();
    result = (step == 0 ? type.owner_first_work : type.owner_work)[static_cast<std::size_t>(owner)];
  }
  if (shares_cores_) {
    const double factor = step_factor_[static_cast<std::size_t>(step)];
    result.tile_s *= factor;
    result.merge_s *= factor;
  }
  return result;
}

double RingCosts::largest_step_fixed_s() const {
  double most = 0.0;
  for (const Type &type : types_) {
    most = std::max(most, type.step_fixed_s);
  }
  return most;
}

double RingCosts::largest_exposed_s() const {
  double most = 0.0;
  for (std::size_t type = 0; type < types_.size(); ++type) {
    most = std::max(most, exposed_s(first_ranks_[type], largest_work_s_ + types_[type].step_fixed_s, largest_hop_s()));
  }
  return most;
}

std::string RingCosts::extrapolation() const {
  std::string reasons;
  for (const Type &type : types_) {
    const std::string &reason = type.meeting_work.extrapolation();
    if (!reason.empty()) {
      reasons += (reasons.empty() ? "" : "; ") + (types_.size() > 1 ? type.name + ": " : "") + reason;
    }
  }
  return reasons;
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
  types_[0].step_fixed_s += ranks > sharing.cores ? sharing.extra_step_s.value : 0.0;
}

double RingCosts::hop_between(const machine::Fleet &fleet, std::int64_t from, std::int64_t to, double bytes) const {
  const auto message_s = [&](std::size_t type, const machine::Link &link) {
    const machine::Machine &machine = fleet.machine(type);
    // Groups and cards hold devices of one type, the farthest link all of them.
    const std::int64_t devices = fleet.devices_of(type);
    const std::int64_t in_reach = link.group_devices == 0 ? ring_size() : devices;
    const machine::Traffic traffic{devices, machine::concurrent_flows(machine, link, in_reach)};
    return machine::message_time(link, bytes,
                                 machine::crowd_factor(link, machine::nearer_group(machine, link), traffic));
  };
  const std::size_t sender = fleet.type_of(from);
  const std::size_t receiver = fleet.type_of(to);
  const machine::Machine &machine = fleet.machine(sender);
  if (sender != receiver) {
    return std::max(message_s(sender, machine.links.back()), message_s(receiver, fleet.machine(receiver).links.back()));
  }
  const std::int64_t first = fleet.first_rank(sender);
  return message_s(sender, machine::link_between(machine, from - first, to - first));
}

void RingCosts::find_hops(const machine::Fleet &fleet) {
  // Blocks are padded to whole key tiles; of several types to the longest of these, so that all can read them.
  memory::KernelFootprint footprint{1, 0};
  for (std::size_t type = 0; type < fleet.types(); ++type) {
    const machine::KernelFootprint &own = fleet.machine(type).footprint;
    footprint = {std::max(footprint.key_tile_tokens, own.key_tile_tokens), own.workspace_bytes};
  }
  hop_bytes_ = static_cast<double>(memory::block_buffer_bytes(stored_in(options_.problem, element_bytes()), footprint));
  link_period_ = fleet.mixed() ? ring_size() : machine::link_period(fleet.machine(0), ring_size());
  double slowest_s = 0.0;
  const auto add_hop = [&](std::int64_t from, std::int64_t to) {
    hop_by_place_.push_back(hop_between(fleet, from, to, hop_bytes_));
    if (hop_by_place_.back() > slowest_s) {
      slowest_s = hop_by_place_.back();
      empty_hop_s_ = hop_between(fleet, from, to, 0.0);
    }
  };
  add_hop(ring_size() - 1, 0);
  for (std::int64_t place = 0; place < link_period_; ++place) {
    // Rank `place` has no rank before it within the period when it is 0: then its neighbour lies in the group before.
    const std::int64_t rank = place == 0 ? std::min(link_period_, ring_size() - 1) : place;
    add_hop(rank == 0 ? ring_size() - 1 : rank - 1, rank);
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
