// SPDX-License-Identifier: Apache-2.0
#include "kernels/accumulate.hpp"

namespace ringscale::kernels {

void accumulate(const ExecutionSpace &space, const float *addend, std::int64_t count, float *sum) {
  Kokkos::parallel_for(
      "ringscale::accumulate", Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::int64_t>>(space, 0, count),
      KOKKOS_LAMBDA(const std::int64_t index) { sum[index] += addend[index]; });
}

KernelWork accumulate_work(std::int64_t count) {
  KernelWork work;
  work.flop = static_cast<double>(count);
  work.read_bytes = 2.0 * static_cast<double>(count) * sizeof(float);
  work.written_bytes = static_cast<double>(count) * sizeof(float);
  return work;
}

} // namespace ringscale::kernels
