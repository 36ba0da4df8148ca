// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "memory/closed_form.hpp"
#include "simulator/meeting_work.hpp"
#include "simulator/simulation.hpp"
#include "simulator/step_classes.hpp"

namespace ringscale::simulator {

/// What everything in a ring costs in seconds on a machine: work by class, hops by link, fixed terms.
class RingCosts {
public:
  /// Throws InvalidInput for options the machine cannot answer.
  RingCosts(const machine::Machine &machine, const SimulationOptions &options);

  /// Takes the free terms (step_fixed_s, hidden fraction, core sharing) of `machine` in place of those it was made
  /// with; tiles, merges and links stay. Fits call this thousands of times.
  void set_free_terms(const machine::Machine &machine);

  const StepClasses &classes() const { return classes_; }
  std::int64_t ring_size() const { return classes_.ring_size(); }
  std::int64_t steps() const { return classes_.steps(); }

  /// Work of `rank` in `step`.
  WorkSeconds work(std::int64_t rank, std::int64_t step) const;
  /// Work of a class; meaningless where work depends on the owner or on the step.
  const WorkSeconds &class_work(int query_class, int key_relation) const {
    return class_work_[static_cast<std::size_t>(query_class * classes_.key_relations() + key_relation)];
  }
  /// False when work is no function of the class alone: replicated queries under a causal mask, or shared cores.
  bool work_is_by_class() const { return owner_work_.empty() && !shares_cores_; }
  /// Largest work of any rank and step.
  double largest_work_s() const { return largest_work_s_; }

  double step_fixed_s() const { return step_fixed_s_; }
  /// Message from the rank before into `rank`; nobody computing.
  double hop_s(std::int64_t rank) const {
    return hop_by_place_[static_cast<std::size_t>(rank == 0 ? 0 : 1 + rank % link_period_)];
  }
  double largest_hop_s() const;
  bool hops_are_alike() const;
  /// Ranks after which hops repeat, also across the ring's end; ring_size when they do not.
  std::int64_t hop_period() const { return hop_period_; }
  /// Ranks after which hops repeat within the ring, whatever happens at its end.
  std::int64_t link_period() const { return link_period_; }
  /// Part of the shorter of work and hop that does not hide behind the longer one.
  double exposed_s(double work_s, double hop_time_s) const {
    return (1.0 - hidden_fraction_) * (work_s < hop_time_s ? work_s : hop_time_s);
  }

  double hop_bytes() const { return hop_bytes_; }
  const std::string &dtype() const { return meeting_work_.forward_tile().dtype(); }
  std::int64_t element_bytes() const { return meeting_work_.forward_tile().element_bytes(); }
  /// What lies outside the calibrated range; empty when nothing does.
  const std::string &extrapolation() const { return meeting_work_.extrapolation(); }

private:
  WorkSeconds work_of(std::int64_t rank, std::int64_t step);
  void find_work();
  void find_hops(const machine::Machine &machine);
  void find_core_sharing(const machine::Machine &machine);

  SimulationOptions options_;
  StepClasses classes_;
  MeetingWork meeting_work_;
  std::vector<WorkSeconds> class_work_;
  std::vector<WorkSeconds> owner_work_;       ///< replicated queries under a causal mask, after the first step
  std::vector<WorkSeconds> owner_first_work_; ///< and in it, where the result is written and not merged
  std::vector<double> step_factor_;           ///< shared cores: by step
  bool shares_cores_ = false;
  double largest_own_work_s_ = 0.0; ///< before core sharing
  double largest_work_s_ = 0.0;
  double step_fixed_s_ = 0.0;
  double hop_bytes_ = 0.0;
  double hidden_fraction_ = 1.0;
  std::int64_t link_period_ = 1;
  std::int64_t hop_period_ = 1;
  std::vector<double> hop_by_place_; ///< [0]: into rank 0; [1 + i]: into ranks of place i in the period
};

} // namespace ringscale::simulator
