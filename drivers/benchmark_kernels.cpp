// SPDX-License-Identifier: Apache-2.0
// Google Benchmark program of the kernels. Counters: gflop_per_s (useful work), share_of_peak (of the multiply-add
// peak measured in this process), gbyte_per_s (declared traffic). --smoke runs every kernel once on a small size.
#include <Kokkos_Core.hpp>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/benchmark_support.hpp"
#include "drivers/blas_core.hpp"
#include "kernels/blas.hpp"

int main(int argc, char **argv) {
  std::vector<char *> arguments(argv, argv + argc);
  const auto is_smoke = [](const char *argument) { return std::string_view(argument) == "--smoke"; };
  const bool smoke = std::any_of(arguments.begin() + 1, arguments.end(), is_smoke);
  if (!smoke) {
    ringscale::drivers::tune_blas_core(argc, argv);
  }
  arguments.erase(std::remove_if(arguments.begin() + 1, arguments.end(), is_smoke), arguments.end());
  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  const Kokkos::ScopeGuard kokkos(Kokkos::InitializationSettings().set_disable_warnings(true));
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) {
    return 2;
  }
  const ringscale::drivers::BenchmarkSizes sizes =
      smoke ? ringscale::drivers::BenchmarkSizes{{130}, {130}}
            : ringscale::drivers::BenchmarkSizes{{512, 4096, 8192, 32768}, {512, 4096}};
  ringscale::drivers::register_dense_benchmarks(sizes);
  ringscale::drivers::register_multihead_benchmarks(sizes);
  ringscale::drivers::register_peer_benchmarks(sizes);
  ringscale::drivers::register_backward_benchmarks(sizes);
  ringscale::drivers::register_pattern_benchmarks(sizes);
  ringscale::drivers::register_dilated_variant_benchmarks(sizes);
  ringscale::drivers::register_precision_benchmarks(sizes);
  ringscale::drivers::register_pattern_gradient_benchmarks(sizes);
  benchmark::AddCustomContext("kokkos_execution_space", ringscale::kernels::ExecutionSpace::name());
  benchmark::AddCustomContext("blas", ringscale::kernels::blas_name());
  benchmark::AddCustomContext("threads", std::to_string(ringscale::kernels::ExecutionSpace().concurrency()));
  const std::size_t run = benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return run > 0 ? 0 : 1;
}
