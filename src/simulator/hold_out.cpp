// SPDX-License-Identifier: Apache-2.0
#include "simulator/hold_out.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

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

std::vector<Term> backward_terms(Machine &machine) {
  return {{&machine.tiles.backward_ring_factor.value, 0.5, 2.0, 0.05}};
}

bool is_backward(const MeasuredRing &ring) { return ring.options.problem.pass == schedule::Pass::backward; }

/// A measured ring, with everything of a forward prediction that the free terms do not touch.
struct PreparedRing {
  const MeasuredRing *ring;
  double measured_s;
  std::optional<RingCosts> costs;

  double predict(const Machine &machine) {
    if (!costs) {
      return simulate(machine, ring->options).time_s;
    }
    costs->set_free_terms(machine);
    constexpr int bits = 40;
    const TickScale scale = TickScale::of(*costs, ring->options, bits);
    const Finish finish = run_plain(*costs, ring->options, scale);
    return static_cast<double>(*std::max_element(finish.ticks.begin(), finish.ticks.end())) * scale.tick_s;
  }
};

std::vector<PreparedRing> prepare(const Machine &machine, const std::vector<MeasuredRing> &rings) {
  std::vector<PreparedRing> prepared;
  for (const MeasuredRing &ring : rings) {
    prepared.push_back({&ring, ring.measured_s(), std::nullopt});
    if (!is_backward(ring)) {
      prepared.back().costs.emplace(machine, ring.options);
    }
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

enum class Kind { own_cores, shared_cores, backward, backward_shared_cores };

Kind kind_of(const Machine &machine, const MeasuredRing &ring) {
  const bool shared = shares_cores(machine, ring.options);
  return is_backward(ring) ? (shared ? Kind::backward_shared_cores : Kind::backward)
                           : (shared ? Kind::shared_cores : Kind::own_cores);
}

std::vector<Term> terms_of(Machine &machine, Kind kind) {
  switch (kind) {
  case Kind::own_cores:
    return own_core_terms(machine);
  case Kind::shared_cores:
    return shared_core_terms(machine);
  case Kind::backward:
    return backward_terms(machine);
  case Kind::backward_shared_cores:
    return {}; // predicted from the terms of the others
  }
  return {};
}

/// Fits one kind of terms on those of `rings` that are of this kind and not in `left_out`'s setting.
template <class Keep> void fit_kind(Machine &machine, std::vector<PreparedRing> &rings, Kind kind, const Keep &keep) {
  std::vector<PreparedRing *> chosen;
  for (PreparedRing &ring : rings) {
    if (kind_of(machine, *ring.ring) == kind && keep(*ring.ring)) {
      chosen.push_back(&ring);
    }
  }
  search(machine, chosen, terms_of(machine, kind));
}

bool same_setting(const MeasuredRing &left, const MeasuredRing &right) {
  const schedule::RingProblem &a = left.options.problem;
  const schedule::RingProblem &b = right.options.problem;
  return a.ring_size == b.ring_size && a.placement == b.placement && a.pass == b.pass &&
         a.attention.tokens == b.attention.tokens && a.attention.mask == b.attention.mask &&
         a.attention.query_heads == b.attention.query_heads && a.attention.kv_heads == b.attention.kv_heads &&
         a.attention.head_dim == b.attention.head_dim && a.attention.batch == b.attention.batch;
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
  point.pass = schedule::name(problem.pass);
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
  if (std::any_of(rings.begin(), rings.end(), [](const PreparedRing &ring) { return is_backward(*ring.ring); })) {
    machine.tiles.backward_ring_factor.kind = "measured";
    machine.tiles.backward_ring_factor.source = machine.core_sharing.neighbour_factor.source;
    fit_kind(machine, rings, Kind::backward, all);
  }
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
    // A ring takes no part in the fits of other kinds than its own, which can stay.
    const Kind kind = kind_of(machine, *left_out.ring);
    Machine without = kind == Kind::own_cores ? start : machine;
    if (kind == Kind::shared_cores) {
      without.core_sharing.extra_step_s = start.core_sharing.extra_step_s;
      without.core_sharing.idle_share = start.core_sharing.idle_share;
      without.core_sharing.crowding = start.core_sharing.crowding;
    } else if (kind == Kind::backward) {
      without.tiles.backward_ring_factor = start.tiles.backward_ring_factor;
    }
    fit_kind(without, prepared, kind, keep);
    machine.hold_out.push_back(describe(machine, left_out, left_out.predict(without)));
    errors.push_back(std::abs(machine.hold_out.back().relative_error));
  }
  if (!errors.empty()) {
    machine.hold_out_median_relative_error = statistics::median(errors);
    machine.hold_out_max_relative_error = *std::max_element(errors.begin(), errors.end());
  }
}

} // namespace ringscale::simulator
