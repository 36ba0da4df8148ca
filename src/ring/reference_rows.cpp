// SPDX-License-Identifier: Apache-2.0
#include "ring/reference_rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "kernels/reference.hpp"
#include "kernels/rounding.hpp"
#include "problem/invalid_input.hpp"
#include "problem/synthetic.hpp"
#include "ring/rank_data.hpp"

namespace ringscale::ring {

using problem::AttentionProblem;
using problem::TokenSet;

namespace {

using Floats = Kokkos::View<float *, kernels::MemorySpace>;
using Doubles = Kokkos::View<double *, kernels::MemorySpace>;

std::size_t extent(std::int64_t value) { return static_cast<std::size_t>(value); }

template <class View> View uninitialised(const char *label, std::int64_t elements) {
  return View(Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string(label)), extent(elements));
}

/// Rows first .. first + count - 1 of the wanted ones, standing at consecutive positions.
struct Run {
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::int64_t position = 0;
};

std::vector<Run> consecutive_runs(const std::vector<std::int64_t> &positions) {
  std::vector<Run> runs;
  for (std::size_t index = 0; index < positions.size(); ++index) {
    if (!runs.empty() && positions[index] == runs.back().position + runs.back().count) {
      runs.back().count += 1;
    } else {
      runs.push_back({static_cast<std::int64_t>(index), 1, positions[index]});
    }
  }
  return runs;
}

kernels::NumberFormat format_of(problem::DType stored) {
  switch (stored) {
  case problem::DType::float32:
    return kernels::NumberFormat::float32;
  case problem::DType::bfloat16:
    return kernels::NumberFormat::bfloat16;
  case problem::DType::float16:
    return kernels::NumberFormat::float16;
  default:
    throw problem::InvalidInput("reference rows are of tensors stored in float32, bfloat16 or float16, not " +
                                std::string(problem::name(stored)));
  }
}

/// Joins the partial of one run over one piece of keys into the rows gathered so far.
void join(ReferenceRows &rows, const AttentionProblem &attention, const Run &run, const double *output,
          const double *log_sum_exp) {
  for (std::int64_t batch = 0; batch < attention.batch; ++batch) {
    for (std::int64_t local = 0; local < run.count * attention.query_heads; ++local) {
      const std::int64_t from = batch * run.count * attention.query_heads + local;
      const std::int64_t to = (batch * rows.row_count + run.first) * attention.query_heads + local;
      double &held = rows.log_sum_exps[extent(to)];
      const double added = log_sum_exp[from];
      const double larger = std::max(held, added);
      if (larger == -std::numeric_limits<double>::infinity()) {
        continue;
      }
      const double held_weight = std::exp(held - larger);
      const double added_weight = std::exp(added - larger);
      const double sum = held_weight + added_weight;
      for (std::int64_t dim = 0; dim < attention.head_dim; ++dim) {
        double &value = rows.outputs[extent(to * attention.head_dim + dim)];
        value = (held_weight * value + added_weight * output[from * attention.head_dim + dim]) / sum;
      }
      held = larger + std::log(sum);
    }
  }
}

} // namespace

ReferenceRows reference_rows(const AttentionProblem &attention, std::uint64_t seed,
                             const std::vector<std::int64_t> &positions, std::int64_t piece_tokens,
                             const TensorOrigin &origin, problem::DType stored) {
  ReferenceRows rows;
  rows.row_count = static_cast<std::int64_t>(positions.size());
  const std::int64_t lse_elements = attention.batch * rows.row_count * attention.query_heads;
  rows.outputs.assign(extent(lse_elements * attention.head_dim), 0.0);
  rows.log_sum_exps.assign(extent(lse_elements), -std::numeric_limits<double>::infinity());

  const bool causal = attention.mask == problem::Mask::causal;
  const kernels::ExecutionSpace space;
  const kernels::NumberFormat format = format_of(stored);
  const std::vector<Run> runs = consecutive_runs(positions);
  std::int64_t longest_run = 0;
  for (const Run &run : runs) {
    longest_run = std::max(longest_run, run.count);
  }
  const std::int64_t piece = std::min(piece_tokens, attention.tokens);
  const std::int64_t run_elements = attention.batch * longest_run * attention.query_heads;
  const auto query = uninitialised<Floats>("ringscale::ring::check_query", run_elements * attention.head_dim);
  const auto output = uninitialised<Doubles>("ringscale::ring::check_output", run_elements * attention.head_dim);
  const auto lse = uninitialised<Doubles>("ringscale::ring::check_lse", run_elements);
  const std::int64_t key_elements = attention.batch * piece * attention.kv_heads * attention.head_dim;
  const auto key = uninitialised<Floats>("ringscale::ring::check_key", key_elements);
  const auto value = uninitialised<Floats>("ringscale::ring::check_value", key_elements);
  const auto host_output = Kokkos::create_mirror_view(output);
  const auto host_lse = Kokkos::create_mirror_view(lse);

  const auto fill = [&](const Floats &tensor, problem::Tensor which, const TokenSet &tokens) {
    fill_tensor(tensor.data(), seed, which, attention, tokens, origin);
    if (stored != problem::DType::float32) {
      kernels::round_elements(space, tensor.data(), static_cast<std::int64_t>(tensor.size()), format, tensor.data());
      space.fence("ringscale::ring: reference inputs rounded");
    }
  };
  for (std::int64_t begin = 0; begin < attention.tokens; begin += piece) {
    const std::int64_t count = std::min(piece, attention.tokens - begin);
    const TokenSet keys{{begin, count, 1}, {}};
    if (causal && (runs.empty() || runs.back().position + runs.back().count <= begin)) {
      break; // no row looks this far
    }
    fill(key, problem::Tensor::key, keys);
    fill(value, problem::Tensor::value, keys);
    const auto tensor4 = [&](const auto *data, std::int64_t tokens, std::int64_t heads) {
      return kernels::ConstTensor4(data, extent(attention.batch), extent(tokens), extent(heads),
                                   extent(attention.head_dim));
    };
    for (const Run &run : runs) {
      if (causal && run.position + run.count <= begin) {
        continue;
      }
      fill(query, problem::Tensor::query, TokenSet{{run.position, run.count, 1}, {}});
      const kernels::ReferenceTensor4 run_output(output.data(), extent(attention.batch), extent(run.count),
                                                 extent(attention.query_heads), extent(attention.head_dim));
      const kernels::ReferenceTensor3 run_lse(lse.data(), extent(attention.batch), extent(run.count),
                                              extent(attention.query_heads));
      const kernels::Admission admission{causal, run.position, 1, begin, 1};
      kernels::reference_attention(space, tensor4(query.data(), run.count, attention.query_heads),
                                   tensor4(key.data(), count, attention.kv_heads),
                                   tensor4(value.data(), count, attention.kv_heads), admission,
                                   problem::softmax_scale(attention.head_dim), run_output, run_lse);
      space.fence("ringscale::ring: reference rows");
      Kokkos::deep_copy(host_output, output);
      Kokkos::deep_copy(host_lse, lse);
      join(rows, attention, run, host_output.data(), host_lse.data());
    }
  }
  return rows;
}

} // namespace ringscale::ring
