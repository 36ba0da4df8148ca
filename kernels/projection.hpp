// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/types.hpp"
#include "kernels/work.hpp"

namespace ringscale::kernels {

/// y = x W^T + b for rows of x: weights [outputs, inputs] row-major, bias [outputs] or null. In the memory of the
/// space.
struct Projection {
  const float *weights = nullptr;
  const float *bias = nullptr;
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
};

/// Where a run of a projection's outputs goes: a row-major matrix [rows, columns] of its own.
struct ProjectedPart {
  float *elements = nullptr;
  std::int64_t columns = 0;
};

/// What a call did beside its arithmetic, counted as it happened.
struct ProjectionUse {
  std::int64_t products = 0;        ///< matrix products, as a caller of a BLAS would count them
  std::int64_t allocations = 0;     ///< buffers taken for the call
  std::int64_t allocated_bytes = 0; ///< their bytes
  std::int64_t moved_bytes = 0;     ///< written once more after the product, to where they belong

  ProjectionUse &operator+=(const ProjectionUse &other);
};

/// Computes `projection` of `input` [rows, inputs] and deals its outputs out to `parts`, whose columns add up to them.
/// One part: the product is written in place. More: a thread's product goes to a buffer and from there, with the bias,
/// to the parts, so that one product serves query, key and value. On hosts by CBLAS, in runs of rows that depend on
/// `rows` alone, so results do not depend on threads; on devices by a plain Kokkos kernel. Waits for the result. Throws
/// std::invalid_argument on sizes that do not fit.
ProjectionUse project(const ExecutionSpace &space, const float *input, std::int64_t rows, const Projection &projection,
                      const std::vector<ProjectedPart> &parts);

/// The form that devices use, for any back end; one part.
void project_by_teams(const ExecutionSpace &space, const float *input, std::int64_t rows, const Projection &projection,
                      float *output);

/// 2 FLOPs per row, input and output, one more per output with a bias; input, weights and bias read, outputs written.
KernelWork projection_work(std::int64_t rows, const Projection &projection);

} // namespace ringscale::kernels
