// SPDX-License-Identifier: Apache-2.0
#include "simulator/simulation.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "problem/invalid_input.hpp"
#include "simulator/breakdown.hpp"
#include "simulator/engines.hpp"

namespace ringscale::simulator {

using problem::InvalidInput;

namespace {

constexpr int blocked_tick_bits = 19;
constexpr int finest_tick_bits = 40;
/// (rank, step) pairs above which a run would take a quarter of an hour or more on two cores.
constexpr double most_steps_computed = 1.0e13;
constexpr std::int64_t most_unfolded_ranks = std::int64_t{1} << 26;

void require_share(const char *field, double value, double high) {
  if (!(value >= 0.0 && value <= high)) {
    throw InvalidInput(std::string(field) + " is " + std::to_string(value) + "; it must be between 0 and " +
                       std::to_string(high));
  }
}

/// As fine as the longest ring's time allows in 62 bits.
int fine_tick_bits(std::int64_t steps) {
  return std::min(finest_tick_bits, 61 - static_cast<int>(std::ceil(std::log2(static_cast<double>(steps) + 1.0))));
}

int thread_count(int asked) {
  if (asked > 0) {
    return asked;
  }
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void require_feasible(const RingCosts &costs) {
  const double work = static_cast<double>(costs.ring_size()) * static_cast<double>(costs.steps());
  if (costs.ring_size() > most_unfolded_ranks || work > most_steps_computed) {
    throw InvalidInput("ring_size " + std::to_string(costs.ring_size()) +
                       " is too large to compute every step of every device (up to 1e13 are computed); without "
                       "speed_spread and jitter, unmasked or zigzag, equal devices fold into one at any size");
  }
}

Finish advance(const RingCosts &costs, const SimulationOptions &options, Simulation &result) {
  Engine engine = options.engine;
  const int fine = fine_tick_bits(costs.steps());
  const int asked = options.tick_bits;
  TickScale scale = TickScale::of(costs, options, asked > 0 ? asked : fine);
  if (engine == Engine::automatic && can_fold(costs, options, scale)) {
    engine = Engine::folded;
  }
  if (engine != Engine::folded) {
    require_feasible(costs);
  }
  if (engine == Engine::automatic) {
    const bool long_enough = costs.ring_size() >= smallest_blocked_ring && costs.steps() >= smallest_blocked_ring;
    engine = long_enough ? Engine::blocked : Engine::plain;
  }
  if (engine == Engine::blocked && asked == 0) {
    scale = TickScale::of(costs, options, blocked_tick_bits);
  }
  result.tick_s = scale.tick_s;
  switch (engine) {
  case Engine::folded:
    if (!can_fold(costs, options, scale)) {
      throw InvalidInput("this ring does not fold: its devices or links differ");
    }
    result.engine = "folded";
    return run_folded(costs, options, scale);
  case Engine::blocked:
    if (costs.ring_size() < smallest_blocked_ring) {
      throw InvalidInput("the blocked engine needs a ring of at least " + std::to_string(smallest_blocked_ring));
    }
    result.engine = "blocked";
    return run_blocked(costs, options, scale, thread_count(options.threads));
  default:
    result.engine = "plain";
    return run_plain(costs, options, scale);
  }
}

void summarise(Finish finish, Simulation &result, std::int64_t &slowest_rank) {
  slowest_rank = finish.rank_of(std::max_element(finish.ticks.begin(), finish.ticks.end()) - finish.ticks.begin());
  std::sort(finish.ticks.begin(), finish.ticks.end());
  const auto at = [&](double share) {
    const auto last = static_cast<double>(finish.ticks.size() - 1);
    return static_cast<double>(finish.ticks[static_cast<std::size_t>(std::llround(share * last))]) * result.tick_s;
  };
  result.finish = {at(0.0), at(0.05), at(0.25), at(0.5), at(0.75), at(0.95), at(1.0)};
  result.time_s = result.finish.p100_s;
  result.steps_computed = finish.steps_computed;
}

/// The next measured / predicted ratio lies between the extremes of n earlier ones with probability (n - 1) / (n + 1).
void find_interval(const machine::Machine &machine, Simulation &result) {
  result.time_low_s = result.time_high_s = result.time_s;
  double lowest = 1.0e300;
  double highest = 0.0;
  for (const machine::HoldOut &point : machine.hold_out) {
    const double ratio = point.measured_s / point.predicted_s;
    lowest = std::min(lowest, ratio);
    highest = std::max(highest, ratio);
  }
  const auto points = static_cast<double>(machine.hold_out.size());
  if (points >= 2.0) {
    result.time_low_s = result.time_s * lowest;
    result.time_high_s = result.time_s * highest;
    result.time_confidence = (points - 1.0) / (points + 1.0);
  }
  result.hold_out_points = static_cast<std::int64_t>(machine.hold_out.size());
  result.hold_out_median_relative_error = machine.hold_out_median_relative_error;
}

void find_memory(const machine::Machine &machine, const SimulationOptions &options, const RingCosts &costs,
                 Simulation &result) {
  const memory::KernelFootprint footprint{machine.footprint.key_tile_tokens, machine.footprint.workspace_bytes};
  const std::int64_t rank = memory::rank_with_most_memory(options.problem);
  result.memory = memory::closed_form(options.problem, rank, footprint, options.kernel);
  // The closed form counts the problem's element type; a published machine may compute in a narrower one.
  const std::int64_t counted = problem::storage_bytes(options.problem.attention.dtype);
  for (const memory::Purpose purpose :
       {memory::Purpose::query, memory::Purpose::key_value, memory::Purpose::output, memory::Purpose::communication}) {
    result.memory[purpose] = result.memory[purpose] / counted * costs.element_bytes();
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

void validate(const SimulationOptions &options) {
  schedule::validate(options.problem);
  require_share("speed_spread", options.speed_spread, 1.0);
  require_share("jitter", options.jitter, 0.25);
  if (options.threads < 0 || options.threads > 1024) {
    throw InvalidInput("threads is " + std::to_string(options.threads) + "; it must be between 0 and 1024");
  }
  if (options.ranks_on_node < 0) {
    throw InvalidInput("ranks_on_node is " + std::to_string(options.ranks_on_node) + "; it must not be negative");
  }
  if (options.tick_bits < 0 || options.tick_bits > finest_tick_bits) {
    throw InvalidInput("tick_bits is " + std::to_string(options.tick_bits) + "; it must be between 0 and " +
                       std::to_string(finest_tick_bits));
  }
}

Simulation simulate(const machine::Machine &machine, const SimulationOptions &options) {
  const auto begin = std::chrono::steady_clock::now();
  validate(options);
  const RingCosts costs(machine, options);
  Simulation result;
  std::int64_t slowest_rank = 0;
  summarise(advance(costs, options, result), result, slowest_rank);
  result.slowest = breakdown_of(costs, options, slowest_rank, result.time_s, result.tick_s);
  const auto ring_size = static_cast<double>(costs.ring_size());
  const problem::AttentionProblem &attention = options.problem.attention;
  const auto tokens = static_cast<double>(attention.batch) * static_cast<double>(attention.tokens);
  result.tokens_per_s = tokens / result.time_s;
  result.tokens_per_s_per_device = result.tokens_per_s / ring_size;
  result.efficiency = total_work_s(costs) / (ring_size * result.time_s);
  result.dtype = costs.dtype();
  result.hop_bytes = costs.hop_bytes();
  result.hop_s = costs.largest_hop_s();
  result.work_s = costs.largest_work_s();
  result.extrapolation = costs.extrapolation();
  result.extrapolated = !result.extrapolation.empty();
  result.hops = ring_size * static_cast<double>(costs.steps() - 1);
  find_interval(machine, result);
  find_memory(machine, options, costs, result);
  result.bound = bound_of(result, costs.step_fixed_s(), machine.links.back().latency_s.value);
  result.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  result.hops_per_s = result.hops / result.wall_s;
  return result;
}

} // namespace ringscale::simulator
