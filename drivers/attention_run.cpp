// SPDX-License-Identifier: Apache-2.0
#include "drivers/attention_run.hpp"

#include <Kokkos_Core.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <limits>
#include <numeric>
#include <set>
#include <utility>

#include <unistd.h>

#include "kernels/attention_block.hpp"
#include "kernels/attention_materialised.hpp"
#include "kernels/fma_peak.hpp"
#include "kernels/reference.hpp"
#include "problem/counter_random.hpp"
#include "problem/error_bound.hpp"
#include "problem/invalid_input.hpp"
#include "problem/synthetic.hpp"

namespace ringscale::drivers {

namespace {

using kernels::ExecutionSpace;
using kernels::MemorySpace;
using Owned4 = Kokkos::View<float ****, Kokkos::LayoutRight, MemorySpace>;
using Owned3 = Kokkos::View<float ***, Kokkos::LayoutRight, MemorySpace>;
using Owned1 = Kokkos::View<float *, MemorySpace>;

constexpr double shortest_sample_s = 5e-3;
constexpr double peak_measurement_s = 0.02;
// Reference work that takes a few seconds on one core; beyond it, query rows are sampled.
constexpr double most_reference_flop = 2e10;
constexpr std::int64_t fewest_checked_rows = 8;

/// Refuses what cannot fit before anything is allocated: an overcommitted allocation would be killed later.
void require_memory(const AttentionOptions &options) {
  const auto batch = static_cast<double>(options.problem.batch);
  const auto tokens = static_cast<double>(options.problem.tokens);
  const auto query_heads = static_cast<double>(options.problem.query_heads);
  const auto head_dim = static_cast<double>(options.problem.head_dim);
  const auto kv_heads = static_cast<double>(options.problem.kv_heads);
  double bytes = sizeof(float) * batch * tokens * head_dim * (2.0 * query_heads + 4.0 * kv_heads);
  if (options.kernel == memory::KernelKind::materialised) {
    bytes += sizeof(float) * batch * query_heads * tokens * tokens;
  }
  const double machine_bytes =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  if (std::is_same_v<MemorySpace, Kokkos::HostSpace> && bytes > machine_bytes) {
    constexpr double gibibyte = 1024.0 * 1024.0 * 1024.0;
    throw problem::InvalidInput("--tokens " + std::to_string(options.problem.tokens) + " with the " +
                                std::string(memory::name(options.kernel)) + " kernel needs " +
                                std::to_string(static_cast<std::int64_t>(bytes / gibibyte)) +
                                " GiB; this machine has " +
                                std::to_string(static_cast<std::int64_t>(machine_bytes / gibibyte)));
  }
}

Owned4 synthetic_tensor(const AttentionOptions &options, problem::Tensor tensor) {
  const problem::AttentionProblem &shape = options.problem;
  const std::int64_t heads = tensor == problem::Tensor::query ? shape.query_heads : shape.kv_heads;
  const Owned4 filled("ringscale::synthetic", shape.batch, shape.tokens, heads, shape.head_dim);
  const auto host = Kokkos::create_mirror_view(filled);
  problem::TokenSet tokens;
  tokens.first = {0, shape.tokens, 1};
  problem::fill_synthetic(host.data(), options.seed, tensor, shape, tokens);
  Kokkos::deep_copy(filled, host);
  return filled;
}

/// All query positions, or as many distinct ones as the reference has time for: first, last and random ones.
std::vector<std::int64_t> rows_to_check(const AttentionOptions &options) {
  const std::int64_t tokens = options.problem.tokens;
  const double flop_per_row = problem::forward_flop(options.problem, static_cast<double>(tokens));
  const auto affordable = static_cast<std::int64_t>(std::min(most_reference_flop / flop_per_row, 1e15));
  const std::int64_t count = std::clamp(affordable, std::min(fewest_checked_rows, tokens), tokens);
  std::vector<std::int64_t> rows;
  if (count == tokens) {
    rows.resize(static_cast<std::size_t>(tokens));
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
  }
  std::set<std::int64_t> chosen{0, tokens - 1};
  constexpr std::uint64_t sample_stream = 0x726F7773; // a stream of its own, apart from the tensors
  for (std::uint64_t draw = 0; static_cast<std::int64_t>(chosen.size()) < count; ++draw) {
    chosen.insert(static_cast<std::int64_t>(problem::random_uniform(options.seed, sample_stream, draw) *
                                            static_cast<double>(tokens)));
  }
  rows.assign(chosen.begin(), chosen.end());
  return rows;
}

class AttentionLayer {
public:
  explicit AttentionLayer(const AttentionOptions &options)
      : options_(options), query_(synthetic_tensor(options, problem::Tensor::query)),
        key_(synthetic_tensor(options, problem::Tensor::key)),
        value_(synthetic_tensor(options, problem::Tensor::value)),
        output_("ringscale::output", query_.extent(0), query_.extent(1), query_.extent(2), query_.extent(3)),
        log_sum_exp_("ringscale::log_sum_exp", query_.extent(0), query_.extent(1), query_.extent(2)),
        packed_("ringscale::packed", kernels::packed_elements(options.problem.batch, options.problem.tokens,
                                                              options.problem.kv_heads, options.problem.head_dim)) {
    kernels::pack_key_value(space_, key_, value_, 0, options.problem.tokens, packed_.data());
    block_.query = query_;
    block_.packed_key_value = packed_.data();
    block_.key_tokens = options.problem.tokens;
    block_.kv_heads = options.problem.kv_heads;
    block_.query_end = options.problem.tokens;
    block_.admission.causal = options.problem.mask == problem::Mask::causal;
    block_.scale = static_cast<float>(problem::softmax_scale(options.problem.head_dim));
    block_.output = output_;
    block_.log_sum_exp = log_sum_exp_;
    if (options.kernel == memory::KernelKind::materialised) {
      scores_ = Owned1(Kokkos::view_alloc(Kokkos::WithoutInitializing, "ringscale::scores"),
                       kernels::materialised_score_elements(block_));
    }
    // A kernel that leaves elements unwritten is found by the NaN that stays there.
    Kokkos::deep_copy(output_, std::numeric_limits<float>::quiet_NaN());
  }

