// SPDX-License-Identifier: Apache-2.0
// What messages of a plan weigh and take.
#include <algorithm>

#include "machine/links.hpp"
#include "memory/closed_form.hpp"
#include "problem/invalid_input.hpp"
#include "simulator/plan_costs.hpp"
#include "simulator/stored_problem.hpp"

namespace ringscale::simulator {

using schedule::RingProblem;
using schedule::Schedule;

namespace {

/// A merge reads two partials and writes one: bytes of an element of it.
constexpr double merged_element_bytes = 12.0;

} // namespace

std::int64_t flows_at_distance(const machine::Machine &machine, const machine::Link &link, std::int64_t ring_size,
                               std::int64_t distance) {
  const std::int64_t nearer = machine::nearer_group(machine, link);
  const std::int64_t group = link.group_devices == 0 ? ring_size : std::min(link.group_devices, ring_size);
  return std::max<std::int64_t>(
      1, std::min(group, machine::concurrent_flows(machine, link, ring_size) * std::min(nearer, distance)));
}

void PlanCosts::find_bytes() {
  const RingProblem &problem = options_.problem;
  // Blocks are padded to whole key tiles; of several types to the longest of these, so that all can read them.
  memory::KernelFootprint footprint{1, 0};
  for (const Type &one : types_) {
    footprint.key_tile_tokens = std::max(footprint.key_tile_tokens, one.machine.footprint.key_tile_tokens);
  }
  const auto header = static_cast<double>(memory::block_header_bytes);
  const RingProblem stored = stored_in(problem, element_bytes());
  const auto block = [&](std::int64_t owner) {
    return header + static_cast<double>(memory::block_payload_bytes(stored, owner, footprint));
  };
  // Results are added up and travel in single precision, whatever tensors are stored in.
  const RingProblem single = stored_in(problem, sizeof(float));
  const auto result = [&](std::int64_t owner) {
    return header + static_cast<double>(memory::result_payload_bytes(single, owner));
  };
  if (problem.chunks.weighted()) {
    for (std::int64_t owner = 0; owner < ring_size(); ++owner) {
      block_bytes_.push_back(block(owner));
      result_bytes_.push_back(result(owner));
    }
    return;
  }
  // Even chunks differ by a granule; all messages are taken for the largest, as in RingCosts.
  block_bytes_ = result_bytes_ = {0.0};
  for (const std::int64_t owner : schedule::ranks_with_most_tokens(ring_size(), schedule::chunk_shape(problem))) {
    block_bytes_[0] = std::max(block_bytes_[0], block(owner));
    result_bytes_[0] = std::max(result_bytes_[0], result(owner));
  }
}

double PlanCosts::largest_block_bytes() const { return *std::max_element(block_bytes_.begin(), block_bytes_.end()); }

double PlanCosts::largest_result_bytes() const {
  return schedule::has_results(options_.problem) ? *std::max_element(result_bytes_.begin(), result_bytes_.end()) : 0.0;
}

std::int64_t PlanCosts::hop_distance(const Transfer &transfer) const {
  const RingProblem &problem = options_.problem;
  const bool between_inner_rings = problem.schedule == Schedule::double_ring &&
                                   transfer.from / problem.inner_ring_size != transfer.to / problem.inner_ring_size;
  if (transfer.to_owner || problem.schedule == Schedule::all_gather) {
    const std::int64_t forwards = (transfer.to - transfer.from + ring_size()) % ring_size();
    return std::min(forwards, ring_size() - forwards);
  }
  return between_inner_rings ? problem.inner_ring_size : 1;
}

double PlanCosts::crowd_of(const Type &type, const machine::Link &link, std::int64_t distance) const {
  const bool both_ways = options_.problem.schedule == Schedule::bidirectional_ring;
  // Groups and cards hold devices of one type, the farthest link all of them.
  const std::int64_t in_reach = link.group_devices == 0 ? ring_size() : type.devices;
  const machine::Traffic traffic{type.devices, flows_at_distance(type.machine, link, in_reach, distance), distance,
                                 both_ways ? 2 : 1};
  return machine::crowd_factor(link, machine::nearer_group(type.machine, link), traffic);
}

double PlanCosts::message_of_bytes_s(const Transfer &transfer, double bytes) const {
  const Type &sender = type(transfer.from);
  const Type &receiver = type(transfer.to);
  if (&sender != &receiver) {
    return std::max(link_message_s(sender, sender.machine.links.back(), transfer, bytes),
                    link_message_s(receiver, receiver.machine.links.back(), transfer, bytes));
  }
  const std::int64_t first = fleet_.first_rank(fleet_.type_of(transfer.from));
  const machine::Link &link = machine::link_between(sender.machine, transfer.from - first, transfer.to - first);
  return link_message_s(sender, link, transfer, bytes);
}

double PlanCosts::link_message_s(const Type &type, const machine::Link &link, const Transfer &transfer,
                                 double bytes) const {
  const double crowd = crowd_of(type, link, hop_distance(transfer));
  const bool two = options_.problem.layout == schedule::MessageLayout::separate && !transfer.is_result;
  if (two && (link.rendezvous || link.receive_buffer_bytes > 0)) {
    return 2.0 * machine::message_time(link, 0.5 * bytes, crowd);
  }
  return machine::message_time(link, bytes, crowd) +
         (two ? link.latency_s.value + link.per_message_overhead_s.value : 0.0);
}

double PlanCosts::largest_message_s() const {
  double most = 0.0;
  const double bytes = std::max(largest_block_bytes(), largest_result_bytes());
  for (const Type &one : types_) {
    for (const machine::Link &link : one.machine.links) {
      const double handshake_s = link.rendezvous ? link.rendezvous->handshake_s.value : 0.0;
      // Two messages have at most one piece more than one.
      most = std::max(most, machine::message_time(link, bytes, crowd_of(one, link, ring_size())) + handshake_s +
                                3.0 * link.latency_s.value + link.per_message_overhead_s.value);
    }
  }
  return ring_size() > 1 ? most : 0.0;
}

void PlanCosts::find_copy_bandwidth(Type &type) const {
  const machine::MergeCost &merge = type.machine.merge;
  if (type.machine.tiles.samples.empty()) {
    type.copy_bytes_per_s = type.machine.roofline.memory_bandwidth_bytes_per_s.value;
  } else if (merge.per_element_s.value > 0.0) {
    type.copy_bytes_per_s = merged_element_bytes / merge.per_element_s.value;
  } else {
    throw problem::InvalidInput("message layout copied: machine " + type.machine.name +
                                " has neither a memory bandwidth nor a merge time to take it from; use stored_packed "
                                "or separate");
  }
}

double PlanCosts::copy_s(std::int64_t rank, std::int64_t owner) const {
  // Read once and written once.
  const double bytes_per_s = type(rank).copy_bytes_per_s;
  return bytes_per_s > 0.0 ? 2.0 * block_bytes(owner) / bytes_per_s : 0.0;
}

double PlanCosts::addition_s(std::int64_t rank, std::int64_t owner) const {
  const double elements = (result_bytes(owner) - static_cast<double>(memory::block_header_bytes)) / sizeof(float);
  const machine::MergeCost &merge = type(rank).machine.merge;
  return merge.fixed_s.value + merge.per_element_s.value * elements;
}

} // namespace ringscale::simulator
