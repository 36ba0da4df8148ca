// SPDX-License-Identifier: Apache-2.0
#include "pattern_gradient.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/block_sparse_gradient_blocks.hpp"
#include "kernels/dilated_gradient_blocks.hpp"
#include "kernels/tile/team_backward_tile.hpp"
#include "problem/pattern.hpp"

namespace ringscale::kernels::test {

namespace {

template <class Member> struct TeamTiles { using Type = tile::TeamBackwardTile<Member>; };

template <class Tensor> auto on_host(const Tensor &tensor) {
  return Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, tensor);
}

double largest_error(const Owned4 &found, const OwnedDouble4 &expected) {
  const auto host = on_host(found);
  const auto reference = on_host(expected);
  double largest = 0.0;
  for (std::size_t index = 0; index < host.size(); ++index) {
    const double error = std::abs(static_cast<double>(host.data()[index]) - reference.data()[index]);
    if (std::isnan(error) || error > largest) {
      largest = error; // a NaN once met stays: nothing is larger than it
    }
  }
  return largest;
}

} // namespace

std::string PatternGradientComparison::text() const {
  return "dq " + std::to_string(error.query) + " of " + std::to_string(bound.query) + ", dk " +
         std::to_string(error.key) + " of " + std::to_string(bound.key) + ", dv " + std::to_string(error.value) +
         " of " + std::to_string(bound.value);
}

PatternGradientData::PatternGradientData(const PatternData &pattern_data, const PairCount &count)
    : data(pattern_data), log_sum_exp("lse", data.shape.batch, data.shape.query_tokens, data.shape.query_heads),
      output_dot("dot", data.shape.batch, data.shape.query_tokens, data.shape.query_heads) {
  const PatternCase &shape = data.shape;
  const auto query = on_host(data.query);
  const auto key = on_host(data.key);
  const auto value = on_host(data.value);
  const auto gradient = on_host(data.output_gradient);
  const auto output = on_host(data.reference_output);
  const auto lse = on_host(data.reference_log_sum_exp);
  const auto rounded_lse = Kokkos::create_mirror_view(log_sum_exp);
  const auto rounded_dot = Kokkos::create_mirror_view(output_dot);
  const auto dim = static_cast<std::size_t>(shape.head_dim);
  const auto keep = [](double &largest, double candidate) { largest = std::max(largest, candidate); };
  const std::int64_t heads_per_kv_head = shape.query_heads / shape.kv_heads;
  const auto key_rows = static_cast<std::size_t>(shape.batch * shape.key_tokens * shape.kv_heads);
  std::vector<double> key_sum(key_rows * dim, 0.0);
  std::vector<double> key_weight(key_rows * dim, 0.0);
  std::vector<double> value_sum(key_rows * dim, 0.0);
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t h = 0; h < shape.query_heads; ++h) {
      for (std::int64_t i = 0; i < shape.query_tokens; ++i) {
        double dot = 0.0;
        for (std::size_t d = 0; d < dim; ++d) {
          dot += output(b, i, h, d) * static_cast<double>(gradient(b, i, h, d));
        }
        rounded_lse(b, i, h) = static_cast<float>(lse(b, i, h));
        rounded_dot(b, i, h) = static_cast<float>(dot);
        keep(magnitude_.output_dot, std::abs(dot));
        if (std::isfinite(lse(b, i, h))) {
          keep(magnitude_.log_sum_exp, std::abs(lse(b, i, h)));
        }
        std::vector<double> query_sum(dim, 0.0);
        std::vector<double> query_weight(dim, 0.0);
        const std::int64_t kv = h / heads_per_kv_head;
        for (std::int64_t j = 0; j < shape.key_tokens; ++j) {
          const int times = count(b, h, i, j);
          if (times == 0) {
            continue;
          }
          double score = 0.0;
          double score_size = 0.0;
          double weight_gradient = 0.0;
          double weight_gradient_size = 0.0;
          for (std::size_t d = 0; d < dim; ++d) {
            const double qk = static_cast<double>(query(b, i, h, d)) * static_cast<double>(key(b, j, kv, d));
            const double gv = static_cast<double>(gradient(b, i, h, d)) * static_cast<double>(value(b, j, kv, d));
            score += shape.scale() * qk;
            score_size += shape.scale() * std::abs(qk);
            weight_gradient += gv;
            weight_gradient_size += std::abs(gv);
          }
          keep(magnitude_.score, score_size);
          keep(magnitude_.weight_gradient, weight_gradient_size);
          const double weight = times * std::exp(score - lse(b, i, h));
          const double score_gradient = shape.scale() * weight * std::abs(weight_gradient - dot);
          const auto row = static_cast<std::size_t>((b * shape.key_tokens + j) * shape.kv_heads + kv) * dim;
          for (std::size_t d = 0; d < dim; ++d) {
            const double size_of_key = std::abs(static_cast<double>(key(b, j, kv, d)));
            const double size_of_query = std::abs(static_cast<double>(query(b, i, h, d)));
            query_sum[d] += score_gradient * size_of_key;
            query_weight[d] += shape.scale() * weight * size_of_key;
            key_sum[row + d] += score_gradient * size_of_query;
            key_weight[row + d] += shape.scale() * weight * size_of_query;
            value_sum[row + d] += weight * std::abs(static_cast<double>(gradient(b, i, h, d)));
          }
        }
        for (std::size_t d = 0; d < dim; ++d) {
          keep(magnitude_.query_sum, query_sum[d]);
          keep(magnitude_.query_weight, query_weight[d]);
        }
      }
    }
  }
  for (std::size_t index = 0; index < key_sum.size(); ++index) {
    keep(magnitude_.key_sum, key_sum[index]);
    keep(magnitude_.key_weight, key_weight[index]);
    keep(magnitude_.value_sum, value_sum[index]);
  }
  Kokkos::deep_copy(log_sum_exp, rounded_lse);
  Kokkos::deep_copy(output_dot, rounded_dot);
}

