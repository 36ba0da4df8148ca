// SPDX-License-Identifier: Apache-2.0
#include "kernels/triad.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace ringscale::kernels {

double measure_triad_gbyte_per_s(const ExecutionSpace &space, double seconds) {
  constexpr std::int64_t elements = std::int64_t{16} << 20U;
  using Array = Kokkos::View<float *, MemorySpace>;
  const Array result("ringscale::triad_result", elements);
  const Array left("ringscale::triad_left", elements);
  const Array right("ringscale::triad_right", elements);
  using Policy = Kokkos::RangePolicy<ExecutionSpace, Kokkos::Schedule<Kokkos::Static>, Kokkos::IndexType<std::int64_t>>;
  // Filled by the threads that read it later, so that its pages lie near them.
  Kokkos::parallel_for(
      "ringscale::triad_fill", Policy(space, 0, elements), KOKKOS_LAMBDA(const std::int64_t index) {
        left(index) = 1.0F;
        right(index) = 2.0F;
        result(index) = 0.0F;
      });
  float *to = result.data();
  const float *first = left.data();
  const float *second = right.data();
  space.fence("ringscale::triad: filled");
  double best_s = std::numeric_limits<double>::infinity();
  const Kokkos::Timer timer;
  do {
    const Kokkos::Timer pass;
    Kokkos::parallel_for(
        "ringscale::triad", Policy(space, 0, elements),
        KOKKOS_LAMBDA(const std::int64_t index) { to[index] = first[index] + 3.0F * second[index]; });
    space.fence("ringscale::triad: a pass");
    best_s = std::min(best_s, pass.seconds());
  } while (timer.seconds() < seconds);
  return 3.0 * sizeof(float) * static_cast<double>(elements) / best_s * 1e-9;
}

} // namespace ringscale::kernels
