// SPDX-License-Identifier: Apache-2.0
#include "simulator/simulation_summary.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

#include "simulator/device_memory.hpp"

namespace ringscale::simulator {

namespace {

/// The next measured / predicted ratio lies between the extremes of n earlier ones with probability (n - 1) / (n + 1).
/// Of several types the interval is the widest, and nothing is known when one of them was not calibrated. Rings whose
/// ranks share cores are of another kind than those whose ranks do not; the others count only where none is of the same
/// kind.
void find_interval(const machine::Fleet &fleet, const SimulationOptions &options, Simulation &result) {
  result.time_low_s = result.time_high_s = result.time_s;
  double lowest = 1.0e300;
  double highest = 0.0;
  std::int64_t fewest = std::numeric_limits<std::int64_t>::max(); // that an interval rests on
  result.hold_out_points = fewest;
  for (std::size_t type = 0; type < fleet.types(); ++type) {
    const machine::Machine &machine = fleet.machine(type);
    const bool shares = shares_cores(machine, options);
    const auto of_kind = std::count_if(machine.hold_out.begin(), machine.hold_out.end(),
                                       [&](const machine::HoldOut &point) { return point.shares_cores == shares; });
    for (const machine::HoldOut &point : machine.hold_out) {
      if (of_kind > 0 && point.shares_cores != shares) {
        continue;
      }
      const double ratio = point.measured_s / point.predicted_s;
      lowest = std::min(lowest, ratio);
      highest = std::max(highest, ratio);
    }
    fewest = std::min<std::int64_t>(fewest, of_kind > 0 ? of_kind : std::ssize(machine.hold_out));
    result.hold_out_points = std::min<std::int64_t>(result.hold_out_points, std::ssize(machine.hold_out));
    result.hold_out_median_relative_error =
        std::max(result.hold_out_median_relative_error, machine.hold_out_median_relative_error);
  }
  const auto points = static_cast<double>(fewest);
  if (points >= 2.0) {
    result.time_low_s = result.time_s * lowest;
    result.time_high_s = result.time_s * highest;
    result.time_confidence = (points - 1.0) / (points + 1.0);
  }
}

/// The rank of a type that holds most: that with the most queries, and of these the most keys.
std::int64_t rank_with_most_memory(const machine::Fleet &fleet, std::size_t type,
                                   const schedule::RingProblem &problem) {
  if (!fleet.mixed()) {
    return memory::rank_with_most_memory(problem);
  }
  std::int64_t most = fleet.first_rank(type);
  std::int64_t most_tokens = -1;
  for (std::int64_t rank = most; rank < fleet.first_rank(type) + fleet.devices_of(type); ++rank) {
    const std::int64_t tokens = schedule::queries_of(problem, rank).count() + schedule::keys_of(problem, rank).count();
    if (tokens > most_tokens) {
      most = rank;
      most_tokens = tokens;
    }
  }
  return most;
}

void find_memory(const machine::Fleet &fleet, const SimulationOptions &options, std::int64_t element_bytes,
                 Simulation &result) {
  result.fits_memory = true;
  double fullest = -1.0;
  // Blocks that travel are padded to the longest key tile of all types, and so are the buffers for them.
  std::int64_t key_tile_tokens = 1;
  for (std::size_t type = 0; type < fleet.types(); ++type) {
    key_tile_tokens = std::max(key_tile_tokens, fleet.machine(type).footprint.key_tile_tokens);
  }
  for (std::size_t type = 0; type < fleet.types(); ++type) {
    const machine::Machine &machine = fleet.machine(type);
    const memory::KernelFootprint footprint{key_tile_tokens, machine.footprint.workspace_bytes};
    const std::int64_t rank = rank_with_most_memory(fleet, type, options.problem);
    const memory::MemoryByPurpose memory = memory_of(options.problem, rank, footprint, options.kernel, element_bytes);
    TypeMemory of_type{machine.name,
                       machine.kind,
                       fleet.devices_of(type),
                       memory.total(),
                       static_cast<std::int64_t>(machine.device.memory_bytes.value),
                       false};
    of_type.fits_memory = of_type.memory_peak_bytes <= of_type.device_memory_bytes;
    result.fits_memory = result.fits_memory && of_type.fits_memory;
    // The row shows the type whose memory is fullest.
    const double filled = static_cast<double>(of_type.memory_peak_bytes) / machine.device.memory_bytes.value;
    if (filled > fullest) {
      fullest = filled;
      result.memory = memory;
      result.memory_peak_bytes = of_type.memory_peak_bytes;
      result.device_memory_bytes = of_type.device_memory_bytes;
    }
    result.memory_types.push_back(std::move(of_type));
  }
}

/// What would have to be faster for the ring to go faster: what decides the steps of the slowest device, its work or
/// its messages, and of these the part that bytes have no share in or the rest.
std::string bound_of(const Simulation &result, double empty_hop_s) {
  if (!result.fits_memory) {
    return "memory";
  }
  if (result.slowest.waiting_s > 0.5 * result.time_s) {
    return "waiting";
  }
  if (result.slowest.step_work_s >= result.slowest.step_messages_s) {
    return "compute";
  }
  return empty_hop_s > 0.5 * result.hop_s ? "latency" : "bandwidth";
}

} // namespace

bool shares_cores(const machine::Machine &machine, const SimulationOptions &options) {
  return machine.core_sharing.cores > 0 &&
         std::min(options.ranks_on_node, options.problem.ring_size) > machine.core_sharing.cores;
}

int fine_tick_bits(std::int64_t steps) {
  return std::min(finest_tick_bits, 61 - static_cast<int>(std::ceil(std::log2(static_cast<double>(steps) + 1.0))));
}

void summarise_finish(std::vector<std::int64_t> ticks, Simulation &result) {
  std::sort(ticks.begin(), ticks.end());
  const auto at = [&](double share) {
    const auto last = static_cast<double>(ticks.size() - 1);
    return static_cast<double>(ticks[static_cast<std::size_t>(std::llround(share * last))]) * result.tick_s;
  };
  result.finish = {at(0.0), at(0.05), at(0.25), at(0.5), at(0.75), at(0.95), at(1.0)};
  result.time_s = result.finish.p100_s;
}

void complete(const machine::Fleet &fleet, const SimulationOptions &options, std::int64_t element_bytes,
              double empty_hop_s, Simulation &result) {
  const problem::AttentionProblem &attention = options.problem.attention;
  const auto tokens = static_cast<double>(attention.batch) * static_cast<double>(attention.tokens);
  result.tokens_per_s = tokens / result.time_s;
  result.tokens_per_s_per_device = result.tokens_per_s / static_cast<double>(options.problem.ring_size);
  result.extrapolated = !result.extrapolation.empty();
  find_interval(fleet, options, result);
  find_memory(fleet, options, element_bytes, result);
  result.bound = bound_of(result, empty_hop_s);
}

} // namespace ringscale::simulator
