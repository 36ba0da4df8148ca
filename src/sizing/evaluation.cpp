// SPDX-License-Identifier: Apache-2.0
#include "sizing/evaluation.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "problem/invalid_input.hpp"
#include "simulator/plan_simulation.hpp"

namespace ringscale::sizing {

using schedule::Pass;

namespace {

int group_of(const Evaluation &evaluation) { return evaluation.simulated ? 0 : evaluation.fits ? 1 : 2; }

double bytes_of(const Evaluation &evaluation) {
  return evaluation.memory ? static_cast<double>(evaluation.memory->total_bytes) : HUGE_VAL;
}

/// Share of the batch entries' room on all rings that is filled: 1 where the rings divide the batch.
double batch_share(const Workload &workload, const Configuration &configuration) {
  const std::int64_t entries = (workload.attention.batch + configuration.rings - 1) / configuration.rings;
  return static_cast<double>(workload.attention.batch) / static_cast<double>(entries * configuration.rings);
}

/// Whether equal chunks are equal work.
bool evens_out(const schedule::RingProblem &problem) {
  return problem.attention.mask == problem::Mask::none || problem.placement == schedule::Placement::zigzag;
}

std::int64_t runs_of(const schedule::RingProblem &problem) {
  return problem.placement == schedule::Placement::zigzag ? 2 * problem.ring_size : problem.ring_size;
}

/// `tokens`, or rounded up to whole runs where that alone makes a ring cheap enough.
std::int64_t tokens_to_simulate(const Workload &workload, const Configuration &configuration, Pass pass,
                                std::int64_t tokens) {
  const simulator::SimulationOptions options = simulation_options(workload, configuration, pass, tokens);
  if (simulation_cost(options) <= workload.most_steps || !simulator::is_simple_ring(options) ||
      !evens_out(options.problem)) {
    return tokens;
  }
  const std::int64_t runs = runs_of(options.problem);
  const std::int64_t rounded = (tokens + runs - 1) / runs * runs;
  return rounded <= most_tokens ? rounded : tokens;
}

void add_pass(const simulator::Simulation &simulation, Evaluation &evaluation) {
  evaluation.time_s += simulation.time_s;
  evaluation.time_low_s += simulation.time_low_s;
  evaluation.time_high_s += simulation.time_high_s;
  evaluation.time_confidence = simulation.time_confidence;
  evaluation.efficiency += simulation.efficiency * simulation.time_s;
  if (simulation.extrapolated && evaluation.extrapolation.find(simulation.extrapolation) == std::string::npos) {
    evaluation.extrapolation += (evaluation.extrapolation.empty() ? "" : "; ") + simulation.extrapolation;
  }
  const bool longest =
      std::all_of(evaluation.passes.begin(), evaluation.passes.end(),
                  [&](const simulator::Simulation &before) { return simulation.time_s > before.time_s; });
  if (longest) {
    evaluation.bound = simulation.bound;
  }
  evaluation.passes.push_back(simulation);
}

} // namespace

simulator::SimulationOptions simulation_options(const Workload &workload, const Configuration &configuration, Pass pass,
                                                std::int64_t tokens) {
  simulator::SimulationOptions options;
  options.problem = ring_problem(workload, configuration, pass, tokens);
  options.dtype = workload.dtype;
  options.ranks_on_node = workload.ranks_on_node;
  return options;
}

double simulation_cost(const simulator::SimulationOptions &options) {
  const schedule::RingProblem &problem = options.problem;
  const double pairs = static_cast<double>(problem.ring_size) * static_cast<double>(schedule::step_count(problem));
  if (!simulator::is_simple_ring(options)) {
    return pairs;
  }
  const bool folds = evens_out(problem) && problem.attention.tokens % runs_of(problem) == 0;
  return folds ? 0.0 : pairs * simple_ring_cost;
}

double simulation_cost(const Workload &workload, const Configuration &configuration, std::int64_t tokens) {
  double cost = 0.0;
  for (const Pass pass : workload.passes) {
    const std::int64_t simulated = tokens_to_simulate(workload, configuration, pass, tokens);
    cost += simulation_cost(simulation_options(workload, configuration, pass, simulated));
  }
  return cost;
}

std::string simulation_obstacle(const Workload &workload, const Configuration &configuration, std::int64_t tokens) {
  for (const Pass pass : workload.passes) {
    const std::int64_t simulated = tokens_to_simulate(workload, configuration, pass, tokens);
    const double cost = simulation_cost(simulation_options(workload, configuration, pass, simulated));
    if (!(cost <= workload.most_steps)) {
      std::array<char, 128> text{};
      std::snprintf(text.data(), text.size(), "%.3g steps in the %s pass, more than --most-steps %.3g", cost,
                    std::string(schedule::name(pass)).c_str(), workload.most_steps);
      return text.data();
    }
  }
  return "";
}

double work_of_a_device_s(const Evaluation &evaluation) {
  double work_s = 0.0;
  for (const simulator::Simulation &pass : evaluation.passes) {
    work_s += pass.efficiency * pass.time_s;
  }
  return work_s;
}

Evaluation evaluate(const machine::Machine &machine, const Workload &workload, const Configuration &configuration,
                    std::int64_t tokens, std::int64_t devices) {
  Evaluation result;
  result.configuration = configuration;
  result.tokens = tokens;
  result.memory = memory_need(machine, workload, configuration, tokens);
  result.chunk_tokens = schedule::most_key_tokens(configuration.placement, tokens, configuration.ring_size);
  result.fits = result.memory && result.memory->total_bytes <= budget_bytes(machine, workload);
  if (!result.fits) {
    result.not_simulated = "does not fit the memory";
    return result;
  }
  result.not_simulated = simulation_obstacle(workload, configuration, tokens);
  if (!result.not_simulated.empty()) {
    return result;
  }
  for (const Pass pass : workload.passes) {
    const std::int64_t simulated = tokens_to_simulate(workload, configuration, pass, tokens);
    result.simulated_tokens = std::max(result.simulated_tokens, simulated);
    add_pass(simulator::simulate(machine, simulation_options(workload, configuration, pass, simulated)), result);
  }
  result.simulated = true;
  result.tokens_per_s = static_cast<double>(workload.attention.batch) * static_cast<double>(tokens) / result.time_s;
  result.efficiency *= batch_share(workload, configuration) * static_cast<double>(configuration.devices()) /
                       (static_cast<double>(devices) * result.time_s);
  return result;
}

void rank(std::vector<Evaluation> &evaluations) {
  std::stable_sort(evaluations.begin(), evaluations.end(), [](const Evaluation &left, const Evaluation &right) {
    if (group_of(left) != group_of(right)) {
      return group_of(left) < group_of(right);
    }
    if (left.simulated && left.time_s != right.time_s) {
      return left.time_s < right.time_s;
    }
    return bytes_of(left) < bytes_of(right);
  });
}

std::string explain_bound(const Evaluation &evaluation) {
  if (!evaluation.simulated) {
    return evaluation.not_simulated;
  }
  const auto longest = std::max_element(
      evaluation.passes.begin(), evaluation.passes.end(),
      [](const simulator::Simulation &left, const simulator::Simulation &right) { return left.time_s < right.time_s; });
  std::array<char, 160> text{};
  const double waiting = 100.0 * longest->slowest.waiting_s / longest->time_s;
  if (longest->bound == "compute") {
    std::snprintf(text.data(), text.size(), "compute: a step's work of %.4g s hides its messages of %.4g s",
                  longest->slowest.step_work_s, longest->slowest.step_messages_s);
  } else if (longest->bound == "waiting") {
    std::snprintf(text.data(), text.size(), "waiting: %.3g %% of the slowest device's time goes by for its neighbours",
                  waiting);
  } else {
    std::snprintf(text.data(), text.size(), "%s: a step's messages take %.4g s, its work %.4g s",
                  longest->bound.c_str(), longest->slowest.step_messages_s, longest->slowest.step_work_s);
  }
  return text.data();
}

} // namespace ringscale::sizing
