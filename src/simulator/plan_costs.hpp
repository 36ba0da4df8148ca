// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/fleet.hpp"
#include "simulator/measured_jitter.hpp"
#include "simulator/meeting_work.hpp"
#include "simulator/plan_steps.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::simulator {

/// What the steps of any schedule cost in seconds on a machine: meetings, messages, additions of results, copies. For
/// the forward ring of keys and values these are the costs of RingCosts, to the last bit.
class PlanCosts {
public:
  /// Throws InvalidInput for options the machines cannot answer, and for types that do not compute in one dtype.
  PlanCosts(const machine::Fleet &fleet, const SimulationOptions &options);
  PlanCosts(const machine::Machine &machine, const SimulationOptions &options)
      : PlanCosts(machine::Fleet(machine, options.problem.ring_size), options) {}

  const schedule::RingProblem &problem() const { return options_.problem; }
  const machine::Fleet &fleet() const { return fleet_; }
  std::int64_t ring_size() const { return options_.problem.ring_size; }

  /// Work of `rank` with the block of `owner`, at nominal speed and on a core of its own.
  WorkSeconds meeting(std::int64_t rank, std::int64_t owner) const;
  /// At least the work of any rank in any step, cores shared.
  double largest_work_s() const { return largest_work_s_; }
  /// Factor on the work of a step where ranks share cores.
  double core_factor(std::int64_t step) const {
    return step_factor_.empty() ? 1.0 : step_factor_[static_cast<std::size_t>(step)];
  }
  /// Of a device: its drawn speed, its listed one, and that of a straggler.
  double time_factor(std::int64_t rank) const { return time_factor_[static_cast<std::size_t>(rank)]; }
  double largest_time_factor() const;
  double step_fixed_s(std::int64_t rank) const { return type(rank).step_fixed_s; }
  double largest_step_fixed_s() const;
  /// Jitter as the machines were measured; none unless options.measured_jitter.
  const MeasuredJitter &measured_jitter() const { return measured_jitter_; }

  /// A message alone, nobody computing; between devices of different types over the slower of both farthest links.
  /// Layout separate: two messages, so a latency and an overhead more.
  double message_s(const Transfer &transfer) const { return message_of_bytes_s(transfer, bytes_of(transfer)); }
  /// The same message without bytes: its latencies and overheads.
  double empty_message_s(const Transfer &transfer) const { return message_of_bytes_s(transfer, 0.0); }
  /// At least that of any message.
  double largest_message_s() const;
  /// Before a block leaves: 0 but for layout copied, where it is read and written at the memory's bandwidth.
  double copy_s(std::int64_t rank, std::int64_t owner) const;
  /// `rank` joins a result that arrived: a merge of as many elements.
  double addition_s(std::int64_t rank, std::int64_t owner) const;
  /// Part of the shorter of work and message that does not hide behind the longer one.
  double exposed_s(std::int64_t rank, double work_s, double message_time_s) const {
    return (1.0 - type(rank).hidden_fraction) * (work_s < message_time_s ? work_s : message_time_s);
  }

  double block_bytes(std::int64_t owner) const { return block_bytes_[block_bytes_.size() == 1 ? 0 : index(owner)]; }
  double result_bytes(std::int64_t owner) const { return result_bytes_[result_bytes_.size() == 1 ? 0 : index(owner)]; }
  double largest_block_bytes() const;
  double largest_result_bytes() const;

  const std::string &dtype() const { return types_[0].work.forward_tile().dtype(); }
  std::int64_t element_bytes() const { return types_[0].work.forward_tile().element_bytes(); }
  /// What lies outside a machine's calibration; of several types with the machine's name.
  std::string extrapolation() const;
  /// "tiles" when forward times, or backward ones, were taken as they stand; else what they were multiplied by.
  std::string time_source() const;

private:
  /// What the devices of one type have in common.
  struct Type {
    machine::Machine machine;
    mutable MeetingWork work; ///< remembers what lay outside the calibration
    double step_fixed_s = 0.0;
    double hidden_fraction = 1.0;
    double copy_bytes_per_s = 0.0;
    std::int64_t devices = 0;
  };

  static std::size_t index(std::int64_t value) { return static_cast<std::size_t>(value); }
  const Type &type(std::int64_t rank) const { return types_[type_of_rank_.empty() ? 0 : type_of_rank_[index(rank)]]; }
  void add_types();
  void find_bytes();
  void find_copy_bandwidth(Type &type) const;
  void find_largest_work();
  void find_core_sharing();
  std::int64_t hop_distance(const Transfer &transfer) const;
  double bytes_of(const Transfer &transfer) const {
    return transfer.is_result ? result_bytes(transfer.owner) : block_bytes(transfer.owner);
  }
  double message_of_bytes_s(const Transfer &transfer, double bytes) const;
  double link_message_s(const Type &type, const machine::Link &link, const Transfer &transfer, double bytes) const;
  double crowd_of(const Type &type, const machine::Link &link, std::int64_t distance) const;

  machine::Fleet fleet_;
  SimulationOptions options_;
  std::vector<Type> types_;
  std::vector<std::uint16_t> type_of_rank_; ///< empty for one type
  std::vector<problem::TokenSet> queries_;
  std::vector<problem::TokenSet> keys_;
  std::vector<double> block_bytes_; ///< by owner; one entry when all are taken for the largest
  std::vector<double> result_bytes_;
  std::vector<double> time_factor_;
  MeasuredJitter measured_jitter_;
  std::vector<double> step_factor_;
  double largest_work_s_ = 0.0;
};

/// Messages that use one group of `link` in one direction at the same time when every rank sends to the one `distance`
/// further on: of the ranks of a nearer group, `distance` send out of it at most.
std::int64_t flows_at_distance(const machine::Machine &machine, const machine::Link &link, std::int64_t ring_size,
                               std::int64_t distance);

} // namespace ringscale::simulator
