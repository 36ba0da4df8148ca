// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include "kernels/attention_block.hpp"
#include "kernels/log_sum_exp.hpp"

namespace ringscale::kernels::tile {

/// A row's weights are 2^(score - reference), scores in units of log 2. The reference follows the row's maximum, but
/// only moves when that has grown by more than this: sums stay far from overflow (a weight is at most 2^8), the
/// accumulated row is rarely rescaled, and the division at the end makes the result exact all the same.
inline constexpr float reference_slack = 8.0F;

/// Reference of a row that has met no key: below every score, so the first one met moves it.
inline constexpr float no_reference = -3.40282347e38F;

/// log2(e): scores in natural units times this are in units of log 2.
inline constexpr float log2_e = 1.44269504088896340736F;

/// State of a row whose weights sum to one already, in terms of the reference and sum before normalisation.
struct RowSum {
  float reference = no_reference;
  float weight_sum = 0.0F;
};

KOKKOS_INLINE_FUNCTION RowSum normalised_row(float reference, float sum) {
  if (sum == 0.0F) {
    return {};
  }
  return {static_cast<float>(static_cast<double>(reference) + Kokkos::log2(static_cast<double>(sum))),
          sum == sum ? 1.0F : sum};
}

/// What happens to a finished row: output = held * output + fresh * accumulated; `held` 0 means output is not read.
struct RowJoin {
  float held = 0.0F;
  float fresh = 0.0F;
  float log_sum_exp = 0.0F;
  bool write = true;
};

/// Joins a row (its reference and the sum of its weights; 0 when no key was admitted) with the log-sum-exp held.
KOKKOS_INLINE_FUNCTION RowJoin join_row(float reference, float weight_sum, float held_log_sum_exp, Merge merge) {
  const double none = -Kokkos::Experimental::infinity_v<double>;
  const bool empty = weight_sum == 0.0F;
  RowJoin join;
  if (empty && merge != Merge::replace) {
    join.write = false;
    return join;
  }
  constexpr double log_2 = 0.69314718055994530942;
  const double normalise = empty ? 0.0 : 1.0 / static_cast<double>(weight_sum);
  const double fresh =
      empty ? none : static_cast<double>(reference) * log_2 + Kokkos::log(static_cast<double>(weight_sum));
  if (merge == Merge::replace) {
    join.fresh = static_cast<float>(normalise);
    join.log_sum_exp = static_cast<float>(fresh);
    return join;
  }
  const JoinedPartials joined =
      join_partials(static_cast<double>(held_log_sum_exp), merge == Merge::online ? fresh : 0.0);
  join.held = static_cast<float>(joined.first);
  join.fresh = static_cast<float>(joined.second * normalise);
  join.log_sum_exp = static_cast<float>(joined.log_sum_exp);
  return join;
}

} // namespace ringscale::kernels::tile