DilatedBackward PatternGradientData::dilated(const Dilation &dilation, const PatternGradients &gradients) const {
  DilatedBackward backward;
  backward.query = data.query;
  backward.key = data.key;
  backward.value = data.value;
  backward.output_gradient = data.output_gradient;
  backward.log_sum_exp = log_sum_exp;
  backward.output_dot = output_dot;
  backward.dilation = dilation;
  backward.causal = data.shape.causal;
  backward.scale = static_cast<float>(data.shape.scale());
  backward.query_origin = data.shape.query_origin;
  backward.key_origin = data.shape.key_origin;
  backward.query_gradient = gradients.query;
  backward.key_gradient = gradients.key;
  backward.value_gradient = gradients.value;
  return backward;
}

BackwardBlock PatternGradientData::block(const PatternGradients &gradients) const {
  BackwardBlock block;
  block.query = data.query;
  block.key = data.key;
  block.value = data.value;
  block.output_gradient = data.output_gradient;
  block.log_sum_exp = log_sum_exp;
  block.output_dot = output_dot;
  block.admission = {data.shape.causal, data.shape.query_origin, 1, data.shape.key_origin, 1};
  block.scale = static_cast<float>(data.shape.scale());
  block.query_gradient = gradients.query;
  block.key_gradient = gradients.key;
  block.value_gradient = gradients.value;
  return block;
}

PatternGradients PatternGradientData::filled(float value) const {
  const PatternCase &shape = data.shape;
  const PatternGradients gradients{Owned4("dq", shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim),
                                   Owned4("dk", shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim),
                                   Owned4("dv", shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim)};
  Kokkos::deep_copy(gradients.query, value);
  Kokkos::deep_copy(gradients.key, value);
  Kokkos::deep_copy(gradients.value, value);
  return gradients;
}

PatternGradientComparison PatternGradientData::compare(const PatternGradients &gradients,
                                                       std::int64_t accumulations) const {
  const PatternCase &shape = data.shape;
  PatternGradientComparison comparison;
  comparison.error = {largest_error(gradients.query, data.reference_query_gradient),
                      largest_error(gradients.key, data.reference_key_gradient),
                      largest_error(gradients.value, data.reference_value_gradient)};
  comparison.bound = problem::gradient_error_bound(problem::DType::float32, shape.key_tokens,
                                                   shape.query_tokens * shape.query_heads / shape.kv_heads,
                                                   shape.head_dim, accumulations, magnitude_, problem::GivenError{});
  return comparison;
}

PairCount dilated_pairs(const PatternCase &shape, const Dilation &dilation) {
  problem::Pattern pattern;
  pattern.kind = problem::PatternKind::dilated;
  pattern.dilated = {dilation.segment_lengths, dilation.dilation_rates,
                     static_cast<problem::DilationConvention>(dilation.convention)};
  const auto mask = shape.causal ? problem::Mask::causal : problem::Mask::none;
  return [=](std::int64_t, std::int64_t head, std::int64_t query, std::int64_t key) {
    return static_cast<int>(problem::multiplicity(pattern, mask, shape.query_heads, head, shape.query_origin + query,
                                                  shape.key_origin + key));
  };
}

PairCount masked_pairs(const OwnedMask &mask) {
  const auto host = on_host(mask);
  return [=](std::int64_t batch, std::int64_t head, std::int64_t query, std::int64_t key) {
    return static_cast<int>(host(batch, head, query, key));
  };
}

void run_dilated_backward(const DilatedBackward &backward, bool team) {
  const ExecutionSpace space;
  if (!team) {
    dilated_attention_backward(space, backward);
  } else {
    if (!backward.accumulate) {
      Kokkos::deep_copy(backward.query_gradient, 0.0F);
      Kokkos::deep_copy(backward.key_gradient, 0.0F);
      Kokkos::deep_copy(backward.value_gradient, 0.0F);
    }
    for (const DilatedLayout &layout : dilated_layouts(backward)) {
      launch_dilated_backward<TeamTiles>(space, backward, layout);
    }
  }
  space.fence();
}

void run_block_sparse_backward(const BackwardBlock &block, const BlockMask &mask, bool team) {
  const ExecutionSpace space;
  if (!team) {
    block_sparse_backward(space, block, mask);
  } else {
    if (!block.accumulate) {
      Kokkos::deep_copy(block.query_gradient, 0.0F);
      Kokkos::deep_copy(block.key_gradient, 0.0F);
      Kokkos::deep_copy(block.value_gradient, 0.0F);
    }
    launch_block_sparse_backward<TeamTiles>(space, block, mask);
  }
  space.fence();
}

} // namespace ringscale::kernels::test
