// SPDX-License-Identifier: Apache-2.0
// Hops per second of processor time of the simulator's engines: benchmark_simulator [--benchmark_filter=...]
#include <benchmark/benchmark.h>

#include <algorithm>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "machine/machine.hpp"
#include "simulator/noise.hpp"
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
  state.counters["hops/cpu_s"] = benchmark::Counter(hops, benchmark::Counter::kIsRate);
}

/// The same arithmetic as a program without engines would have it: a step at a time over the whole ring, 32-bit ticks,
/// hops alike, as well as the compiler makes it.
void step_by_step(benchmark::State &state) {
  const std::int64_t ring_size = state.range(0);
  const auto length = static_cast<std::size_t>(ring_size);
  std::vector<std::int32_t> times(length + 2);
  std::vector<std::int32_t> next(length + 2);
  std::vector<std::int32_t> work(length + 2);
  std::vector<std::int32_t> amplitude(length + 2);
  std::vector<std::uint32_t> keys(length + 2);
  for (std::size_t rank = 1; rank <= length; ++rank) {
    work[rank] = 1000 + static_cast<std::int32_t>(rank % 97);
    amplitude[rank] = 1 + static_cast<std::int32_t>(rank % 3);
    keys[rank] = simulator::noise_rank_key(1, static_cast<std::int64_t>(rank));
  }
  constexpr std::int32_t hop = 1000;
  const auto advance = [&]<int step_in_group>(std::uint32_t group_key, std::integral_constant<int, step_in_group>) {
    times.front() = times[length];
    times.back() = times[1];
    for (std::size_t rank = 1; rank <= length; ++rank) {
      const std::uint32_t bits = simulator::mix_keys(keys[rank], group_key);
      const std::int32_t free = times[rank] + work[rank] + amplitude[rank] * simulator::noise_of(bits, step_in_group);
      next[rank] = std::max(free, std::max(times[rank], std::max(times[rank - 1], times[rank + 1])) + hop);
    }
    std::swap(times, next);
  };
  std::int64_t steps = 0;
  for (auto iteration : state) {
    if (steps % 65536 == 0) {
      std::fill(times.begin(), times.end(), 0); // before 32 bits overflow
    }
    const std::uint32_t group_key = simulator::noise_group_key(1, steps);
    advance(group_key, std::integral_constant<int, 0>{});
    advance(group_key, std::integral_constant<int, 1>{});
    advance(group_key, std::integral_constant<int, 2>{});
    advance(group_key, std::integral_constant<int, 3>{});
    steps += simulator::steps_per_noise_group;
    benchmark::DoNotOptimize(times.data());
    benchmark::ClobberMemory();
  }
  state.counters["hops/cpu_s"] =
      benchmark::Counter(static_cast<double>(ring_size * steps), benchmark::Counter::kIsRate);
}

void plain(benchmark::State &state) {
  run(state, benchmark_machine(false), benchmark_options(state.range(0), simulator::Engine::plain, 1));
}

void blocked(benchmark::State &state) {
  run(state, benchmark_machine(false),
      benchmark_options(state.range(0), simulator::Engine::blocked, static_cast<int>(state.range(1))));
}

void blocked_causal(benchmark::State &state, schedule::Placement placement) {
  simulator::SimulationOptions options =
      benchmark_options(state.range(0), simulator::Engine::blocked, static_cast<int>(state.range(1)));
  options.problem.attention.mask = problem::Mask::causal;
  options.problem.placement = placement;
  run(state, benchmark_machine(false), options);
}

void blocked_nodes(benchmark::State &state) {
  run(state, benchmark_machine(true),
      benchmark_options(state.range(0), simulator::Engine::blocked, static_cast<int>(state.range(1))));
}

void folded(benchmark::State &state) {
  run(state, benchmark_machine(true), benchmark_options(state.range(0), simulator::Engine::folded, 1));
}

/// A bidirectional ring: its equal devices are one period, or with some jitter all are computed.
void plan(benchmark::State &state, double jitter) {
  simulator::SimulationOptions options = benchmark_options(state.range(0), simulator::Engine::plan, 1);
  options.problem.schedule = schedule::Schedule::bidirectional_ring;
  options.speed_spread = 0.0;
  options.jitter = jitter;
  run(state, benchmark_machine(true), options);
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

// Rates are by the processor time of all threads, so that other programs on the machine change them little.
BENCHMARK(step_by_step)->Arg(4096)->Arg(262144)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();
BENCHMARK(plain)->Arg(4096)->Arg(16384)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();
BENCHMARK(blocked)->Apply(thread_counts)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(blocked_causal, contiguous, schedule::Placement::contiguous)
    ->Args({65536, 1})
    ->Args({262144, 1})
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(blocked_causal, zigzag, schedule::Placement::zigzag)
    ->Args({65536, 1})
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime();
BENCHMARK(blocked_nodes)->Args({65536, 1})->Args({262144, 1})->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();
BENCHMARK(folded)->Arg(262144)->Arg(244140624)->Arg(244140625)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(plan, folded, 0.0)->Arg(4096)->Arg(262144)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(plan, all_devices, 0.02)->Arg(4096)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

} // namespace

BENCHMARK_MAIN();
