// SPDX-License-Identifier: Apache-2.0
#include "kernels/fma_peak.hpp"

#include <algorithm>
#include <cstdint>

#include "kernels/tile/select_tile.hpp"

namespace ringscale::kernels {

namespace {

// Enough independent chains to cover the latency of the units of any current core (Zen 5: 4 cycles, 2 a cycle).
constexpr int chains = 12;

#if defined(RINGSCALE_HOST_TILES)
using Element = tile::Vector;
constexpr int element_lanes = tile::lanes;
inline Element fill(float value) { return tile::broadcast(value); }
inline Element multiply_add(Element a, Element b, Element c) { return tile::multiply_add(a, b, c); }
inline float first_lane(Element value) { return value[0]; }
inline std::int64_t items(const ExecutionSpace &space) { return space.concurrency(); }
#else
using Element = float;
constexpr int element_lanes = 1;
KOKKOS_INLINE_FUNCTION Element fill(float value) { return value; }
KOKKOS_INLINE_FUNCTION Element multiply_add(Element a, Element b, Element c) { return Kokkos::fma(a, b, c); }
KOKKOS_INLINE_FUNCTION float first_lane(Element value) { return value; }
inline std::int64_t items(const ExecutionSpace &space) { return 4 * static_cast<std::int64_t>(space.concurrency()); }
#endif

/// Each item runs `chains` chains x -> x * factor + term of `rounds` steps; they converge to 1 and stay finite.
struct Burst {
  std::int64_t rounds;
  Kokkos::View<float *, MemorySpace> results;

  KOKKOS_FUNCTION void operator()(const std::int64_t item) const {
    Element values[chains];
    for (int chain = 0; chain < chains; ++chain) {
      values[chain] = fill(static_cast<float>(chain + item % 7));
    }
    const Element factor = fill(0.75F);
    const Element term = fill(0.25F);
    for (std::int64_t round = 0; round < rounds; ++round) {
#if !defined(__CUDACC__)
#pragma GCC unroll 16
#endif
      for (int chain = 0; chain < chains; ++chain) {
        values[chain] = multiply_add(values[chain], factor, term);
      }
    }
    float sum = 0.0F;
    for (int chain = 0; chain < chains; ++chain) {
      sum += first_lane(values[chain]);
    }
    results(item) = sum;
  }
};

double burst_s(const ExecutionSpace &space, std::int64_t item_count, const Burst &burst) {
  using Policy = Kokkos::RangePolicy<ExecutionSpace, Kokkos::Schedule<Kokkos::Static>, Kokkos::IndexType<std::int64_t>>;
  space.fence("ringscale::fma_peak: before a burst");
  const Kokkos::Timer timer;
  Kokkos::parallel_for("ringscale::fma_peak", Policy(space, 0, item_count), burst);
  space.fence("ringscale::fma_peak: after a burst");
  return timer.seconds();
}

} // namespace

double measure_fma_peak_gflop_per_s(const ExecutionSpace &space, double seconds) {
  const std::int64_t item_count = items(space);
  Burst burst{10'000, Kokkos::View<float *, MemorySpace>("ringscale::fma_peak_results", item_count)};
  // Lengthens the burst until it takes about a millisecond.
  double duration_s = burst_s(space, item_count, burst);
  while ((duration_s = burst_s(space, item_count, burst)) < 1e-3) {
    burst.rounds *= 2;
  }
  const double flop =
      2.0 * element_lanes * chains * static_cast<double>(burst.rounds) * static_cast<double>(item_count);
  const Kokkos::Timer timer;
  double best_s = duration_s;
  do {
    best_s = std::min(best_s, burst_s(space, item_count, burst));
  } while (timer.seconds() < seconds);
  return flop / best_s * 1e-9;
}

} // namespace ringscale::kernels
