// SPDX-License-Identifier: Apache-2.0
#include "simulator/plan_costs.hpp"

#include <algorithm>

#include "machine/links.hpp"
#include "memory/closed_form.hpp"
#include "problem/invalid_input.hpp"
#include "simulator/noise.hpp"

namespace ringscale::simulator {

using problem::TokenSet;
using schedule::Moving;
using schedule::Pass;
using schedule::RingProblem;
using schedule::Schedule;

namespace {

/// A merge reads two partials and writes one: bytes of an element of it.
constexpr double merged_element_bytes = 12.0;

TokenSet longest_spans(const std::vector<TokenSet> &sets) {
  TokenSet longest;
  for (const TokenSet &tokens : sets) {
    longest.first.count = std::max(longest.first.count, tokens.first.count);
    longest.second.count = std::max(longest.second.count, tokens.second.count);
  }
  return longest;
}

} // namespace

std::int64_t flows_at_distance(const machine::Machine &machine, const machine::Link &link, std::int64_t ring_size,
                               std::int64_t distance) {
  const std::int64_t nearer = machine::nearer_group(machine, link);
  const std::int64_t group = link.group_devices == 0 ? ring_size : std::min(link.group_devices, ring_size);
  return std::max<std::int64_t>(
      1, std::min(group, machine::concurrent_flows(machine, link, ring_size) * std::min(nearer, distance)));
}

PlanCosts::PlanCosts(const machine::Machine &machine, const SimulationOptions &options)
    : machine_(machine), options_(options), work_(machine, options.problem, options.dtype),
      step_fixed_s_(machine.step_fixed_s.value), hidden_fraction_(machine.overlap.hidden_fraction.value) {
  if (options.kernel != memory::KernelKind::streamed) {
    throw problem::InvalidInput("kernel materialised: machine files hold times of the streamed kernel; simulate that");
  }
  const RingProblem &problem = options_.problem;
  for (std::int64_t rank = 0; rank < ring_size(); ++rank) {
    queries_.push_back(schedule::queries_of(problem, rank));
    keys_.push_back(schedule::keys_of(problem, rank));
    const double drawn = device_time_factor(options.seed, rank, options.speed_spread);
    time_factor_.push_back(options.device_speeds.empty() ? drawn : drawn / options.device_speeds[index(rank)]);
  }
  find_bytes();
  if (problem.layout == schedule::MessageLayout::copied) {
    find_copy_bandwidth();
  }
  find_largest_work();
  find_core_sharing();
}

WorkSeconds PlanCosts::meeting(std::int64_t rank, std::int64_t owner) const {
  const RingProblem &problem = options_.problem;
  const bool queries_move = problem.moving == Moving::query;
  const std::int64_t query_rank = queries_move ? owner : rank;
  const std::int64_t key_rank = queries_move ? rank : owner;
  // Moving queries leave a result of their own behind, which is joined to others where it arrives.
  const bool replaces = queries_move || rank == owner;
  if (problem.pattern.kind == problem::PatternKind::dense) {
    return work_.dense(queries_[index(query_rank)], keys_[index(key_rank)], replaces);
  }
  return work_.patterned(queries_[index(query_rank)], keys_[index(key_rank)],
                         schedule::pairs_of_meeting(problem, query_rank, key_rank), replaces);
}

void PlanCosts::find_largest_work() {
  RingProblem whole = options_.problem;
  whole.attention.mask = problem::Mask::none;
  MeetingWork unmasked(machine_, whole, options_.dtype);
  const WorkSeconds work = unmasked.dense(longest_spans(queries_), longest_spans(keys_), false);
  // Overlapping groups of a dilated pattern may each admit a pair.
  const double repeats = options_.problem.pattern.kind == problem::PatternKind::dilated
                             ? static_cast<double>(options_.problem.pattern.dilated.segment_lengths.size())
                             : 1.0;
  largest_work_s_ =
      static_cast<double>(schedule::lane_count(options_.problem)) * (work.tile_s * repeats + work.merge_s);
}

double PlanCosts::largest_time_factor() const { return *std::max_element(time_factor_.begin(), time_factor_.end()); }

void PlanCosts::find_core_sharing() {
  const machine::CoreSharing &sharing = machine_.core_sharing;
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
  step_fixed_s_ += ranks > sharing.cores ? sharing.extra_step_s.value : 0.0;
}

void PlanCosts::find_bytes() {
  const RingProblem &problem = options_.problem;
  const memory::KernelFootprint footprint{machine_.footprint.key_tile_tokens, machine_.footprint.workspace_bytes};
  const auto header = static_cast<double>(memory::block_header_bytes);
  // The accountant counts the problem's element type; a published machine may compute in a narrower one.
  const double narrowed =
      static_cast<double>(element_bytes()) / static_cast<double>(problem::storage_bytes(problem.attention.dtype));
  const auto block = [&](std::int64_t owner) {
    return header + narrowed * static_cast<double>(memory::block_payload_bytes(problem, owner, footprint));
  };
  // Results are added up and travel in single precision, whatever tensors are stored in.
  RingProblem single = problem;
  single.attention.dtype = problem::DType::float32;
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

double PlanCosts::crowd_of(const machine::Machine &machine, const machine::Link &link, std::int64_t distance) const {
  const bool both_ways = options_.problem.schedule == Schedule::bidirectional_ring;
  const machine::Traffic traffic{ring_size(), flows_at_distance(machine, link, ring_size(), distance), distance,
                                 both_ways ? 2 : 1};
  return machine::crowd_factor(link, machine::nearer_group(machine, link), traffic);
}

double PlanCosts::message_s(const Transfer &transfer) const {
  const machine::Link &link = machine::link_between(machine_, transfer.from, transfer.to);
  const double crowd = crowd_of(machine_, link, hop_distance(transfer));
  const double bytes = transfer.is_result ? result_bytes(transfer.owner) : block_bytes(transfer.owner);
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
  for (const machine::Link &link : machine_.links) {
    const double handshake_s = link.rendezvous ? link.rendezvous->handshake_s.value : 0.0;
    // Two messages have at most one piece more than one.
    most = std::max(most, machine::message_time(link, bytes, crowd_of(machine_, link, ring_size())) + handshake_s +
                              3.0 * link.latency_s.value + link.per_message_overhead_s.value);
  }
  return ring_size() > 1 ? most : 0.0;
}

void PlanCosts::find_copy_bandwidth() {
  const machine::MergeCost &merge = machine_.merge;
  if (machine_.tiles.samples.empty()) {
    copy_bytes_per_s_ = machine_.roofline.memory_bandwidth_bytes_per_s.value;
  } else if (merge.per_element_s.value > 0.0) {
    copy_bytes_per_s_ = merged_element_bytes / merge.per_element_s.value;
  } else {
    throw problem::InvalidInput("message layout copied: machine " + machine_.name +
                                " has neither a memory bandwidth nor a merge time to take it from; use stored_packed "
                                "or separate");
  }
}

double PlanCosts::copy_s(std::int64_t owner) const {
  // Read once and written once.
  return copy_bytes_per_s_ > 0.0 ? 2.0 * block_bytes(owner) / copy_bytes_per_s_ : 0.0;
}

double PlanCosts::addition_s(std::int64_t owner) const {
  const double elements = (result_bytes(owner) - static_cast<double>(memory::block_header_bytes)) / sizeof(float);
  return machine_.merge.fixed_s.value + machine_.merge.per_element_s.value * elements;
}

std::string PlanCosts::time_source() const {
  return options_.problem.pass == Pass::backward && work_.backward_is_scaled() ? "2.5 x forward tiles" : "tiles";
}

} // namespace ringscale::simulator