  void compute() const {
    if (options_.kernel == memory::KernelKind::materialised) {
      kernels::attention_block_materialised(space_, block_, scores_.data());
    } else {
      kernels::attention_block(space_, block_);
    }
    space_.fence("ringscale::attention: end of a call");
  }

  std::int64_t scores_bytes() const { return static_cast<std::int64_t>(scores_.size() * sizeof(float)); }

  void verify(AttentionRun &run) const {
    const std::vector<std::int64_t> rows = rows_to_check(options_);
    const problem::AttentionProblem &shape = options_.problem;
    run.checked_rows = static_cast<std::int64_t>(rows.size());
    run.all_rows_checked = run.checked_rows == shape.tokens;
    const problem::ErrorBound bound = problem::attention_error_bound(shape.dtype, shape.tokens, shape.head_dim, 1,
                                                                     problem::synthetic_magnitude(shape.head_dim));
    run.error_bound = bound.output;
    run.lse_error_bound = bound.log_sum_exp;
    const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, output_);
    const auto log_sum_exp = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, log_sum_exp_);
    // Neighbouring rows go to the reference together.
    for (std::size_t begin = 0; begin < rows.size();) {
      std::size_t end = begin + 1;
      while (end < rows.size() && rows[end] == rows[end - 1] + 1) {
        ++end;
      }
      compare_rows(rows[begin], rows[end - 1] + 1, output, log_sum_exp, run);
      begin = end;
    }
    if (!(run.max_error <= run.error_bound)) {
      run.reasons.push_back("output error " + std::to_string(run.max_error) + " is not within " +
                            std::to_string(run.error_bound));
    }
    if (!(run.max_lse_error <= run.lse_error_bound)) {
      run.reasons.push_back("log-sum-exp error " + std::to_string(run.max_lse_error) + " is not within " +
                            std::to_string(run.lse_error_bound));
    }
    run.valid = run.reasons.empty();
  }

