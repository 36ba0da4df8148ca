// SPDX-License-Identifier: Apache-2.0
// Streamed attention beside its peer on hosts, two calls of a tuned CBLAS with a softmax between, and the roofline.
#include <algorithm>
#include <ctime>
#include <string>
#include <vector>

#include "drivers/benchmark_support.hpp"
#include "kernels/attention.hpp"
#include "kernels/attention_two_products.hpp"
#include "kernels/blas.hpp"
#include "kernels/triad.hpp"
#include "problem/attention_problem.hpp"

namespace ringscale::drivers {

namespace {

/// One head of attention, for both sides.
struct Pair {
  Owned4 query, key, value, output;
  Owned3 log_sum_exp;
  Owned1 packed, workspace;
  kernels::AttentionBlock block;
  kernels::TwoProducts products;
  ExecutionSpace space;

  Pair(std::int64_t tokens, std::int64_t head_dim)
      : query("query", 1, tokens, 1, head_dim), key("key", 1, tokens, 1, head_dim),
        value("value", 1, tokens, 1, head_dim), output("output", 1, tokens, 1, head_dim),
        log_sum_exp("log_sum_exp", 1, tokens, 1), packed("packed", kernels::packed_elements(1, tokens, 1, head_dim)) {
    fill_synthetic(query, problem::Tensor::query, 1);
    fill_synthetic(key, problem::Tensor::key, 1);
    fill_synthetic(value, problem::Tensor::value, 1);
    block.query = query;
    block.packed_key_value = packed.data();
    block.key_tokens = tokens;
    block.kv_heads = 1;
    block.query_end = tokens;
    block.scale = static_cast<float>(problem::softmax_scale(head_dim));
    block.output = output;
    block.log_sum_exp = log_sum_exp;
    products = {query, key, value, block.scale, output};
    workspace = Owned1("workspace", kernels::two_products_workspace_elements(products));
  }

  /// Packing counts: the peer reads keys and values as they are.
  void streamed() const {
    kernels::attention(space, key, value, block, packed.data());
    space.fence();
  }

  void two_products() const { kernels::attention_two_products(products, workspace.data()); }
};

double cpu_now_s() {
  timespec now = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

template <class Call> double cpu_s(std::int64_t calls, const Call &call) {
  const double start = cpu_now_s();
  for (std::int64_t index = 0; index < calls; ++index) {
    call();
  }
  return (cpu_now_s() - start) / static_cast<double>(calls);
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// Both sides in turns, so that whatever disturbs this machine disturbs both; the ratio is the median of the turns.
void beside_two_products(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim) {
  const Pair pair(tokens, head_dim);
  // One turn of a side takes about half a millisecond or one call.
  const double work = 4.0 * static_cast<double>(tokens * tokens * head_dim);
  const auto calls = std::max<std::int64_t>(1, static_cast<std::int64_t>(5e7 / work));
  std::vector<double> streamed_s;
  std::vector<double> two_products_s;
  std::vector<double> ratios;
  for (auto iteration : state) {
    streamed_s.push_back(cpu_s(calls, [&] { pair.streamed(); }));
    two_products_s.push_back(cpu_s(calls, [&] { pair.two_products(); }));
    ratios.push_back(two_products_s.back() / streamed_s.back());
  }
  const double peak = fma_peak_gflop_per_s();
  state.counters["two_products_over_streamed"] = median(ratios);
  state.counters["streamed_share_of_peak"] = work * 1e-9 / median(streamed_s) / peak;
  state.counters["two_products_share_of_peak"] = work * 1e-9 / median(two_products_s) / peak;
  state.SetLabel(kernels::blas_name());
}

void streamed_with_packing(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim) {
  const Pair pair(tokens, head_dim);
  for (auto iteration : state) {
    pair.streamed();
  }
  set_counters(state, kernels::attention_work(pair.block), true);
}

void two_products(benchmark::State &state, std::int64_t tokens, std::int64_t head_dim) {
  const Pair pair(tokens, head_dim);
  for (auto iteration : state) {
    pair.two_products();
  }
  set_counters(state, kernels::attention_two_products_work(pair.products), true);
  state.SetLabel(kernels::blas_name());
}

/// The two lines of a roofline, and the intensity at which they meet.
void roofline(benchmark::State &state, double measurement_s) {
  double bandwidth = 0.0;
  for (auto iteration : state) {
    bandwidth = std::max(bandwidth, kernels::measure_triad_gbyte_per_s(ExecutionSpace(), measurement_s));
  }
  const double peak = fma_peak_gflop_per_s();
  state.counters["fma_peak_gflop_per_s"] = peak;
  state.counters["triad_gbyte_per_s"] = bandwidth;
  state.counters["ridge_flop_per_byte"] = peak / bandwidth;
}

} // namespace

void register_peer_benchmarks(const BenchmarkSizes &sizes) {
  const bool smoke = sizes.tokens.size() == 1;
  benchmark::RegisterBenchmark("roofline", roofline, smoke ? 0.01 : 0.3)->Iterations(1);
  const std::vector<std::int64_t> lengths =
      smoke ? sizes.tokens : std::vector<std::int64_t>{64, 128, 256, 512, 1024, 4096};
  for (const std::int64_t head_dim : {64, 128}) {
    for (const std::int64_t tokens : lengths) {
      const std::string size = size_name(head_dim, tokens);
      benchmark::RegisterBenchmark(("beside_two_products" + size).c_str(), beside_two_products, tokens, head_dim);
      benchmark::RegisterBenchmark(("attention_streamed_with_packing" + size).c_str(), streamed_with_packing, tokens,
                                   head_dim);
      benchmark::RegisterBenchmark(("attention_two_products" + size).c_str(), two_products, tokens, head_dim);
    }
  }
}

} // namespace ringscale::drivers
