// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "ring/gradient_buckets.hpp"
#include "ring/measurements.hpp"

namespace ringscale::ring {

/// A backward pass: computes all gradients into their tensors and calls `ready(index)` as each is done. Every call
/// must compute the same.
using BackwardPass = std::function<void(const std::function<void(std::int64_t)> &ready)>;

/// Seconds of the backward pass alone, of reducing its gradients alone, and of both together; raw samples of the
/// slowest rank, the same on every rank.
struct GradientReduction {
  std::vector<double> backward_s;
  std::vector<double> reduction_s;
  std::vector<double> both_s;
  double hidden_fraction = 0.0; ///< (backward + reduction - both) / min(backward, reduction), medians, within [0, 1]
  std::int64_t sent_bytes = 0;  ///< of one rank and one reduction
};

/// Runs the three in turns, so that what slows the machine down slows all of them; the gradients end reduced. Between
/// its ready calls the pass moves buckets only as often as it calls buckets.poll(). An exception of the pass on one
/// rank ends as InvalidInput with one line on all. Collective; throws InvalidInput when there is no sample to take.
GradientReduction reduce_gradients_while(const Communicator &communicator, GradientBuckets &buckets,
                                         const BackwardPass &backward, const Repetitions &repetitions);

} // namespace ringscale::ring
