// SPDX-License-Identifier: Apache-2.0
#include "drivers/attention/run.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <limits>
#include <type_traits>

#include <unistd.h>

#include "kernels/fma_peak.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::drivers {

namespace {

constexpr double shortest_sample_s = 5e-3;
constexpr double peak_measurement_s = 0.02;

/// Refuses what cannot fit before anything is allocated: an overcommitted allocation would be killed later.
void require_memory(const AttentionOptions &options) {
  const auto batch = static_cast<double>(options.problem.batch);
  const auto queries = static_cast<double>(options.problem.tokens);
  const auto keys = static_cast<double>(options.key_tokens);
  const auto query_heads = static_cast<double>(options.problem.query_heads);
  const auto kv_heads = static_cast<double>(options.problem.kv_heads);
  // Inputs, results and packed copies; a backward pass has three of each and another packed copy.
  const double factor = options.pass == Pass::backward ? 2.0 : 1.0;
  double bytes = factor * sizeof(float) * batch * static_cast<double>(options.problem.head_dim) *
                 (2.0 * queries * query_heads + 4.0 * keys * kv_heads);
  if (options.kernel == memory::KernelKind::materialised) {
    bytes += factor * sizeof(float) * batch * query_heads * queries * keys;
  }
  const double machine_bytes =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  if (std::is_same_v<kernels::MemorySpace, Kokkos::HostSpace> && bytes > machine_bytes) {
    constexpr double gibibyte = 1024.0 * 1024.0 * 1024.0;
    throw problem::InvalidInput("--tokens " + std::to_string(options.problem.tokens) + " with the " +
                                std::string(memory::name(options.kernel)) + " kernel needs " +
                                std::to_string(static_cast<std::int64_t>(bytes / gibibyte)) +
                                " GiB; this machine has " +
                                std::to_string(static_cast<std::int64_t>(machine_bytes / gibibyte)));
  }
}

AttentionTiming time(const AttentionOptions &options, AttentionLayer &layer) {
  using Clock = std::chrono::steady_clock;
  const auto seconds = [](Clock::duration duration) { return std::chrono::duration<double>(duration).count(); };
  const kernels::ExecutionSpace space;
  AttentionTiming timing;
  const auto measure_peak = [&] {
    timing.fma_peak_gflop_per_s =
        std::max(timing.fma_peak_gflop_per_s, kernels::measure_fma_peak_gflop_per_s(space, peak_measurement_s));
  };
  const auto call = [&] { options.pass == Pass::forward ? layer.forward() : layer.backward(); };
  const Clock::time_point warm_up = Clock::now();
  call();
  const double once_s = std::max(seconds(Clock::now() - warm_up), 1e-9);
  timing.calls_per_sample = std::max<std::int64_t>(1, std::llround(std::ceil(shortest_sample_s / once_s)));
  for (int repetition = 0; repetition < options.repetitions; ++repetition) {
    measure_peak();
    const std::clock_t cpu_start = std::clock();
    const Clock::time_point start = Clock::now();
    for (std::int64_t index = 0; index < timing.calls_per_sample; ++index) {
      call();
    }
    const double duration_s = seconds(Clock::now() - start);
    const double cpu_s = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
    timing.samples_s.push_back(duration_s / static_cast<double>(timing.calls_per_sample));
    // With more threads, waiting ones count as busy, and the figure would say nothing.
    if (space.concurrency() == 1) {
      timing.cpu_samples_s.push_back(cpu_s / static_cast<double>(timing.calls_per_sample));
    }
  }
  measure_peak();
  return timing;
}

} // namespace

AttentionRun run_attention(const AttentionOptions &options, const InputFiles &inputs) {
  problem::validate(options.problem);
  require_memory(options);
  if (options.key_tokens > std::numeric_limits<std::int32_t>::max()) {
    throw problem::InvalidInput("--key-tokens is " + std::to_string(options.key_tokens) +
                                "; a kernel takes at most 2147483647 keys");
  }
  require_output_files(options);
  const AttentionTensors tensors = make_tensors(options, inputs);
  const std::unique_ptr<AttentionLayer> layer = make_layer(options, tensors);
  AttentionRun run;
  layer->forward();
  if (options.pass == Pass::backward) {
    layer->backward();
  }
  if (options.benchmark) {
    run.timing = time(options, *layer);
  }
  // After the timing, so that what is verified is what was timed last.
  run.verification = verify(options, tensors, *layer);
  if (const std::int64_t overflowed = overflowed_elements(options, tensors); overflowed > 0) {
    run.verification.valid = false;
    run.verification.reasons.push_back(std::to_string(overflowed) + " elements of the results are too large for " +
                                       std::string(problem::name(options.problem.dtype)) + " and become infinite");
  }
  run.quality = layer->quality();
  run.work = layer->work(options.pass);
  run.pairs = layer->pairs();
  run.arithmetic = layer->arithmetic();
  run.workspace_bytes = layer->workspace_bytes();
  run.scores_bytes = layer->scores_bytes();
  run.written = write_results(options, tensors);
  return run;
}

} // namespace ringscale::drivers
