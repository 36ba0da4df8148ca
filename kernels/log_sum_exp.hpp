// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

namespace ringscale::kernels {

/// How two partials are joined: joint output = first * output_1 + second * output_2, joint log-sum-exp beside it.
struct JoinedPartials {
  double first = 0.0;
  double second = 0.0;
  double log_sum_exp = 0.0;
};

/// Weights of two normalised partials from their natural log-sum-exps, in double precision so that a long chain of
/// merges loses nothing here. -infinity means that no key was admitted; both so: weights 0. A NaN stays one.
KOKKOS_INLINE_FUNCTION JoinedPartials join_partials(double first, double second) {
  const double none = -Kokkos::Experimental::infinity_v<double>;
  if (first == none && second == none) {
    return {0.0, 0.0, none};
  }
  const double largest = first > second ? first : second;
  const double first_weight = Kokkos::exp(first - largest);
  const double second_weight = Kokkos::exp(second - largest);
  const double sum = first_weight + second_weight;
  return {first_weight / sum, second_weight / sum, largest + Kokkos::log(sum)};
}

} // namespace ringscale::kernels
