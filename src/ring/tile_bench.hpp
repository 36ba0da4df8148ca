// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <functional>

#include "kernels/attention_block.hpp"
#include "ring/measurements.hpp"
#include "ring/slice.hpp"
#include "ring/tile_buffers.hpp"

namespace ringscale::ring {

/// Buffers of one tile with synthetic data, and the calls that measurements time. Every call waits for completion.
class TileBench {
public:
  /// Throws InvalidInput for a bad shape.
  explicit TileBench(const TileSetting &setting);

  void pack() const;
  void merge() const;
  /// The tile in the slices that a ring takes, `between` called after each.
  void compute_in_slices(const std::function<void()> &between) const;
  /// Bytes of all its buffers.
  std::int64_t bytes() const;

private:
  void compute_slice(const Slice &slice) const;
  kernels::Tensor4 tensor4(const TileFloats &data, std::int64_t tokens, std::int64_t heads) const;
  kernels::Tensor3 tensor3(const TileFloats &data) const;

  TileSetting setting_;
  problem::AttentionProblem attention_;
  kernels::ExecutionSpace space_;
  TileFloats query_, key_, value_, packed_, output_, lse_, other_output_, other_lse_, scores_;
};

} // namespace ringscale::ring
