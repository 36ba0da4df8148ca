// SPDX-License-Identifier: Apache-2.0
// Prints the bits of what the simulator answers, one line a simulation. Built twice, optimised and not; test_bits.py
// compares both under several locales. The argument names the locale, "" is that of the environment.
#include <bit>
#include <clocale>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <locale>
#include <string>

#include "simulator/chunk_balance.hpp"
#include "simulator/explanation.hpp"
#include "simulator/simulation.hpp"
#include "tests/machine/calibrated_machine.hpp"
#include "tests/simulator/draw.hpp"
#include "tests/simulator/example_machines.hpp"

namespace {

using namespace ringscale;
using simulator::Engine;
using simulator::Simulation;
using simulator::SimulationOptions;
using simulator_tests::number;

/// "1,5" and "1.000" whatever the system's locales are.
class Commas : public std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

void print(const char *what, const Simulation &result) {
  std::printf("%s", what);
  for (const double value :
       {result.time_s, result.time_low_s, result.time_high_s, result.tokens_per_s, result.efficiency, result.tick_s,
        result.finish.p5_s, result.finish.p50_s, result.finish.p95_s, result.slowest.compute_s, result.slowest.merge_s,
        result.slowest.exposed_communication_s, result.slowest.waiting_s, result.hop_s, result.work_s}) {
    std::printf(" %016llx", static_cast<unsigned long long>(std::bit_cast<std::uint64_t>(value)));
  }
  if (result.failures) {
    for (const double value : {result.failures->expected.total_s, result.failures->simulated.mean.total_s,
                               result.failures->simulated.p95_s}) {
      std::printf(" %016llx", static_cast<unsigned long long>(std::bit_cast<std::uint64_t>(value)));
    }
  }
  const simulator::Explanation explanation = simulator::explain(result);
  const double total_s = explanation.total_s;
  std::printf(" %s\n",
              std::isfinite(total_s) ? simulator::decimals_that_add_up({total_s}, total_s, 7).back().c_str() : "never");
}

machine::Machine node_machine() {
  machine::Machine machine = simulator_tests::simple_machine(1.1e-9, 3.3e-6, 1.7e9);
  machine.roofline.memory_bandwidth_bytes_per_s = number(1e11 / 3.0);
  machine::Link node = machine.links[0];
  node.level = machine::Level::node;
  node.group_devices = 4;
  node.bandwidth_bytes_per_s = number(9e9 / 7.0);
  machine.links.insert(machine.links.begin(), node);
  machine.links[1].oversubscription = number(3.1);
  machine.overlap.hidden_fraction = number(0.73);
  machine.merge.fused = false;
  machine.merge.per_element_s = number(1.3e-11);
  machine.step_fixed_s = number(1.7e-6);
  machine.failures = machine::Failures{number(1e4 / 3.0), number(0.1), number(0.2), number(1e8), std::nullopt};
  return machine;
}

} // namespace

int main(int count, char **arguments) {
  if (count > 1) {
    if (std::setlocale(LC_ALL, arguments[1]) == nullptr) {
      std::printf("no locale %s\n", arguments[1]);
      return 3;
    }
    std::locale::global(std::locale(std::locale(), new Commas));
  }
  simulator_tests::Draw draw(17, 3);
  const machine::Machine published = node_machine();
  const machine::Machine calibrated = machine_tests::calibrated_machine();
  constexpr schedule::Schedule schedules[] = {schedule::Schedule::ring, schedule::Schedule::bidirectional_ring,
                                              schedule::Schedule::double_ring, schedule::Schedule::all_gather};
  for (int round = 0; round < 60; ++round) {
    const machine::Machine &machine = draw.coin() ? published : calibrated;
    SimulationOptions options = simulator_tests::ring_options(
        4 * (1 + draw.below(12)), 100 + draw.below(300), draw.coin() ? problem::Mask::causal : problem::Mask::none,
        draw.coin() ? schedule::Placement::zigzag : schedule::Placement::contiguous);
    options.problem.schedule = schedules[draw.below(4)];
    options.problem.inner_ring_size = options.problem.schedule == schedule::Schedule::double_ring ? 4 : 1;
    options.problem.pass = draw.coin() ? schedule::Pass::backward : schedule::Pass::forward;
    options.speed_spread = draw.between(0.0, 0.2);
    options.jitter = draw.between(0.0, 0.1);
    options.straggler_share = 0.1;
    options.straggler_factor = draw.between(1.0, 2.0);
    options.failures.passes = machine.failures ? 100 : 1;
    print("random", simulator::simulate(machine, options));
    options.failures.passes = 1; // of two types, one of which never fails
    const machine::Fleet fleet(
        {{published, options.problem.ring_size / 2}, {calibrated, options.problem.ring_size / 2}});
    options.problem.chunks = schedule::weighted_chunks(simulator::chunk_weights_by_speed(fleet, options), 1);
    print("mixed", simulator::simulate(fleet, options));
  }
  for (const Engine engine : {Engine::plain, Engine::blocked}) {
    SimulationOptions options = simulator_tests::ring_options(1200, 256, problem::Mask::causal);
    options.engine = engine;
    options.jitter = 0.03;
    options.speed_spread = 0.05;
    print("engine", simulator::simulate(published, options));
  }
  machine::Machine jittery = published;
  jittery.jitter.relative_quantiles = {0.91, 0.97, 0.99, 1.0 / 3.0 + 0.667, 1.03, 1.7};
  machine::Machine other = published;
  other.jitter.relative_quantiles = {0.8, 1.01, 1.1};
  other.step_fixed_s = number(2.3e-6);
  for (const Engine engine : {Engine::plain, Engine::blocked, Engine::plan}) {
    SimulationOptions options = simulator_tests::ring_options(1200, 256);
    options.engine = engine;
    options.measured_jitter = true;
    options.straggler_share = 0.01;
    options.straggler_factor = 1.4;
    print("measured", simulator::simulate(jittery, options));
    print("two types", simulator::simulate(machine::Fleet({{jittery, 500}, {other, 700}}), options));
  }
  print("folded", simulator::simulate(published, simulator_tests::ring_options(1 << 20, 256)));
  return 0;
}
