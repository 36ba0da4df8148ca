// SPDX-License-Identifier: Apache-2.0
#include "ring/checksum.hpp"

#include <Kokkos_BitManipulation.hpp>
#include <Kokkos_Core.hpp>

namespace ringscale::ring {

namespace {

KOKKOS_INLINE_FUNCTION std::uint64_t bits_of(float value) { return Kokkos::bit_cast<std::uint32_t>(value); }
KOKKOS_INLINE_FUNCTION std::uint64_t bits_of(std::uint16_t pattern) { return pattern; }

template <class Element> struct MixedElement {
  const Element *data;
  std::uint64_t first_place;

  KOKKOS_FUNCTION void operator()(const std::int64_t index, std::uint64_t &partial) const {
    // Weyl sequence for the place, then a multiply-xorshift-multiply finaliser (as in SplitMix64, one round).
    std::uint64_t mixed =
        bits_of(data[index]) + (first_place + static_cast<std::uint64_t>(index) + 1) * 0x9E3779B97F4A7C15ULL;
    mixed = (mixed ^ (mixed >> 32)) * 0xD6E8FEB86659FD93ULL;
    mixed = (mixed ^ (mixed >> 32)) * 0xD6E8FEB86659FD93ULL;
    partial += mixed ^ (mixed >> 32);
  }
};

template <class Element>
std::uint64_t sum_of_mixes(const kernels::ExecutionSpace &space, const Element *data, std::int64_t count,
                           std::uint64_t first_place) {
  using Policy = Kokkos::RangePolicy<kernels::ExecutionSpace, Kokkos::IndexType<std::int64_t>>;
  std::uint64_t sum = 0;
  Kokkos::parallel_reduce("ringscale::ring::checksum", Policy(space, 0, count),
                          MixedElement<Element>{data, first_place}, sum);
  return sum;
}

} // namespace

std::uint64_t checksum(const kernels::ExecutionSpace &space, const float *data, std::int64_t count,
                       std::uint64_t first_place) {
  return sum_of_mixes(space, data, count, first_place);
}

std::uint64_t checksum(const kernels::ExecutionSpace &space, const std::uint16_t *data, std::int64_t count,
                       std::uint64_t first_place) {
  return sum_of_mixes(space, data, count, first_place);
}

} // namespace ringscale::ring
