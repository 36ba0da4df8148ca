// SPDX-License-Identifier: Apache-2.0
#include "simulator/plan_simulation.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "problem/invalid_input.hpp"
#include "simulator/plan_engine.hpp"
#include "simulator/simulation_summary.hpp"

namespace ringscale::simulator {

namespace {

/// (rank, step) pairs that take some minutes on one core.
constexpr std::int64_t most_planned_steps = 1'000'000'000;

constexpr std::int64_t most_ranks = 1 << 22;

void require_feasible(const schedule::RingProblem &problem, std::int64_t ranks) {
  const std::int64_t steps = schedule::step_count(problem);
  if (problem.ring_size > most_ranks || ranks > most_planned_steps / steps) {
    throw problem::InvalidInput(
        "ring_size " + std::to_string(problem.ring_size) +
        " is too large for the plan engine, which computes every step of every device (up to 1e9 of them); equal "
        "devices of even chunks, unmasked or zigzag, with whole nodes and inner rings, are computed once, and forward "
        "rings without a pattern go further");
  }
}

Breakdown breakdown_of(const PlanCosts &costs, const PlanFinish &finish, std::int64_t rank, double tick_s,
                       double steps) {
  const auto place = static_cast<std::size_t>(rank);
  const auto seconds = [&](const std::vector<std::int64_t> &ticks) {
    return static_cast<double>(ticks[place]) * tick_s;
  };
  Breakdown result;
  result.rank = rank;
  result.total_s = seconds(finish.ticks);
  result.fixed_s = costs.step_fixed_s(rank) * finish.fixed_terms[place];
  result.compute_s = seconds(finish.work) - finish.merge_s[place] - result.fixed_s;
  result.merge_s = finish.merge_s[place] + seconds(finish.addition);
  result.exposed_communication_s = seconds(finish.exposed);
  const double own_s = result.compute_s + result.merge_s + result.fixed_s + result.exposed_communication_s;
  result.waiting_s = result.total_s - own_s;
  if (std::abs(result.waiting_s) < 1e-12 * result.total_s) {
    result.waiting_s = 0.0; // rounding of the sum above
  }
  const auto message_steps = static_cast<double>(finish.message_steps[place]);
  result.step_work_s = message_steps > 0.0 ? seconds(finish.beside) / message_steps : seconds(finish.work) / steps;
  result.step_messages_s = message_steps > 0.0 ? seconds(finish.messages) / message_steps : 0.0;
  return result;
}

} // namespace

bool is_simple_ring(const SimulationOptions &options) {
  const schedule::RingProblem &problem = options.problem;
  return (problem.schedule == schedule::Schedule::ring || problem.schedule == schedule::Schedule::local_only) &&
         !schedule::has_results(problem) && problem.hops == schedule::Hops::all &&
         problem.layout == schedule::MessageLayout::stored_packed &&
         problem.pattern.kind == problem::PatternKind::dense && !problem.chunks.weighted() &&
         problem.chunks.granule_tokens == 1;
}

Simulation simulate_plan(const machine::Fleet &fleet, const SimulationOptions &options) {
  require_feasible(options.problem, 1);
  const PlanCosts costs(fleet, options);
  const std::int64_t period = plan_period(costs, options);
  require_feasible(options.problem, period);
  const std::int64_t steps = schedule::step_count(options.problem);
  const int bits = options.tick_bits > 0 ? options.tick_bits : fine_tick_bits(steps + 1);
  const TickScale scale = plan_tick_scale(costs, options, bits);
  StreamedSteps source(options.problem, period);
  const PlanFinish finish = run_plan(costs, options, scale, source, nullptr, period);
  Simulation result;
  result.engine = "plan";
  result.tick_s = scale.tick_s;
  summarise_finish(finish.ticks, result);
  const std::int64_t slowest = std::max_element(finish.ticks.begin(), finish.ticks.end()) - finish.ticks.begin();
  result.slowest = breakdown_of(costs, finish, slowest, scale.tick_s, static_cast<double>(steps));
  result.efficiency = finish.nominal_work_s / (static_cast<double>(options.problem.ring_size) * result.time_s);
  result.dtype = costs.dtype();
  result.time_source = costs.time_source();
  result.hop_bytes = costs.largest_block_bytes();
  result.result_hop_bytes = costs.largest_result_bytes();
  result.hop_s = std::max(finish.longest_block_s, finish.longest_result_s);
  result.work_s = finish.longest_work_s;
  result.extrapolation = costs.extrapolation();
  result.steps_computed = finish.steps_computed;
  result.hops = finish.block_messages;
  result.hops_per_device = finish.most_block_messages;
  result.result_hops = finish.result_messages;
  result.result_hops_per_device = finish.most_result_messages;
  complete(fleet, options, costs.element_bytes(), finish.longest_empty_s, result);
  return result;
}

} // namespace ringscale::simulator
