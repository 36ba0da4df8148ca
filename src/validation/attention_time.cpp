// SPDX-License-Identifier: Apache-2.0
#include "validation/attention_time.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "machine/links.hpp"
#include "problem/invalid_input.hpp"
#include "simulator/plan_engine.hpp"
#include "simulator/plan_simulation.hpp"
#include "simulator/simulation.hpp"
#include "validation/training_step.hpp"

namespace ringscale::validation {

namespace {

problem::DType dtype_of_bytes(std::int64_t bytes) {
  return bytes >= 4 ? problem::DType::float32 : bytes == 2 ? problem::DType::bfloat16 : problem::DType::float8_e4m3;
}

/// The machine with one rate for all tiles, so that the simulator's roofline takes FLOPs over this rate.
machine::Machine with_constants(const machine::Machine &machine, const AttentionCell &cell,
                                const AttentionConstants &constants, double flop_per_s) {
  machine::Machine made = machine;
  machine::Arithmetic arithmetic;
  arithmetic.dtype = "table";
  arithmetic.element_bytes = cell.element_bytes;
  arithmetic.peak_flop_per_s = {flop_per_s, "analytic", "constants of the table"};
  arithmetic.efficiency = {1.0, "analytic", "within the rate"};
  made.roofline.arithmetic = {arithmetic};
  constexpr double never_binding = 1e30; // exponentials stand in the rate
  made.roofline.exponentials_per_s.value = never_binding;
  made.roofline.launch_s.value = 0.0;
  const double bandwidth = machine.roofline.memory_bandwidth_bytes_per_s.value;
  made.merge.fused = cell.kind == RingKind::all_gather; // one call over all gathered keys: nothing to join
  made.merge.per_element_s.value = constants.merge_bytes / bandwidth;
  for (machine::Link &link : made.links) {
    link.bandwidth_bytes_per_s.value *= constants.link_gain;
  }
  made.overlap.hidden_fraction.value *= std::min(1.0, constants.hidden_fraction);
  return made;
}

/// Heads for tokens before attention, tokens for heads after it; twice as much backward. Seconds.
double all_to_all_seconds(const AttentionCell &cell, const machine::Machine &machine,
                          const AttentionConstants &constants) {
  if (cell.ulysses_degree == 1) {
    return 0.0;
  }
  const auto others = static_cast<double>(cell.ulysses_degree - 1);
  const problem::AttentionProblem &attention = cell.attention;
  const double kv_heads = static_cast<double>(std::max(attention.kv_heads, cell.ulysses_degree));
  const double heads = 2.0 * static_cast<double>(attention.query_heads) + 2.0 * kv_heads;
  const double bytes = static_cast<double>(attention.batch) * static_cast<double>(attention.tokens) * heads *
                       static_cast<double>(attention.head_dim * cell.element_bytes) /
                       static_cast<double>(cell.devices) * others / static_cast<double>(cell.ulysses_degree);
  const machine::Link &link = machine::link_between(machine, 0, cell.ulysses_degree - 1);
  const double bandwidth = link.bandwidth_bytes_per_s.value * constants.link_gain * constants.all_to_all_gain;
  const double passes = (cell.forward ? 1.0 : 0.0) + (cell.backward ? 2.0 : 0.0);
  return passes * (4.0 * others * link.latency_s.value +
                   bytes / bandwidth * (1.0 + constants.all_to_all_sharing * (others - 1.0)));
}

/// The plan engine takes hundreds of times as long for a step as the ring engines.
constexpr double most_planned_steps = 4194304.0;

/// (rank, step) pairs of a ring that the engine of its kind would compute; folded ones are computed once.
double steps_to_compute(const machine::Machine &machine, const simulator::SimulationOptions &options) {
  constexpr std::int64_t most_planned_ranks = 1 << 22; // of the plan engine: no more need be asked for their period
  const auto ring_size = static_cast<double>(options.problem.ring_size);
  const auto steps = static_cast<double>(schedule::step_count(options.problem));
  if (simulator::is_simple_ring(options) || ring_size * steps <= most_planned_steps ||
      options.problem.ring_size > most_planned_ranks) {
    return ring_size * steps;
  }
  const simulator::PlanCosts costs(machine, options);
  return static_cast<double>(simulator::plan_period(costs, options)) * steps;
}

/// The simulated time, where it costs at most the limit of the engine or the ring folds.
double simulated_seconds(const machine::Machine &machine, simulator::SimulationOptions options) {
  simulator::validate(options);
  const double steps = steps_to_compute(machine, options);
  const double most = simulator::is_simple_ring(options) ? most_simulated_steps : most_planned_steps;
  if (steps <= most) {
    return simulator::simulate(machine, options).time_s;
  }
  if (simulator::is_simple_ring(options)) {
    options.engine = simulator::Engine::folded;
    try {
      return simulator::simulate(machine, options).time_s;
    } catch (const problem::InvalidInput &) { // it does not fold or does not settle
    }
  }
  std::array<char, 128> text{};
  std::snprintf(text.data(), text.size(), "ring_size x steps is %.3g on an engine that computes each, limit %.3g",
                steps, most);
  throw problem::InvalidInput(text.data());
}

} // namespace

AttentionConstants starting_constants() {
  AttentionConstants constants;
  constants.unmasked_gain = 1.12;
  constants.merge_bytes = 40.0;
  constants.gradient_bytes = 80.0;
  constants.iteration_s = 3e-4;
  constants.half_rate_tokens = 170.0;
  return constants;
}

schedule::RingProblem ring_problem(const AttentionCell &cell) {
  schedule::RingProblem problem;
  problem.attention = cell.attention;
  problem.attention.dtype = dtype_of_bytes(cell.element_bytes);
  problem.attention.query_heads = std::max<std::int64_t>(1, cell.attention.query_heads / cell.ulysses_degree);
  problem.attention.kv_heads = std::max<std::int64_t>(1, cell.attention.kv_heads / cell.ulysses_degree);
  problem.attention.query_heads =
      problem.attention.query_heads / problem.attention.kv_heads * problem.attention.kv_heads;
  problem.ring_size = cell.ring_degree;
  if (cell.kind == RingKind::zigzag) {
    problem.placement = schedule::Placement::zigzag;
  } else if (cell.kind == RingKind::striped) {
    problem.placement = schedule::Placement::striped;
  } else if (cell.kind == RingKind::all_gather) {
    problem.schedule = schedule::Schedule::all_gather;
  }
  return problem;
}

double tile_rate(const machine::Machine &machine, double share, std::int64_t head_dim, std::int64_t element_bytes) {
  const double peak = peak_of_bytes(machine, static_cast<double>(element_bytes));
  const double exponentials = 4.0 * static_cast<double>(head_dim) * machine.roofline.exponentials_per_s.value;
  return 1.0 / (1.0 / (peak * share) + 1.0 / exponentials);
}

double attention_steps(const AttentionCell &cell, const machine::Machine &machine) {
  if (cell.devices == 1) {
    return 1.0;
  }
  simulator::SimulationOptions options;
  options.problem = ring_problem(cell);
  options.threads = 1;
  double sum = 0.0;
  for (const bool backward : {false, true}) {
    if (backward ? cell.backward : cell.forward) {
      options.problem.pass = backward ? schedule::Pass::backward : schedule::Pass::forward;
      const bool simple = simulator::is_simple_ring(options);
      const double steps = steps_to_compute(machine, options);
      const double most = simple ? most_simulated_steps : most_planned_steps;
      sum += steps > most ? 1.0 : steps * (simple ? 1.0 : most_simulated_steps / most_planned_steps);
    }
  }
  return sum;
}

double attention_seconds(const AttentionCell &cell, const machine::Machine &machine,
                         const AttentionConstants &constants) {
  const bool masked = cell.attention.mask == problem::Mask::causal;
  const double forward_s = problem::forward_flop(cell.attention) / constants.flop_per_s;
  const double passes = (cell.forward ? 1.0 : 0.0) + (cell.backward ? constants.backward_ratio : 0.0);
  if (cell.devices == 1) {
    const double lost = constants.half_rate_tokens * (masked ? 2.0 : 1.0) / static_cast<double>(cell.attention.tokens);
    return passes * forward_s * (1.0 + lost) + constants.iteration_s;
  }
  const double gain = masked ? constants.unmasked_gain : 1.0;
  // Every block of a striped ring lies on the diagonal; of the others, the device's own alone.
  const bool all_diagonal = cell.ring_degree == 1 || cell.kind == RingKind::striped;
  const double rate = constants.flop_per_s * (all_diagonal ? 1.0 : gain);
  simulator::SimulationOptions options;
  options.problem = ring_problem(cell);
  options.threads = 1;
  double seconds = constants.iteration_s + all_to_all_seconds(cell, machine, constants);
  if (cell.forward) {
    seconds += simulated_seconds(with_constants(machine, cell, constants, rate), options);
  }
  if (cell.backward) {
    constexpr double simulated_ratio = 2.5; // simulator::backward_work_ratio, taken out again
    machine::Machine made = with_constants(machine, cell, constants, rate * simulated_ratio / constants.backward_ratio);
    if (cell.ring_degree > 1) {
      const problem::AttentionProblem &attention = options.problem.attention;
      const double elements = static_cast<double>(attention.batch * attention.query_heads) *
                              static_cast<double>(attention.head_dim + 1) * static_cast<double>(attention.tokens) /
                              static_cast<double>(cell.ring_degree);
      made.step_fixed_s.value +=
          constants.gradient_bytes * elements / machine.roofline.memory_bandwidth_bytes_per_s.value;
    }
    schedule::RingProblem &problem = options.problem;
    problem.pass = schedule::Pass::backward;
    seconds += simulated_seconds(made, options);
  }
  if (!all_diagonal && masked) {
    // The device's own block was simulated at the rate of whole ones.
    problem::AttentionProblem own = cell.attention;
    own.tokens = std::max<std::int64_t>(1, own.tokens / cell.ring_degree);
    own.query_heads = std::max<std::int64_t>(1, own.query_heads / cell.ulysses_degree);
    own.kv_heads = own.query_heads;
    seconds += passes * problem::forward_flop(own) * (1.0 / constants.flop_per_s - 1.0 / rate);
  }
  return seconds;
}

} // namespace ringscale::validation
