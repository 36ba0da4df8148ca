// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "problem/invalid_input.hpp"
#include "ring/checkpoint_file.hpp"
#include "ring/rank_state.hpp"
#include "ring/ring_rank.hpp"

namespace ringscale::ring {

using schedule::RankStep;

namespace {

using Bytes = Kokkos::View<std::byte *, kernels::MemorySpace, kernels::Unmanaged>;
using ConstHostBytes = Kokkos::View<const std::byte *, Kokkos::HostSpace, kernels::Unmanaged>;

constexpr std::int64_t nobody = -1;
constexpr const char *counters_name = "counters";
constexpr const char *seconds_name = "seconds";

} // namespace

std::int64_t RingRank::block_still_needed(std::int64_t buffer) const {
  const auto is_here = [&](const auto &one) { return one.buffer == buffer; };
  for (std::int64_t step = steps_done_; step < plan_steps(); ++step) {
    const RankStep &plan = plan_.steps[static_cast<std::size_t>(step)];
    if (const auto met = std::find_if(plan.meetings.begin(), plan.meetings.end(), is_here);
        met != plan.meetings.end()) {
      return met->owner;
    }
    if (const auto sent = std::find_if(plan.sends.begin(), plan.sends.end(), is_here); sent != plan.sends.end()) {
      return sent->owner;
    }
    if (std::any_of(plan.receives.begin(), plan.receives.end(), is_here)) {
      return nobody;
    }
  }
  return nobody;
}

std::int64_t RingRank::result_still_needed(std::int64_t buffer) const {
  const auto is_here = [&](const auto &one) { return one.buffer == buffer; };
  for (std::int64_t step = steps_done_; step < plan_steps(); ++step) {
    const RankStep &plan = plan_.steps[static_cast<std::size_t>(step)];
    // In the order of a step: results leave, others arrive or are computed in their buffers, some are added.
    if (const auto sent = std::find_if(plan.result_sends.begin(), plan.result_sends.end(), is_here);
        sent != plan.result_sends.end()) {
      return sent->owner;
    }
    const bool written = std::any_of(plan.result_receives.begin(), plan.result_receives.end(), is_here) ||
                         std::any_of(plan.meetings.begin(), plan.meetings.end(),
                                     [&](const schedule::Meeting &one) { return one.result_buffer == buffer; });
    if (written) {
      return nobody;
    }
    if (std::find(plan.home_additions.begin(), plan.home_additions.end(), buffer) != plan.home_additions.end()) {
      return rank_;
    }
  }
  return nobody;
}

std::vector<RingRank::NeededBuffer> RingRank::needed_buffers() const {
  std::vector<NeededBuffer> needed;
  const auto add_whole = [&](const char *name, const Buffer &buffer) {
    needed.push_back({name, &buffer, buffer.bytes()});
  };
  // Inputs that stay are among them, so that a rank that goes on need not make or fetch them again.
  if (queries_move()) {
    add_whole("key_value", key_value_);
  } else {
    add_whole("query", query_);
    add_whole("partial", partial_);
  }
  if (backward()) {
    add_whole("gradient", gradient_);
  } else if (!queries_move()) {
    add_whole("output", output_);
  }
  if (home_.bytes() > 0) {
    needed.push_back({"home", &home_, result_bytes(options_.problem, rank_)});
  }
  for (std::size_t buffer = 0; buffer < blocks_.size(); ++buffer) {
    if (const std::int64_t owner = block_still_needed(static_cast<std::int64_t>(buffer)); owner != nobody) {
      needed.push_back({"block_" + std::to_string(buffer), &blocks_[buffer], block_bytes(options_.problem, owner)});
    }
  }
  for (std::size_t buffer = 0; buffer < results_.size(); ++buffer) {
    if (const std::int64_t owner = result_still_needed(static_cast<std::int64_t>(buffer)); owner != nobody) {
      needed.push_back({"result_" + std::to_string(buffer), &results_[buffer], result_bytes(options_.problem, owner)});
    }
  }
  return needed;
}

RankState RingRank::state() const {
  if (!quiet() || steps_done_ < 1 || steps_done_ >= plan_steps()) {
    throw std::logic_error("the state of a ring's rank is whole between two of its steps when nothing travels");
  }
  space_.fence("ringscale::ring: state of a rank");
  RankState state;
  state.steps_done = steps_done_;
  const std::vector<NeededBuffer> needed = needed_buffers();
  state.names.reserve(needed.size()); // sections point to the names
  for (const NeededBuffer &one : needed) {
    const auto bytes = static_cast<std::size_t>(one.bytes);
    std::span<const std::byte> content(one.buffer->data(), bytes);
    if constexpr (!Kokkos::SpaceAccessibility<Kokkos::HostSpace, kernels::MemorySpace>::accessible) {
      const Kokkos::View<std::byte *, Kokkos::HostSpace> copy(
          Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string("ringscale::checkpoint")), bytes);
      Kokkos::deep_copy(copy, Bytes(one.buffer->data(), bytes));
      state.copies.push_back(copy);
      content = {copy.data(), bytes};
    }
    state.names.push_back(one.name);
    state.sections.push_back({state.names.back(), content});
  }
  state.counters = times_met_;
  state.counters.insert(state.counters.end(), last_use_.begin(), last_use_.end());
  state.seconds = {times_.compute_s, times_.merge_s, times_.exposed_communication_s};
  state.sections.push_back({counters_name, std::as_bytes(std::span(state.counters))});
  state.sections.push_back({seconds_name, std::as_bytes(std::span(state.seconds))});
  return state;
}

void RingRank::restore_state(const Checkpoint &checkpoint) {
  if (!quiet()) {
    throw std::logic_error("a ring's rank cannot be restored while its messages travel");
  }
  if (checkpoint.step < 1 || checkpoint.step >= plan_steps()) {
    throw problem::InvalidInput("the checkpoint was made after " + std::to_string(checkpoint.step) +
                                " steps and this ring takes " + std::to_string(plan_steps()) +
                                "; name another folder to start anew");
  }
  steps_done_ = checkpoint.step;
  for (const NeededBuffer &one : needed_buffers()) {
    const auto bytes = static_cast<std::size_t>(one.bytes);
    const std::vector<std::byte> &content = checkpoint.section(one.name, bytes);
    Kokkos::deep_copy(Bytes(one.buffer->data(), bytes), ConstHostBytes(content.data(), bytes));
  }
  const auto read = [&](const char *name, auto &numbers) {
    using Number = typename std::remove_reference_t<decltype(numbers)>::value_type;
    const std::size_t bytes = numbers.size() * sizeof(Number);
    std::memcpy(numbers.data(), checkpoint.section(name, bytes).data(), bytes);
  };
  std::vector<std::int64_t> counters(times_met_.size() + last_use_.size());
  read(counters_name, counters);
  const auto uses = counters.begin() + static_cast<std::ptrdiff_t>(times_met_.size());
  std::copy(counters.begin(), uses, times_met_.begin());
  std::copy(uses, counters.end(), last_use_.begin());
  std::vector<double> seconds(3);
  read(seconds_name, seconds);
  times_ = {seconds[0], seconds[1], seconds[2]};
}

} // namespace ringscale::ring
