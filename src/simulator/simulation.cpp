// SPDX-License-Identifier: Apache-2.0
#include "simulator/simulation.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "problem/invalid_input.hpp"
#include "problem/readable_number.hpp"
#include "simulator/breakdown.hpp"
#include "simulator/engines.hpp"
#include "simulator/plan_simulation.hpp"
#include "simulator/process_group.hpp"
#include "simulator/simulation_summary.hpp"

namespace ringscale::simulator {

using problem::InvalidInput;
using problem::readable;

namespace {

constexpr int blocked_tick_bits = 19;
/// (rank, step) pairs above which a run would take a quarter of an hour or more on two cores.
constexpr double most_steps_computed = 1.0e13;
constexpr std::int64_t most_unfolded_ranks = std::int64_t{1} << 26;

void require_between(const char *field, double value, double low, double high) {
  if (!(value >= low && value <= high)) {
    throw InvalidInput(std::string(field) + " is " + readable(value) + "; it must be between " + readable(low) +
                       " and " + readable(high));
  }
}

void require_share(const char *field, double value, double high) { require_between(field, value, 0.0, high); }

int thread_count(int asked) {
  if (asked > 0) {
    return asked;
  }
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

bool helps(const ProcessGroup *processes) { return processes != nullptr && processes->rank() != 0; }

void require_feasible(const RingCosts &costs) {
  const double work = static_cast<double>(costs.ring_size()) * static_cast<double>(costs.steps());
  if (costs.ring_size() > most_unfolded_ranks || work > most_steps_computed) {
    throw InvalidInput(
        "ring_size " + std::to_string(costs.ring_size()) +
        " is too large to compute every step of every device (up to 1e13 are computed); without "
        "speed_spread, jitter and several types, unmasked or zigzag, equal devices fold into one at any size");
  }
}

Finish advance(const RingCosts &costs, const SimulationOptions &options, ProcessGroup *processes, TickScale &scale,
               Simulation &result) {
  Engine engine = options.engine;
  const int fine = fine_tick_bits(costs.steps());
  const int asked = options.tick_bits;
  scale = TickScale::of(costs, options, asked > 0 ? asked : fine);
  const bool folds = can_fold(costs, options);
  if (engine == Engine::folded && !folds) {
    throw InvalidInput("this ring does not fold: its devices or links differ");
  }
  if (engine == Engine::folded || (engine == Engine::automatic && folds)) {
    Finish finish = run_folded(costs, options, scale);
    if (!finish.ticks.empty()) {
      result.engine = "folded";
      result.tick_s = scale.tick_s;
      return finish;
    }
    if (engine == Engine::folded) {
      throw InvalidInput("a ring of " + std::to_string(costs.ring_size()) +
                         " devices whose last node is not full does not settle; choose a multiple of " +
                         std::to_string(costs.link_period()));
    }
  }
  require_feasible(costs);
  if (engine == Engine::automatic) {
    const bool long_enough = costs.ring_size() >= smallest_blocked_ring && costs.steps() >= smallest_blocked_ring;
    engine = long_enough ? Engine::blocked : Engine::plain;
  }
  if (engine == Engine::blocked && asked == 0) {
    scale = TickScale::of(costs, options, blocked_tick_bits);
  }
  result.tick_s = scale.tick_s;
  switch (engine) {
  case Engine::blocked:
    if (costs.ring_size() < smallest_blocked_ring) {
      throw InvalidInput("the blocked engine needs a ring of at least " + std::to_string(smallest_blocked_ring));
    }
    result.engine = "blocked";
    return run_blocked(costs, options, scale, thread_count(options.threads), processes);
  default:
    result.engine = "plain";
    return helps(processes) ? Finish{} : run_plain(costs, options, scale);
  }
}

/// Devices of several types, and their tables, stand in memory one by one.
void require_room(const machine::Fleet &fleet) {
  if (fleet.mixed() && fleet.devices() > most_unfolded_ranks) {
    throw InvalidInput("ring_size " + std::to_string(fleet.devices()) + " is too large for devices of several types (" +
                       std::to_string(most_unfolded_ranks) + " at most)");
  }
}

Simulation simulate_ring(const machine::Fleet &fleet, const SimulationOptions &options, ProcessGroup *processes) {
  require_room(fleet);
  const RingCosts costs(fleet, options);
  Simulation result;
  TickScale scale;
  const Finish finish = advance(costs, options, processes, scale, result);
  const std::int64_t slowest =
      finish.rank_of(std::max_element(finish.ticks.begin(), finish.ticks.end()) - finish.ticks.begin());
  summarise_finish(finish.ticks, result);
  result.steps_computed = finish.steps_computed;
  result.slowest = breakdown_of(costs, options, slowest, result.time_s, scale);
  const auto ring_size = static_cast<double>(costs.ring_size());
  result.efficiency = total_work_s(costs) / (ring_size * result.time_s);
  result.dtype = costs.dtype();
  result.hop_bytes = costs.hop_bytes();
  result.hop_s = costs.largest_hop_s();
  result.work_s = costs.largest_work_s();
  result.extrapolation = costs.extrapolation();
  result.hops_per_device = static_cast<double>(costs.steps() - 1);
  result.hops = ring_size * result.hops_per_device;
  complete(fleet, options, costs.element_bytes(), costs.empty_hop_s(), result);
  return result;
}

/// Bytes of the tensors that the remaining steps need: what the executor writes into a checkpoint.
double held_bytes(const memory::MemoryByPurpose &memory) {
  const std::int64_t scratch =
      memory[memory::Purpose::communication] + memory[memory::Purpose::scores] + memory[memory::Purpose::workspace];
  return static_cast<double>(memory.total() - scratch);
}

/// No tile was measured that fast: the time has no interval from measured rings.
void note_what_if(const SimulationOptions &options, Simulation &result) {
  const std::string what =
      "what-if: tiles " + std::to_string(options.tile_speedup) + " times faster than the machine's";
  result.time_source += ", " + what;
  result.extrapolation += (result.extrapolation.empty() ? "" : "; ") + what;
  result.extrapolated = true;
  result.time_low_s = result.time_high_s = result.time_s;
  result.time_confidence = 0.0;
}

} // namespace

void validate(const SimulationOptions &options) {
  schedule::validate(options.problem);
  validate(options.failures);
  require_share("speed_spread", options.speed_spread, 1.0);
  require_share("jitter", options.jitter, 0.25);
  if (options.measured_jitter && options.jitter > 0.0) {
    throw InvalidInput("jitter is measured and " + readable(options.jitter) + "; it is one of them");
  }
  require_share("straggler share", options.straggler_share, 1.0);
  require_between("straggler factor", options.straggler_factor, 1.0, 1e6);
  require_between("tile_speedup", options.tile_speedup, 1e-3, 1e3);
  const auto listed = static_cast<std::int64_t>(options.device_speeds.size());
  if (listed > 0 && listed != options.problem.ring_size) {
    throw InvalidInput("device_speeds has " + std::to_string(listed) + " entries; it must have one for each of " +
                       std::to_string(options.problem.ring_size) + " devices");
  }
  for (const double speed : options.device_speeds) {
    if (!(speed > 0.0 && speed <= 1e6)) {
      throw InvalidInput("device_speeds has " + readable(speed) + "; speeds must be above 0 and at most 1e6");
    }
  }
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

Simulation simulate(const machine::Machine &machine, const SimulationOptions &options, ProcessGroup *processes) {
  validate(options);
  return simulate(machine::Fleet(machine, options.problem.ring_size), options, processes);
}

Simulation simulate(const machine::Fleet &fleet, const SimulationOptions &options, ProcessGroup *processes) {
  const auto begin = std::chrono::steady_clock::now();
  validate(options);
  const bool simple = is_simple_ring(options);
  if (!simple && options.engine != Engine::automatic && options.engine != Engine::plan) {
    throw InvalidInput("the plain, blocked and folded engines know dense forward rings of key/value blocks alone; use "
                       "engine automatic or plan");
  }
  Simulation result = simple && options.engine != Engine::plan ? simulate_ring(fleet, options, processes)
                                                               : simulate_plan(fleet, options);
  if (options.tile_speedup != 1.0) {
    note_what_if(options, result);
  }
  const std::optional<machine::Failures> failures = failures_of(fleet);
  require_failures_where_asked(failures, options.failures);
  if (devices_fail(failures, options.failures)) {
    result.failures = estimate_failures(failures, options.failures, static_cast<double>(options.problem.ring_size),
                                        result.time_s, held_bytes(result.memory), options.seed);
  }
  result.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  result.hops_per_s = result.hops / result.wall_s;
  return result;
}

void help_simulate(const machine::Fleet &fleet, const SimulationOptions &options, ProcessGroup &processes) {
  validate(options);
  if (is_simple_ring(options) && options.engine != Engine::plan) {
    require_room(fleet);
    const RingCosts costs(fleet, options);
    TickScale scale;
    Simulation result;
    advance(costs, options, &processes, scale, result);
  }
}

} // namespace ringscale::simulator
