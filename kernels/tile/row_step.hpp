// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstdint>

#include "kernels/tile/row_state.hpp"

namespace ringscale::kernels::tile {

/// What a row does when it meets a key block: its new reference, and what the sums held so far are multiplied by.
struct RowStep {
  float reference = no_reference;
  float factor = 1.0F;
};

/// The step of a row whose scores, masked ones -infinity, lie at `scores`; the lanes of one thread look together, and
/// all of them get the answer.
template <class Member>
KOKKOS_FUNCTION RowStep row_step(const Member &member, const float *scores, std::int64_t count, float reference) {
  float largest = no_reference;
  Kokkos::parallel_reduce(
      Kokkos::ThreadVectorRange(member, count),
      [&](const std::int64_t key, float &most) { most = Kokkos::fmax(most, scores[key]); },
      Kokkos::Max<float>(largest));
  if (largest > reference + reference_slack || (reference == no_reference && largest > no_reference)) {
    return {largest, Kokkos::exp2(reference - largest)};
  }
  return {reference, 1.0F};
}

} // namespace ringscale::kernels::tile
