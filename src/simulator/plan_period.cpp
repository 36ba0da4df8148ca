// SPDX-License-Identifier: Apache-2.0
#include <numeric>

#include "machine/links.hpp"
#include "simulator/device_time.hpp"
#include "simulator/plan_engine.hpp"

namespace ringscale::simulator {

namespace {

bool equal_counts(const problem::TokenSet &one, const problem::TokenSet &other) {
  return one.first.count == other.first.count && one.second.count == other.second.count;
}

/// All ranks have as many tokens, and as fast devices.
bool shares_are_equal(const SimulationOptions &options) {
  const schedule::RingProblem &problem = options.problem;
  if (devices_differ(options) || has_jitter(options) || problem.chunks.weighted()) {
    return false;
  }
  const problem::TokenSet queries = schedule::queries_of(problem, 0);
  const problem::TokenSet keys = schedule::keys_of(problem, 0);
  for (std::int64_t rank = 1; rank < problem.ring_size; ++rank) {
    if (!equal_counts(schedule::queries_of(problem, rank), queries) ||
        !equal_counts(schedule::keys_of(problem, rank), keys)) {
      return false;
    }
  }
  return true;
}

/// A meeting costs the same whoever of two ranks comes first: without a mask, and with zigzag under the causal one.
bool meetings_are_alike(const PlanCosts &costs) {
  const schedule::RingProblem &problem = costs.problem();
  if (problem.pattern.kind != problem::PatternKind::dense || problem.hops != schedule::Hops::all) {
    return false;
  }
  if (problem.attention.mask == problem::Mask::none || problem.ring_size == 1) {
    return true;
  }
  const WorkSeconds from_after = costs.meeting(0, 1);
  const WorkSeconds from_before = costs.meeting(1, 0);
  return problem.placement == schedule::Placement::zigzag && from_after.tile_s == from_before.tile_s &&
         from_after.merge_s == from_before.merge_s && from_after.tile_s > 0.0;
}

} // namespace

std::int64_t plan_period(const PlanCosts &costs, const SimulationOptions &options) {
  const std::int64_t ring_size = costs.ring_size();
  if (costs.fleet().mixed()) {
    return ring_size;
  }
  // Whole groups of links and whole inner rings: shifted by so many ranks, every pair of ranks is in the same groups.
  const std::int64_t period =
      std::lcm(machine::link_period(costs.fleet().machine(0), ring_size), options.problem.inner_ring_size);
  return ring_size % period == 0 && shares_are_equal(options) && meetings_are_alike(costs) ? period : ring_size;
}

} // namespace ringscale::simulator