  void time(AttentionRun &run) const {
    using Clock = std::chrono::steady_clock;
    const auto seconds = [](Clock::duration duration) { return std::chrono::duration<double>(duration).count(); };
    const auto measure_peak = [&] {
      run.fma_peak_gflop_per_s =
          std::max(run.fma_peak_gflop_per_s, kernels::measure_fma_peak_gflop_per_s(space_, peak_measurement_s));
    };
    const Clock::time_point warm_up = Clock::now();
    compute();
    const double once_s = std::max(seconds(Clock::now() - warm_up), 1e-9);
    run.calls_per_sample = std::max<std::int64_t>(1, std::llround(std::ceil(shortest_sample_s / once_s)));
    for (int repetition = 0; repetition < options_.repetitions; ++repetition) {
      measure_peak();
      const std::clock_t cpu_start = std::clock();
      const Clock::time_point start = Clock::now();
      for (std::int64_t call = 0; call < run.calls_per_sample; ++call) {
        compute();
      }
      const double duration_s = seconds(Clock::now() - start);
      const double cpu_s = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
      run.samples_s.push_back(duration_s / static_cast<double>(run.calls_per_sample));
      // With more threads, waiting ones count as busy, and the figure would say nothing.
      if (space_.concurrency() == 1) {
        run.cpu_samples_s.push_back(cpu_s / static_cast<double>(run.calls_per_sample));
      }
    }
    measure_peak();
  }

private:
  template <class HostOutput, class HostLogSumExp>
  void compare_rows(std::int64_t begin, std::int64_t end, const HostOutput &output, const HostLogSumExp &log_sum_exp,
                    AttentionRun &run) const {
    const std::int64_t rows = end - begin;
    const auto &shape = options_.problem;
    const Owned4 query("ringscale::checked_query", shape.batch, rows, shape.query_heads, shape.head_dim);
    Kokkos::deep_copy(query,
                      Kokkos::subview(query_, Kokkos::ALL, std::make_pair(begin, end), Kokkos::ALL, Kokkos::ALL));
    const Kokkos::View<double ****, Kokkos::LayoutRight, MemorySpace> expected(
        "ringscale::reference_output", shape.batch, rows, shape.query_heads, shape.head_dim);
    const Kokkos::View<double ***, Kokkos::LayoutRight, MemorySpace> expected_lse("ringscale::reference_log_sum_exp",
                                                                                  shape.batch, rows, shape.query_heads);
    kernels::reference_attention(space_, query, key_, value_, block_.admission.causal, begin,
                                 problem::softmax_scale(shape.head_dim), expected, expected_lse);
    space_.fence("ringscale::attention: reference");
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, expected);
    const auto host_lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, expected_lse);
    // A NaN once met stays: nothing is larger than it.
    const auto keep_larger = [](double &largest, double error) {
      if (std::isnan(error) || error > largest) {
        largest = error;
      }
    };
    for (std::int64_t batch = 0; batch < shape.batch; ++batch) {
      for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t head = 0; head < shape.query_heads; ++head) {
          const auto found_lse = static_cast<double>(log_sum_exp(batch, begin + row, head));
          keep_larger(run.max_lse_error, std::abs(found_lse - host_lse(batch, row, head)));
          for (std::int64_t dim = 0; dim < shape.head_dim; ++dim) {
            const auto found = static_cast<double>(output(batch, begin + row, head, dim));
            const double error = std::abs(found - host(batch, row, head, dim));
            keep_larger(run.max_error, error);
            run.wrong_elements += error <= run.error_bound ? 0 : 1;
          }
        }
      }
    }
  }

  ExecutionSpace space_;
  AttentionOptions options_;
  Owned4 query_, key_, value_, output_;
  Owned3 log_sum_exp_;
  Owned1 packed_;
  Owned1 scores_;
  kernels::AttentionBlock block_;
};

} // namespace

AttentionRun run_attention(const AttentionOptions &options) {
  problem::validate(options.problem);
  require_memory(options);
  AttentionRun run;
  const AttentionLayer layer(options);
  run.scores_bytes = layer.scores_bytes();
  if (options.benchmark) {
    layer.time(run);
  } else {
    layer.compute();
  }
  // After the timing, so that what is verified is what was timed last.
  layer.verify(run);
  return run;
}

} // namespace ringscale::drivers
