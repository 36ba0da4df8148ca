// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/types.hpp"
#include "problem/attention_problem.hpp"
#include "ring/measurements.hpp"
#include "ring/slice.hpp"
#include "ring/tile_buffers.hpp"

namespace ringscale::ring {

/// Buffers of one tile of the backward pass with synthetic data, and the call that measurements time. Gradients are
/// added to those held, in the slices that a ring takes. Every call waits for completion.
class BackwardTileBench {
public:
  /// Throws InvalidInput for a bad shape.
  explicit BackwardTileBench(const TileSetting &setting);

  /// Gradients of the whole tile, slice by slice.
  void compute() const;
  /// Bytes of all its buffers.
  std::int64_t bytes() const;

private:
  void compute_slice(std::int64_t entry, const Slice &slice) const;

  TileSetting setting_;
  problem::AttentionProblem attention_;
  kernels::ExecutionSpace space_;
  SliceShape shape_;
  TileFloats query_, key_, value_, output_gradient_, log_sum_exp_, output_dot_;
  TileFloats query_gradient_, key_gradient_, value_gradient_, workspace_;
};

} // namespace ringscale::ring
