// SPDX-License-Identifier: Apache-2.0
#include "simulator/hold_out.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "statistics/summary.hpp"

namespace ringscale::simulator {

namespace {

struct Range {
  double FreeTerms::*term;
  double low;
  double high;
  double first_step;
};

constexpr std::array own_core_terms{Range{&FreeTerms::neighbour_factor, 0.5, 3.0, 0.1},
                                    Range{&FreeTerms::step_fixed_s, 0.0, 1e-2, 2e-5},
                                    Range{&FreeTerms::hidden_fraction, 0.0, 1.0, 0.25}};
constexpr std::array shared_core_terms{Range{&FreeTerms::crowding, 0.5, 3.0, 0.1},
                                       Range{&FreeTerms::extra_step_s, 0.0, 5e-2, 2e-4},
                                       Range{&FreeTerms::idle_share, 0.0, 1.0, 0.25}};

bool shares_cores(const machine::Machine &machine, const MeasuredRing &ring) {
  return machine.core_sharing.cores > 0 && ring.options.ranks_on_node > machine.core_sharing.cores;
}

double predicted_s(const machine::Machine &machine, const MeasuredRing &ring) {
  SimulationOptions options = ring.options;
  options.engine = Engine::plain;
  return simulate(machine, options).time_s;
}

/// Between least squares and least absolute deviations: errors above this one count by their size, not their square, so
/// that a single disturbed ring does not bend the fit.
double penalty(double predicted, double measured) {
  constexpr double knee = 0.02;
  const double error = std::log(predicted / measured);
  return std::sqrt(error * error + knee * knee);
}

template <std::size_t count>
void search(const machine::Machine &machine, const std::vector<const MeasuredRing *> &rings,
            const std::array<Range, count> &ranges, FreeTerms &terms) {
  if (rings.empty()) {
    return;
  }
  const auto loss = [&](const FreeTerms &candidate) {
    const machine::Machine trial = with_terms(machine, candidate);
    double sum = 0.0;
    for (const MeasuredRing *ring : rings) {
      sum += penalty(predicted_s(trial, *ring), statistics::median(ring->samples_s));
    }
    return sum;
  };
  double best = loss(terms);
  std::array<double, count> step;
  for (std::size_t index = 0; index < count; ++index) {
    step[index] = ranges[index].first_step;
  }
  constexpr int rounds = 14;
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t index = 0; index < count; ++index) {
      const Range &range = ranges[index];
      bool moved = false;
      for (const double sign : {1.0, -1.0}) {
        FreeTerms candidate = terms;
        candidate.*range.term = std::clamp(terms.*range.term + sign * step[index], range.low, range.high);
        const double value = loss(candidate);
        if (value < best) {
          best = value;
          terms = candidate;
          moved = true;
          break;
        }
      }
      step[index] *= moved ? 1.5 : 0.5;
    }
  }
}

bool same_setting(const MeasuredRing &left, const MeasuredRing &right) {
  const auto &a = left.options.problem;
  const auto &b = right.options.problem;
  return a.ring_size == b.ring_size && a.placement == b.placement && a.attention.tokens == b.attention.tokens &&
         a.attention.mask == b.attention.mask && a.attention.query_heads == b.attention.query_heads &&
         a.attention.kv_heads == b.attention.kv_heads && a.attention.head_dim == b.attention.head_dim &&
         a.attention.batch == b.attention.batch;
}

machine::HoldOut describe(const machine::Machine &machine, const MeasuredRing &ring, double predicted) {
  const schedule::RingProblem &problem = ring.options.problem;
  machine::HoldOut point;
  point.ring_size = problem.ring_size;
  point.tokens = problem.attention.tokens;
  point.query_heads = problem.attention.query_heads;
  point.kv_heads = problem.attention.kv_heads;
  point.head_dim = problem.attention.head_dim;
  point.mask = problem::name(problem.attention.mask);
  point.placement = schedule::name(problem.placement);
  point.shares_cores = shares_cores(machine, ring);
  point.measured_s = statistics::median(ring.samples_s);
  point.samples_s = ring.samples_s;
  point.predicted_s = predicted;
  point.relative_error = predicted / point.measured_s - 1.0;
  return point;
}

} // namespace

FreeTerms free_terms(const machine::Machine &machine) {
  return {machine.step_fixed_s.value,
          machine.overlap.hidden_fraction.value,
          machine.core_sharing.neighbour_factor.value,
          machine.core_sharing.idle_share.value,
          machine.core_sharing.crowding.value,
          machine.core_sharing.extra_step_s.value};
}

machine::Machine with_terms(machine::Machine machine, const FreeTerms &terms) {
  machine.step_fixed_s.value = terms.step_fixed_s;
  machine.overlap.hidden_fraction.value = terms.hidden_fraction;
  machine.core_sharing.neighbour_factor.value = terms.neighbour_factor;
  machine.core_sharing.idle_share.value = terms.idle_share;
  machine.core_sharing.crowding.value = terms.crowding;
  machine.core_sharing.extra_step_s.value = terms.extra_step_s;
  return machine;
}

FreeTerms fit_free_terms(const machine::Machine &machine, const std::vector<MeasuredRing> &rings) {
  std::vector<const MeasuredRing *> own_core;
  std::vector<const MeasuredRing *> shared_core;
  for (const MeasuredRing &ring : rings) {
    (shares_cores(machine, ring) ? shared_core : own_core).push_back(&ring);
  }
  FreeTerms terms = free_terms(machine);
  search(machine, own_core, own_core_terms, terms);
  search(machine, shared_core, shared_core_terms, terms);
  return terms;
}

void cross_validate(machine::Machine &machine, const std::vector<MeasuredRing> &rings) {
  machine.hold_out.clear();
  const FreeTerms all = fit_free_terms(machine, rings);
  std::vector<double> errors;
  for (const MeasuredRing &left_out : rings) {
    std::vector<MeasuredRing> others;
    for (const MeasuredRing &ring : rings) {
      if (!same_setting(ring, left_out)) {
        others.push_back(ring);
      }
    }
    const machine::Machine fitted = with_terms(machine, fit_free_terms(machine, others));
    machine.hold_out.push_back(describe(machine, left_out, predicted_s(fitted, left_out)));
    errors.push_back(std::abs(machine.hold_out.back().relative_error));
  }
  machine = with_terms(machine, all);
  if (!errors.empty()) {
    machine.hold_out_median_relative_error = statistics::median(errors);
    machine.hold_out_max_relative_error = *std::max_element(errors.begin(), errors.end());
  }
}

} // namespace ringscale::simulator
