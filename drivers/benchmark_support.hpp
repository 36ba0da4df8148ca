// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/types.hpp"
#include "kernels/work.hpp"
#include "problem/synthetic.hpp"

namespace ringscale::drivers {

using kernels::ExecutionSpace;
using kernels::MemorySpace;
using Owned4 = Kokkos::View<float ****, Kokkos::LayoutRight, MemorySpace>;
using Owned3 = Kokkos::View<float ***, Kokkos::LayoutRight, MemorySpace>;
using Owned1 = Kokkos::View<float *, MemorySpace>;

/// Lengths that a benchmark runs: kernels that keep all scores take fewer.
struct BenchmarkSizes {
  std::vector<std::int64_t> tokens;
  std::vector<std::int64_t> materialised_tokens;
};

/// Best multiply-add peak seen so far; each call measures once more, so that all benchmarks share one clock history.
double fma_peak_gflop_per_s();

/// Fills a [batch, tokens, heads, head_dim] tensor with the synthetic data of `seed`.
void fill_synthetic(const Owned4 &tensor, problem::Tensor kind, std::uint64_t seed);

/// Counters of a kernel that does `work` an iteration: gflop_per_s (useful), gbyte_per_s (declared traffic) and, where
/// asked, share_of_peak. Rates are by processor time.
void set_counters(benchmark::State &state, const kernels::KernelWork &work, bool compare_with_peak);

/// "/head_dim:64/tokens:4096"
std::string size_name(std::int64_t head_dim, std::int64_t tokens);

void register_backward_benchmarks(const BenchmarkSizes &sizes);
void register_dense_benchmarks(const BenchmarkSizes &sizes);
void register_pattern_benchmarks(const BenchmarkSizes &sizes);
void register_pattern_gradient_benchmarks(const BenchmarkSizes &sizes);
void register_dilated_variant_benchmarks(const BenchmarkSizes &sizes);
void register_multihead_benchmarks(const BenchmarkSizes &sizes);
void register_peer_benchmarks(const BenchmarkSizes &sizes);
void register_precision_benchmarks(const BenchmarkSizes &sizes);

} // namespace ringscale::drivers
