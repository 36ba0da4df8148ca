// SPDX-License-Identifier: Apache-2.0
#include "kernels/sparse_quality.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>

namespace ringscale::kernels {

namespace {

using Range = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::int64_t>>;

struct SumMass {
  const float *sparse;
  const float *dense;

  KOKKOS_FUNCTION void operator()(const std::int64_t row, double &sum, double &minimum, std::int64_t &rows) const {
    if (dense[row] == -Kokkos::Experimental::infinity_v<float>) {
      return;
    }
    const double mass = Kokkos::exp(static_cast<double>(sparse[row]) - static_cast<double>(dense[row]));
    sum += mass;
    minimum = mass < minimum ? mass : minimum;
    ++rows;
  }
};

struct SumDifference {
  const float *sparse;
  const float *dense;

  KOKKOS_FUNCTION void operator()(const std::int64_t index, double &largest, double &squares, double &norm) const {
    const double difference = static_cast<double>(sparse[index]) - static_cast<double>(dense[index]);
    const double magnitude = Kokkos::fabs(difference);
    largest = magnitude > largest ? magnitude : largest;
    squares += difference * difference;
    norm += static_cast<double>(dense[index]) * static_cast<double>(dense[index]);
  }
};

} // namespace

CapturedMass captured_mass(const ExecutionSpace &space, ConstTensor3 sparse_log_sum_exp,
                           ConstTensor3 dense_log_sum_exp) {
  for (int axis = 0; axis < 3; ++axis) {
    if (sparse_log_sum_exp.extent(axis) != dense_log_sum_exp.extent(axis)) {
      throw std::invalid_argument("captured_mass: the log-sum-exps differ in shape");
    }
  }
  double sum = 0.0;
  double minimum = 0.0;
  std::int64_t rows = 0;
  Kokkos::parallel_reduce(
      "ringscale::captured_mass", Range(space, 0, static_cast<std::int64_t>(dense_log_sum_exp.size())),
      SumMass{sparse_log_sum_exp.data(), dense_log_sum_exp.data()}, sum, Kokkos::Min<double>(minimum), rows);
  space.fence();
  CapturedMass mass;
  mass.rows = rows;
  mass.mean = rows == 0 ? 1.0 : sum / static_cast<double>(rows);
  mass.minimum = rows == 0 ? 1.0 : std::isnan(sum) ? std::numeric_limits<double>::quiet_NaN() : minimum;
  return mass;
}

OutputDifference output_difference(const ExecutionSpace &space, ConstTensor4 sparse_output, ConstTensor4 dense_output) {
  for (int axis = 0; axis < 4; ++axis) {
    if (sparse_output.extent(axis) != dense_output.extent(axis)) {
      throw std::invalid_argument("output_difference: the outputs differ in shape");
    }
  }
  double largest = 0.0;
  double squares = 0.0;
  double norm = 0.0;
  Kokkos::parallel_reduce(
      "ringscale::output_difference", Range(space, 0, static_cast<std::int64_t>(dense_output.size())),
      SumDifference{sparse_output.data(), dense_output.data()}, Kokkos::Max<double>(largest), squares, norm);
  space.fence();
  if (std::isnan(squares)) {
    return {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};
  }
  return {largest, squares == 0.0 ? 0.0 : std::sqrt(squares / norm)};
}

} // namespace ringscale::kernels
