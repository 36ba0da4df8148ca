// SPDX-License-Identifier: Apache-2.0
#include "kernels/merge.hpp"

#include <stdexcept>

#include "kernels/log_sum_exp.hpp"

namespace ringscale::kernels {

namespace {

/// One row of one head; rows are [batch * tokens * query_heads], contiguous.
struct MergeRow {
  Tensor4 output;
  Tensor3 log_sum_exp;
  ConstTensor4 other_output;
  ConstTensor3 other_log_sum_exp;

  KOKKOS_FUNCTION void operator()(const std::int64_t row) const {
    float &held = log_sum_exp.data()[row];
    const float other = other_log_sum_exp.data()[row];
    if (other == -Kokkos::Experimental::infinity_v<float>) {
      return;
    }
    const JoinedPartials joined = join_partials(held, other);
    const auto first = static_cast<float>(joined.first);
    const auto second = static_cast<float>(joined.second);
    const std::int64_t head_dim = output.extent_int(3);
    float *into = output.data() + row * head_dim;
    const float *from = other_output.data() + row * head_dim;
    for (std::int64_t dim = 0; dim < head_dim; ++dim) {
      into[dim] = first == 0.0F ? second * from[dim] : first * into[dim] + second * from[dim];
    }
    held = static_cast<float>(joined.log_sum_exp);
  }
};

} // namespace

void merge_partials(const ExecutionSpace &space, Tensor4 output, Tensor3 log_sum_exp, ConstTensor4 other_output,
                    ConstTensor3 other_log_sum_exp) {
  Kokkos::Profiling::ScopedRegion region("ringscale::merge_partials");
  bool same = true;
  for (int axis = 0; axis < 4; ++axis) {
    same = same && output.extent(axis) == other_output.extent(axis);
  }
  for (int axis = 0; axis < 3; ++axis) {
    same = same && output.extent(axis) == log_sum_exp.extent(axis) &&
           output.extent(axis) == other_log_sum_exp.extent(axis);
  }
  if (!same) {
    throw std::invalid_argument("merge_partials: the two partials differ in shape");
  }
  const auto rows = static_cast<std::int64_t>(log_sum_exp.size());
  using Policy = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::int64_t>>;
  Kokkos::parallel_for("ringscale::merge_partials", Policy(space, 0, rows),
                       MergeRow{output, log_sum_exp, other_output, other_log_sum_exp});
}

} // namespace ringscale::kernels
