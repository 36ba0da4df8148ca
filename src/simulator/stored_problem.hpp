// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "problem/invalid_input.hpp"
#include "schedule/ring_schedule.hpp"

namespace ringscale::simulator {

/// `problem` with tensors stored in elements of `element_bytes`, so that the accountant's closed forms count what a
/// machine computes in: a published one may use a narrower type than the problem's. Throws InvalidInput where no
/// element type has that size.
inline schedule::RingProblem stored_in(schedule::RingProblem problem, std::int64_t element_bytes) {
  for (const problem::DType dtype : problem::all_dtypes) {
    if (problem::storage_bytes(problem.attention.dtype) != element_bytes &&
        problem::storage_bytes(dtype) == element_bytes) {
      problem.attention.dtype = dtype;
    }
  }
  if (problem::storage_bytes(problem.attention.dtype) != element_bytes) {
    throw problem::InvalidInput("no element type takes " + std::to_string(element_bytes) + " bytes");
  }
  return problem;
}

} // namespace ringscale::simulator
