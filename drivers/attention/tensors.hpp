// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "drivers/attention/options.hpp"
#include "kernels/rounding.hpp"
#include "kernels/types.hpp"
#include "report/npy_file.hpp"

namespace ringscale::drivers {

using Owned4 = Kokkos::View<float ****, Kokkos::LayoutRight, kernels::MemorySpace>;
using Owned3 = Kokkos::View<float ***, Kokkos::LayoutRight, kernels::MemorySpace>;
using Owned1 = Kokkos::View<float *, kernels::MemorySpace>;
using Bytes2 = Kokkos::View<std::uint8_t **, Kokkos::LayoutRight, kernels::MemorySpace>;

/// What a run reads and what its kernels write. Inputs are float32 values that the run's dtype can hold exactly.
struct AttentionTensors {
  Owned4 query, key, value;
  Owned4 output_gradient; ///< empty for a forward pass
  Bytes2 boolean_mask;    ///< empty where none is given
  Owned4 output;
  Owned3 log_sum_exp;
  Owned4 query_gradient, key_gradient, value_gradient;
};

/// The kernels' word for a dtype.
kernels::NumberFormat number_format(problem::DType dtype);

/// The user's tensors as read; a tensor that was not given has no shape.
struct InputFiles {
  report::NpyTensor query, key, value, output_gradient, boolean_mask;
};

/// Reads the tensors that `options` names and takes shapes and dtype from them. Throws problem::InvalidInput naming the
/// file that cannot be read or does not fit the others.
InputFiles read_input_files(AttentionOptions &options);

/// Tensors of the files, or synthetic ones; inputs are rounded to the dtype, and results are filled with NaN, so that
/// a kernel that leaves elements unwritten is found out.
AttentionTensors make_tensors(const AttentionOptions &options, const InputFiles &inputs);

/// Refuses, before any work is done, output files that exist already or cannot be written.
void require_output_files(const AttentionOptions &options);

/// Elements of the results that are finite in float32 and too large for the dtype they would be written in.
std::int64_t overflowed_elements(const AttentionOptions &options, const AttentionTensors &tensors);

/// Writes the output and the gradients that `options` names, in the dtype of the problem; returns the paths.
std::vector<std::string> write_results(const AttentionOptions &options, const AttentionTensors &tensors);

} // namespace ringscale::drivers
