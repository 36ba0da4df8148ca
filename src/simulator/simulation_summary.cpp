// SPDX-License-Identifier: Apache-2.0
#include "simulator/simulation_summary.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace ringscale::simulator {

namespace {

/// The next measured / predicted ratio lies between the extremes of n earlier ones with probability (n - 1) / (n + 1).
/// Rings whose ranks share cores are of another kind than those whose ranks do not; the others count only where none is
/// of the same kind.
void find_interval(const machine::Machine &machine, const SimulationOptions &options, Simulation &result) {
  result.time_low_s = result.time_high_s = result.time_s;
  const bool shares = shares_cores(machine, options);
  const auto of_kind = std::count_if(machine.hold_out.begin(), machine.hold_out.end(),
                                     [&](const machine::HoldOut &point) { return point.shares_cores == shares; });
  double lowest = 1.0e300;
  double highest = 0.0;
  for (const machine::HoldOut &point : machine.hold_out) {
    if (of_kind == 0 || point.shares_cores == shares) {
      const double ratio = point.measured_s / point.predicted_s;
      lowest = std::min(lowest, ratio);
      highest = std::max(highest, ratio);
    }
  }
  const auto points = static_cast<double>(of_kind > 0 ? of_kind : std::ssize(machine.hold_out));
  if (points >= 2.0) {
    result.time_low_s = result.time_s * lowest;
    result.time_high_s = result.time_s * highest;
    result.time_confidence = (points - 1.0) / (points + 1.0);
  }
  result.hold_out_points = static_cast<std::int64_t>(machine.hold_out.size());
  result.hold_out_median_relative_error = machine.hold_out_median_relative_error;
}

void find_memory(const machine::Machine &machine, const SimulationOptions &options, std::int64_t element_bytes,
                 Simulation &result) {
  const memory::KernelFootprint footprint{machine.footprint.key_tile_tokens, machine.footprint.workspace_bytes};
  const std::int64_t rank = memory::rank_with_most_memory(options.problem);
  result.memory = memory::closed_form(options.problem, rank, footprint, options.kernel);
  // The closed form counts the problem's element type; a published machine may compute in a narrower one.
  const std::int64_t counted = problem::storage_bytes(options.problem.attention.dtype);
  for (const memory::Purpose purpose :
       {memory::Purpose::query, memory::Purpose::key_value, memory::Purpose::output, memory::Purpose::communication}) {
    result.memory[purpose] = result.memory[purpose] / counted * element_bytes;
  }
  result.memory_peak_bytes = result.memory.total();
  result.device_memory_bytes = static_cast<std::int64_t>(machine.device.memory_bytes.value);
  result.fits_memory = result.memory_peak_bytes <= result.device_memory_bytes;
}

/// What a faster part would have to be for the ring to go faster.
std::string bound_of(const Simulation &result, double fixed_s, double latency_s) {
  if (!result.fits_memory) {
    return "memory";
  }
  if (result.slowest.waiting_s > 0.5 * result.time_s) {
    return "waiting";
  }
  if (result.work_s + fixed_s >= result.hop_s) {
    return "compute";
  }
  return latency_s > 0.5 * result.hop_s ? "latency" : "bandwidth";
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

void complete(const machine::Machine &machine, const SimulationOptions &options, std::int64_t element_bytes,
              double step_fixed_s, Simulation &result) {
  const problem::AttentionProblem &attention = options.problem.attention;
  const auto tokens = static_cast<double>(attention.batch) * static_cast<double>(attention.tokens);
  result.tokens_per_s = tokens / result.time_s;
  result.tokens_per_s_per_device = result.tokens_per_s / static_cast<double>(options.problem.ring_size);
  result.extrapolated = !result.extrapolation.empty();
  find_interval(machine, options, result);
  find_memory(machine, options, element_bytes, result);
  result.bound = bound_of(result, step_fixed_s, machine.links.back().latency_s.value);
}

} // namespace ringscale::simulator
