// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "simulator/simulation.hpp"
#include "sizing/memory_need.hpp"

namespace ringscale::sizing {

/// A configuration with what it needs (analytic) and what it takes (simulated).
struct Evaluation {
  Configuration configuration;
  std::int64_t tokens = 0;
  std::int64_t chunk_tokens = 0;    ///< most that a rank owns
  std::optional<MemoryNeed> memory; ///< nothing: beyond most_device_bytes
  bool fits = false;
  bool simulated = false;
  std::string not_simulated; ///< why not
  /// Tokens that were simulated: rounded up to equal chunks, so that devices fold, where uneven ones would be too many
  /// to simulate; the time is then that of up to two tokens a rank more. Else `tokens`.
  std::int64_t simulated_tokens = 0;

  /// Of the whole batch in all passes: every ring has its share and they run side by side without touching.
  double time_s = 0.0;
  double time_low_s = 0.0; ///< interval from the machine's hold-out errors; equal to time_s without any
  double time_high_s = 0.0;
  double time_confidence = 0.0;
  double tokens_per_s = 0.0;
  /// Work of all rings at nominal speed / (devices given x time): idle devices count as lost.
  double efficiency = 0.0;
  std::string bound; ///< of the pass that takes longest
  std::string extrapolation;
  std::vector<simulator::Simulation> passes; ///< one a pass, in the workload's order
};

/// `devices` is how many were given, at least those of the configuration. A ring that does not fit is not simulated,
/// nor is one that would take more than workload.most_steps (device, step) pairs.
Evaluation evaluate(const machine::Machine &machine, const Workload &workload, const Configuration &configuration,
                    std::int64_t tokens, std::int64_t devices);

/// What the simulator is asked for one pass of one ring.
simulator::SimulationOptions simulation_options(const Workload &workload, const Configuration &configuration,
                                                schedule::Pass pass, std::int64_t tokens);

/// What simulating one pass costs, in (device, step) pairs of the plan engine, of which some millions take a second. A
/// pair of a forward ring counts simple_ring_cost of one; rings of equal devices fold and cost nothing.
double simulation_cost(const simulator::SimulationOptions &options);
inline constexpr double simple_ring_cost = 1.0 / 256.0;

/// Sum over the passes; that of the rounded tokens where these are simulated.
double simulation_cost(const Workload &workload, const Configuration &configuration, std::int64_t tokens);

/// Empty, or why `evaluate` would not simulate this: a pass that costs more than workload.most_steps.
std::string simulation_obstacle(const Workload &workload, const Configuration &configuration, std::int64_t tokens);

/// Work of the average device in all passes, which no schedule of the same ring size, placement and moving avoids.
double work_of_a_device_s(const Evaluation &evaluation);

/// Fastest first: simulated ones by time, then those that fit but were not simulated, then the others, by memory. Equal
/// ones keep their order.
void rank(std::vector<Evaluation> &evaluations);

/// What a faster part would have to be, in one clause with its figures.
std::string explain_bound(const Evaluation &evaluation);

} // namespace ringscale::sizing
