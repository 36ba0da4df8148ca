// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "ring/communicator.hpp"
#include "ring/grid_rank.hpp"
#include "ring/ring_run.hpp"

namespace ringscale::ring {

/// Output and log-sum-exps of one rank's forward pass, in the layout of its ring, kept on the host for the backward
/// one.
struct ForwardHalf {
  std::vector<float> output;
  std::vector<float> log_sum_exp;

  /// To the kernels' memory.
  void copy_to(float *output_rows, float *log_sum_exps) const;
};

/// The forward pass that a backward run starts from: once, and checked like a forward run where options.verify says so.
/// Blocks move as they do in the backward pass. Collective.
ForwardHalf run_forward_half(const Communicator &communicator, const RingOptions &options, Transport &ring,
                             Transport &sequence, RingRun &run);

/// Compares every rank's results with the double-precision reference and joins what was found: a NaN on any rank stays
/// one. Nothing where options.verify is false. Collective.
void verify_forward(const Communicator &communicator, const RingOptions &options, const GridRank &rank, RingRun &run);
void verify_gradients(const Communicator &communicator, const RingOptions &options, const GridRank &rank,
                      const ForwardHalf &forward, RingRun &run);

} // namespace ringscale::ring
