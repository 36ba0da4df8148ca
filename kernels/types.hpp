// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>
#include <Kokkos_Profiling_ScopedRegion.hpp>

#include <cstdint>

namespace ringscale::kernels {

using ExecutionSpace = Kokkos::DefaultExecutionSpace;
using MemorySpace = ExecutionSpace::memory_space;
using Unmanaged = Kokkos::MemoryTraits<Kokkos::Unmanaged>;

/// Query, key, value and output: [batch, tokens, heads, head_dim], row-major.
using Tensor4 = Kokkos::View<float ****, Kokkos::LayoutRight, MemorySpace, Unmanaged>;
using ConstTensor4 = Kokkos::View<const float ****, Kokkos::LayoutRight, MemorySpace, Unmanaged>;

/// Natural-log log-sum-exp of every query row: [batch, tokens, query_heads], row-major.
using Tensor3 = Kokkos::View<float ***, Kokkos::LayoutRight, MemorySpace, Unmanaged>;
using ConstTensor3 = Kokkos::View<const float ***, Kokkos::LayoutRight, MemorySpace, Unmanaged>;

/// The same shapes in double precision, for the reference.
using ReferenceTensor4 = Kokkos::View<double ****, Kokkos::LayoutRight, MemorySpace, Unmanaged>;
using ReferenceTensor3 = Kokkos::View<double ***, Kokkos::LayoutRight, MemorySpace, Unmanaged>;

} // namespace ringscale::kernels
