// SPDX-License-Identifier: Apache-2.0
#include "drivers/benchmark_support.hpp"

#include <algorithm>

#include "kernels/fma_peak.hpp"

namespace ringscale::drivers {

double fma_peak_gflop_per_s() {
  constexpr double measurement_s = 0.05;
  static double best = 0.0;
  best = std::max(best, kernels::measure_fma_peak_gflop_per_s(ExecutionSpace(), measurement_s));
  return best;
}

void fill_synthetic(const Owned4 &tensor, problem::Tensor kind, std::uint64_t seed) {
  problem::AttentionProblem shape;
  shape.batch = tensor.extent_int(0);
  shape.tokens = tensor.extent_int(1);
  shape.query_heads = shape.kv_heads = tensor.extent_int(2);
  shape.head_dim = tensor.extent_int(3);
  problem::TokenSet span;
  span.first = {0, shape.tokens, 1};
  const auto host = Kokkos::create_mirror_view(tensor);
  problem::fill_synthetic(host.data(), seed, kind, shape, span);
  Kokkos::deep_copy(tensor, host);
}

void set_counters(benchmark::State &state, const kernels::KernelWork &work, bool compare_with_peak) {
  const auto rate = benchmark::Counter::kIsIterationInvariantRate;
  state.counters["gflop_per_s"] = benchmark::Counter(work.flop * 1e-9, rate);
  state.counters["gbyte_per_s"] = benchmark::Counter((work.read_bytes + work.written_bytes) * 1e-9, rate);
  if (compare_with_peak) {
    state.counters["share_of_peak"] = benchmark::Counter(work.flop * 1e-9 / fma_peak_gflop_per_s(), rate);
  }
}

std::string size_name(std::int64_t head_dim, std::int64_t tokens) {
  return "/head_dim:" + std::to_string(head_dim) + "/tokens:" + std::to_string(tokens);
}

} // namespace ringscale::drivers
