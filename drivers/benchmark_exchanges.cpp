// SPDX-License-Identifier: Apache-2.0
// Seconds of a ring shift with each exchange, of an all-gather, and how much of a shift hides behind a tile:
//   mpiexec -n 2 benchmark_exchanges [SAMPLES]
// Every row is the median of the slowest rank's times with the order-statistic interval of 95 % where samples suffice.
#include <Kokkos_Core.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "ring/measurements.hpp"
#include "statistics/summary.hpp"

namespace ringscale {

namespace {

void print(const ring::Communicator &world, const char *what, std::string_view variant, std::int64_t bytes,
           const std::vector<double> &samples_s) {
  if (world.rank() == 0) {
    const statistics::Interval interval = statistics::median_interval(samples_s);
    std::printf("%-10s %-12s %9lld bytes  median %9.2f us  [%9.2f, %9.2f] (%.0f %%)\n", what,
                std::string(variant).c_str(), static_cast<long long>(bytes), 1e6 * statistics::median(samples_s),
                1e6 * interval.low, 1e6 * interval.high, 100.0 * interval.confidence);
  }
}

void measure(ring::Communicator &world, const ring::Repetitions &repetitions) {
  for (const std::int64_t bytes : {std::int64_t{1} << 10, std::int64_t{1} << 16, std::int64_t{1} << 22}) {
    for (const ring::Exchange exchange : ring::every_exchange) {
      print(world, "shift", name(exchange), bytes, ring::measure_shift(world, bytes, repetitions, exchange));
    }
    for (const ring::Gathering gathering : {ring::Gathering::nonblocking, ring::Gathering::blocking}) {
      print(world, "all_gather", name(gathering), bytes,
            ring::measure_all_gather(world, bytes, repetitions, gathering));
    }
  }
  ring::TileSetting tile;
  tile.query_tokens = 512;
  tile.key_tokens = 512;
  for (const ring::Exchange exchange : ring::every_exchange) {
    const ring::OverlapMeasurement overlap =
        ring::measure_overlap(world, tile, std::int64_t{1} << 22, repetitions, exchange);
    if (world.rank() == 0) {
      std::printf("overlap    %-12s hidden fraction %.2f polled, %.2f not polled\n",
                  std::string(name(exchange)).c_str(), overlap.hidden_fraction_polled,
                  overlap.hidden_fraction_unpolled);
    }
  }
}

} // namespace

} // namespace ringscale

int main(int argc, char **argv) {
  using namespace ringscale;
  const int samples = argc > 1 ? std::atoi(argv[1]) : 101;
  if (argc > 2 || samples < 1) {
    std::fprintf(stderr, "usage: benchmark_exchanges [SAMPLES], at least 1\n");
    return 2;
  }
  const ring::MpiEnvironment environment;
  ring::Communicator world = ring::Communicator::world();
  const Kokkos::ScopeGuard kokkos(Kokkos::InitializationSettings().set_num_threads(1).set_disable_warnings(true));
  if (world.size() < 2) {
    std::fprintf(stderr, "benchmark_exchanges needs two ranks or more: mpiexec -n 2 benchmark_exchanges\n");
    return 2;
  }
  measure(world, {5, samples});
  return 0;
}
