// SPDX-License-Identifier: Apache-2.0
#include "simulator/hold_out.hpp"

#include <algorithm>
#include <cmath>

#include "simulator/engines.hpp"
#include "statistics/summary.hpp"

namespace ringscale::simulator {

namespace {

using machine::Machine;

/// One term of a fit: its place in the machine, its range and the first step of the search.
struct Term {
  double *value;
  double low;
  double high;
  double step;
};

std::vector<Term> own_core_terms(Machine &machine) {
  std::vector<Term> terms{{&machine.step_fixed_s.value, 0.0, 1e-2, 2e-5}};
  if (machine.overlap.samples.empty()) {
    // Where it was measured, beside a tile, it is not fitted: rings say little of it that other terms do not explain.
    terms.push_back({&machine.overlap.hidden_fraction.value, 0.0, 1.0, 0.25});
  }
  if (machine.core_sharing.cores > 1) {
    terms.push_back({&machine.core_sharing.neighbour_factor.value, 0.5, 3.0, 0.1});
    terms.push_back({&machine.core_sharing.spin_share.value, 0.0, 1.0, 0.25});
  }
  return terms;
}

std::vector<Term> shared_core_terms(Machine &machine) {
  std::vector<Term> terms{{&machine.core_sharing.extra_step_s.value, 0.0, 5e-2, 2e-4},
                          {&machine.core_sharing.idle_share.value, 0.0, 1.0, 0.25}};
  for (machine::Crowding &crowding : machine.core_sharing.crowding) {
    terms.push_back({&crowding.factor.value, 0.5, 4.0, 0.2});
  }
  return terms;
}

/// A measured ring with everything of its prediction that the free terms do not touch.
struct PreparedRing {
  const MeasuredRing *ring;
  double measured_s;
  RingCosts costs;

  double predict(const Machine &machine) {
    costs.set_free_terms(machine);
    constexpr int bits = 40;
    const TickScale scale = TickScale::of(costs, ring->options, bits);
    const Finish finish = run_plain(costs, ring->options, scale);
    return static_cast<double>(*std::max_element(finish.ticks.begin(), finish.ticks.end())) * scale.tick_s;
  }
};

std::vector<PreparedRing> prepare(const Machine &machine, const std::vector<MeasuredRing> &rings) {
  std::vector<PreparedRing> prepared;
  for (const MeasuredRing &ring : rings) {
    prepared.push_back({&ring, ring.measured_s(), RingCosts(machine, ring.options)});
  }
  return prepared;
}

/// Between least squares and least absolute deviations: errors above the knee count by their size, not their square, so
/// that a single disturbed ring does not bend the fit.
double penalty(double predicted, double measured) {
  constexpr double knee = 0.02;
  const double error = std::log(predicted / measured);
  return std::sqrt(error * error + knee * knee);
}

void search(Machine &machine, const std::vector<PreparedRing *> &rings, std::vector<Term> terms) {
  if (rings.empty()) {
    return;
  }
  const auto loss = [&] {
    double sum = 0.0;
    for (PreparedRing *ring : rings) {
      sum += penalty(ring->predict(machine), ring->measured_s);
    }
    return sum;
  };
  double best = loss();
  constexpr int rounds = 16;
  for (int round = 0; round < rounds; ++round) {
    for (Term &term : terms) {
      const double before = *term.value;
      bool moved = false;
      for (const double sign : {1.0, -1.0}) {
        *term.value = std::clamp(before + sign * term.step, term.low, term.high);
        const double value = loss();
        if (value < best) {
          best = value;
          moved = true;
          break;
        }
        *term.value = before;
      }
      term.step *= moved ? 1.5 : 0.5;
    }
  }
}

enum class Kind { own_cores, shared_cores };

/// Fits one kind of terms on those of `rings` that are of this kind and not in `left_out`'s setting.
template <class Keep> void fit_kind(Machine &machine, std::vector<PreparedRing> &rings, Kind kind, const Keep &keep) {
  std::vector<PreparedRing *> chosen;
  for (PreparedRing &ring : rings) {
    const bool shared = shares_cores(machine, ring.ring->options);
    if (shared == (kind == Kind::shared_cores) && keep(*ring.ring)) {
      chosen.push_back(&ring);
    }
  }
  search(machine, chosen, kind == Kind::shared_cores ? shared_core_terms(machine) : own_core_terms(machine));
}

bool same_setting(const MeasuredRing &left, const MeasuredRing &right) {
  const schedule::RingProblem &a = left.options.problem;
  const schedule::RingProblem &b = right.options.problem;
  return a.ring_size == b.ring_size && a.placement == b.placement && a.attention.tokens == b.attention.tokens &&
         a.attention.mask == b.attention.mask && a.attention.query_heads == b.attention.query_heads &&
         a.attention.kv_heads == b.attention.kv_heads && a.attention.head_dim == b.attention.head_dim &&
         a.attention.batch == b.attention.batch;
}

machine::HoldOut describe(const Machine &machine, const PreparedRing &prepared, double predicted_s) {
  const schedule::RingProblem &problem = prepared.ring->options.problem;
  machine::HoldOut point;
  point.ring_size = problem.ring_size;
  point.tokens = problem.attention.tokens;
  point.query_heads = problem.attention.query_heads;
  point.kv_heads = problem.attention.kv_heads;
  point.head_dim = problem.attention.head_dim;
  point.mask = problem::name(problem.attention.mask);
  point.placement = schedule::name(problem.placement);
  point.shares_cores = shares_cores(machine, prepared.ring->options);
  point.measured_s = prepared.measured_s;
  point.samples_s = prepared.ring->samples_s;
  point.predicted_s = predicted_s;
  point.relative_error = predicted_s / prepared.measured_s - 1.0;
  return point;
}

void fit_all(Machine &machine, std::vector<PreparedRing> &rings) {
  const auto all = [](const MeasuredRing &) { return true; };
  fit_kind(machine, rings, Kind::own_cores, all);
  fit_kind(machine, rings, Kind::shared_cores, all);
}

} // namespace

void fit_free_terms(Machine &machine, const std::vector<MeasuredRing> &rings) {
  std::vector<PreparedRing> prepared = prepare(machine, rings);
  fit_all(machine, prepared);
}

void cross_validate(Machine &machine, const std::vector<MeasuredRing> &rings) {
  const Machine start = machine;
  std::vector<PreparedRing> prepared = prepare(machine, rings);
  fit_all(machine, prepared);
  machine.hold_out.clear();
  std::vector<double> errors;
  for (PreparedRing &left_out : prepared) {
    const auto keep = [&](const MeasuredRing &ring) { return !same_setting(ring, *left_out.ring); };
    // A ring that shares cores takes no part in the other kind's fit, which can stay; and the other way round.
    const bool shared = shares_cores(machine, left_out.ring->options);
    Machine without = shared ? machine : start;
    if (shared) {
      without.core_sharing.extra_step_s = start.core_sharing.extra_step_s;
      without.core_sharing.idle_share = start.core_sharing.idle_share;
      without.core_sharing.crowding = start.core_sharing.crowding;
    }
    fit_kind(without, prepared, shared ? Kind::shared_cores : Kind::own_cores, keep);
    machine.hold_out.push_back(describe(machine, left_out, left_out.predict(without)));
    errors.push_back(std::abs(machine.hold_out.back().relative_error));
  }
  if (!errors.empty()) {
    machine.hold_out_median_relative_error = statistics::median(errors);
    machine.hold_out_max_relative_error = *std::max_element(errors.begin(), errors.end());
  }
}

} // namespace ringscale::simulator
