// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/fleet.hpp"
#include "memory/closed_form.hpp"
#include "simulator/measured_jitter.hpp"
#include "simulator/meeting_work.hpp"
#include "simulator/simulation.hpp"
#include "simulator/step_classes.hpp"

namespace ringscale::simulator {

/// What everything in a ring costs in seconds on devices of one or several types: work by type and class, hops by link,
/// fixed terms by type. Between devices of different types a hop takes the slower of both farthest links.
class RingCosts {
public:
  /// Throws InvalidInput for options the machines cannot answer, and for types that do not compute in one dtype.
  RingCosts(const machine::Fleet &fleet, const SimulationOptions &options);
  RingCosts(const machine::Machine &machine, const SimulationOptions &options)
      : RingCosts(machine::Fleet(machine, options.problem.ring_size), options) {}

  /// Takes the free terms (step_fixed_s, hidden fraction, core sharing) of `machine` in place of those it was made
  /// with; tiles, merges and links stay. Fits call this thousands of times. For devices of one type.
  void set_free_terms(const machine::Machine &machine);

  const StepClasses &classes() const { return classes_; }
  std::int64_t ring_size() const { return classes_.ring_size(); }
  std::int64_t steps() const { return classes_.steps(); }

  /// Work of `rank` in `step`.
  WorkSeconds work(std::int64_t rank, std::int64_t step) const;
  /// Work of a class on devices of a type; meaningless where work depends on the owner or on the step.
  const WorkSeconds &class_work(std::size_t type, int query_class, int key_relation) const {
    return types_[type].class_work[static_cast<std::size_t>(query_class * classes_.key_relations() + key_relation)];
  }
  std::size_t types() const { return types_.size(); }
  std::size_t type_of(std::int64_t rank) const {
    return type_of_rank_.empty() ? 0 : type_of_rank_[static_cast<std::size_t>(rank)];
  }
  /// Ranks of a type are neighbours: from this one on, up to the next type's.
  std::int64_t first_rank(std::size_t type) const { return first_ranks_[type]; }
  /// False when work is no function of the class alone: replicated queries under a causal mask, or shared cores.
  bool work_is_by_class() const { return types_[0].owner_work.empty() && !shares_cores_; }
  /// Largest work of any rank and step.
  double largest_work_s() const { return largest_work_s_; }

  double step_fixed_s(std::int64_t rank) const { return types_[type_of(rank)].step_fixed_s; }
  double largest_step_fixed_s() const;
  /// Message from the rank before into `rank`; nobody computing.
  double hop_s(std::int64_t rank) const {
    return hop_by_place_[static_cast<std::size_t>(rank == 0 ? 0 : 1 + rank % link_period_)];
  }
  double largest_hop_s() const;
  /// The slowest hop if its message had no bytes: latencies and overheads.
  double empty_hop_s() const { return empty_hop_s_; }
  bool hops_are_alike() const;
  /// Ranks after which hops repeat, also across the ring's end; ring_size when they do not.
  std::int64_t hop_period() const { return hop_period_; }
  /// Ranks after which hops repeat within the ring, whatever happens at its end.
  std::int64_t link_period() const { return link_period_; }
  /// Part of the shorter of work and hop that does not hide behind the longer one.
  double exposed_s(std::int64_t rank, double work_s, double hop_time_s) const {
    return (1.0 - types_[type_of(rank)].hidden_fraction) * (work_s < hop_time_s ? work_s : hop_time_s);
  }
  /// At least that of any rank and step.
  double largest_exposed_s() const;

  /// Jitter as the machines were measured; none unless options.measured_jitter.
  const MeasuredJitter &measured_jitter() const { return measured_jitter_; }

  double hop_bytes() const { return hop_bytes_; }
  const std::string &dtype() const { return types_[0].meeting_work.forward_tile().dtype(); }
  std::int64_t element_bytes() const { return types_[0].meeting_work.forward_tile().element_bytes(); }
  /// What lies outside the calibrated range; empty when nothing does. Of several types with the machine's name.
  std::string extrapolation() const;

private:
  /// What the devices of one type have in common.
  struct Type {
    std::string name;
    MeetingWork meeting_work;
    std::vector<WorkSeconds> class_work;
    std::vector<WorkSeconds> owner_work;       ///< replicated queries under a causal mask, after the first step
    std::vector<WorkSeconds> owner_first_work; ///< and in it, where the result is written and not merged
    double step_fixed_s = 0.0;
    double hidden_fraction = 1.0;
  };

  void add_types(const machine::Fleet &fleet);
  WorkSeconds work_of(Type &type, std::int64_t rank, std::int64_t step) const;
  void find_work(Type &type);
  void find_hops(const machine::Fleet &fleet);
  double hop_between(const machine::Fleet &fleet, std::int64_t from, std::int64_t to, double bytes) const;
  void find_core_sharing(const machine::Machine &machine);

  SimulationOptions options_;
  StepClasses classes_;
  std::vector<Type> types_;
  std::vector<std::uint16_t> type_of_rank_; ///< empty for one type
  std::vector<std::int64_t> first_ranks_;   ///< of each type, and one past the last rank
  MeasuredJitter measured_jitter_;
  std::vector<double> step_factor_; ///< shared cores: by step
  bool shares_cores_ = false;
  double largest_own_work_s_ = 0.0; ///< before core sharing
  double largest_work_s_ = 0.0;
  double hop_bytes_ = 0.0;
  double empty_hop_s_ = 0.0;
  std::int64_t link_period_ = 1;
  std::int64_t hop_period_ = 1;
  std::vector<double> hop_by_place_; ///< [0]: into rank 0; [1 + i]: into ranks of place i in the period
};

} // namespace ringscale::simulator
