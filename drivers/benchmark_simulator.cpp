// SPDX-License-Identifier: Apache-2.0
// Hops per second of the simulator's engines: benchmark_simulator [--benchmark_filter=...]
#include <benchmark/benchmark.h>

#include <thread>

#include "machine/machine.hpp"
#include "simulator/simulation.hpp"

namespace {

using namespace ringscale;

machine::Number number(double value) { return {value, "analytic", "chosen for the benchmark"}; }

/// A device of 100 TFLOP/s with one link of 25 GB/s each way; with nodes, eight devices share a faster one.
machine::Machine benchmark_machine(bool nodes) {
  machine::Machine machine;
  machine.name = "benchmark";
  machine.kind = "published";
  machine.device.memory_bytes = number(8e10);
  machine.device.peak_flop_per_s = number(1e14);
  machine::Arithmetic arithmetic;
  arithmetic.dtype = "bfloat16";
  arithmetic.element_bytes = 2;
  arithmetic.peak_flop_per_s = number(1e14);
  arithmetic.efficiency = number(0.6);
  machine.roofline.arithmetic = {arithmetic};
  machine.roofline.memory_bandwidth_bytes_per_s = number(2e12);
  machine.roofline.exponentials_per_s = number(2e12);
  machine.roofline.launch_s = number(5e-6);
  machine.merge.fused = true;
  machine.merge.fixed_s = machine.merge.per_element_s = number(0.0);
  machine.step_fixed_s = number(1e-5);
  machine::Link link;
  link.level = machine::Level::fabric;
  link.latency_s = number(2e-6);
  link.per_message_overhead_s = number(0.0);
  link.bandwidth_bytes_per_s = number(2.5e10);
  link.sharing = number(0.0);
  machine.links = {link};
  if (nodes) {
    link.level = machine::Level::node;
    link.group_devices = 8;
    link.bandwidth_bytes_per_s = number(3e11);
    machine.links.insert(machine.links.begin(), link);
  }
  machine.overlap.hidden_fraction = number(1.0);
  machine.jitter.relative_standard_deviation = number(0.0);
  return machine;
}

simulator::SimulationOptions benchmark_options(std::int64_t ring_size, simulator::Engine engine, int threads) {
  simulator::SimulationOptions options;
  options.problem.ring_size = ring_size;
  options.problem.attention.tokens = ring_size * 4096;
  options.engine = engine;
  options.threads = threads;
  if (engine != simulator::Engine::folded) {
    options.speed_spread = 0.05;
    options.jitter = 0.02;
  }
  return options;
}

void run(benchmark::State &state, const machine::Machine &machine, const simulator::SimulationOptions &options) {
  double hops = 0.0;
  for (auto step : state) {
    hops += simulator::simulate(machine, options).hops;
  }
  state.counters["hops/s"] = benchmark::Counter(hops, benchmark::Counter::kIsRate);
}

void plain(benchmark::State &state) {
  run(state, benchmark_machine(false), benchmark_options(state.range(0), simulator::Engine::plain, 1));
}

void blocked(benchmark::State &state) {
  run(state, benchmark_machine(false),
      benchmark_options(state.range(0), simulator::Engine::blocked, static_cast<int>(state.range(1))));
}

void blocked_causal_zigzag(benchmark::State &state) {
  simulator::SimulationOptions options =
      benchmark_options(state.range(0), simulator::Engine::blocked, static_cast<int>(state.range(1)));
  options.problem.attention.mask = problem::Mask::causal;
  options.problem.placement = schedule::Placement::zigzag;
  run(state, benchmark_machine(false), options);
}

void blocked_nodes(benchmark::State &state) {
  run(state, benchmark_machine(true),
      benchmark_options(state.range(0), simulator::Engine::blocked, static_cast<int>(state.range(1))));
}

void folded(benchmark::State &state) {
  run(state, benchmark_machine(true), benchmark_options(state.range(0), simulator::Engine::folded, 1));
}

void thread_counts(benchmark::internal::Benchmark *benchmark) {
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  for (const std::int64_t ring_size : {16384, 65536, 262144}) {
    benchmark->Args({ring_size, 1});
    if (cores > 1) {
      benchmark->Args({ring_size, cores});
    }
  }
}

BENCHMARK(plain)->Arg(4096)->Arg(16384)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(blocked)->Apply(thread_counts)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(blocked_causal_zigzag)->Args({65536, 1})->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(blocked_nodes)->Args({65536, 1})->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(folded)->Arg(262144)->Arg(244140624)->Unit(benchmark::kMillisecond)->UseRealTime();

} // namespace

BENCHMARK_MAIN();
