// SPDX-License-Identifier: Apache-2.0
#include "gradient_case.hpp"

#include <cmath>
#include <cstring>

#include "kernels/dense_gradient_blocks.hpp"
#include "kernels/tile/select_backward_tile.hpp"
#include "problem/synthetic.hpp"

namespace ringscale::kernels::test {

std::string GradientComparison::text() const {
  const auto part = [](const char *name, double found, double limit) {
    return std::string(" ") + name + " " + std::to_string(found * 1e6) + "e-6 (bound " + std::to_string(limit * 1e6) +
           "e-6)";
  };
  return part("query", error.query, bound.query) + part("key", error.key, bound.key) +
         part("value", error.value, bound.value);
}

GradientData::GradientData(const AttentionCase &shape, const Dropout &case_dropout,
                           const std::vector<std::uint8_t> &case_mask)
    : data(shape), dropout(case_dropout), mask("mask", case_mask.size()),
      output_gradient("output gradient", shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim),
      output("output", shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim),
      query_gradient("dQ", shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim),
      key_gradient("dK", shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim),
      value_gradient("dV", shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim),
      log_sum_exp("lse", shape.batch, shape.query_tokens, shape.query_heads),
      rounded_log_sum_exp("lse", shape.batch, shape.query_tokens, shape.query_heads),
      rounded_output_dot("output dot", shape.batch, shape.query_tokens, shape.query_heads) {
  const auto host_mask = Kokkos::create_mirror_view(mask);
  std::copy(case_mask.begin(), case_mask.end(), host_mask.data());
  Kokkos::deep_copy(mask, host_mask);
  const auto host = Kokkos::create_mirror_view(output_gradient);
  for (std::size_t index = 0; index < host.size(); ++index) {
    // Data of its own, independent of the query's: another seed.
    host.data()[index] =
        problem::synthetic_value(shape.seed + 1000, problem::Tensor::query, 0, static_cast<std::int64_t>(index), 0, 0);
  }
  Kokkos::deep_copy(output_gradient, host);
  compute_reference();
}

ReferenceProblem GradientData::reference_problem() const {
  ReferenceProblem problem;
  problem.query = data.query;
  problem.key = data.key;
  problem.value = data.value;
  problem.admission = data.shape.admission;
  problem.scale = problem::softmax_scale(data.shape.head_dim);
  problem.dropout = dropout;
  problem.mask = mask.size() == 0 ? nullptr : mask.data();
  return problem;
}

void GradientData::compute_reference() {
  const ReferenceGradients gradients{output, log_sum_exp, query_gradient, key_gradient, value_gradient};
  magnitudes = reference_attention_backward(ExecutionSpace(), reference_problem(), output_gradient, gradients);
  const auto host_output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, output);
  const auto host_upstream = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, output_gradient);
  const auto host_lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, log_sum_exp);
  const auto host_rounded_lse = Kokkos::create_mirror_view(rounded_log_sum_exp);
  const auto host_dot = Kokkos::create_mirror_view(rounded_output_dot);
  const std::size_t head_dim = host_output.extent(3);
  for (std::size_t row = 0; row < host_lse.size(); ++row) {
    double dot = 0.0;
    for (std::size_t dim = 0; dim < head_dim; ++dim) {
      dot += host_output.data()[row * head_dim + dim] * static_cast<double>(host_upstream.data()[row * head_dim + dim]);
    }
    host_dot.data()[row] = static_cast<float>(dot);
    host_rounded_lse.data()[row] = static_cast<float>(host_lse.data()[row]);
  }
  Kokkos::deep_copy(rounded_log_sum_exp, host_rounded_lse);
  Kokkos::deep_copy(rounded_output_dot, host_dot);
}

Gradients GradientData::filled(float value) const {
  const AttentionCase &shape = data.shape;
  const Gradients gradients{Owned4("dQ", shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim),
                            Owned4("dK", shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim),
                            Owned4("dV", shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim)};
  for (const Owned4 &tensor : {gradients.query, gradients.key, gradients.value}) {
    Kokkos::deep_copy(tensor, value);
  }
  return gradients;
}

BackwardBlock GradientData::block(const Gradients &gradients) const {
  BackwardBlock block;
  block.query = data.query;
  block.key = data.key;
  block.value = data.value;
  block.output_gradient = output_gradient;
  block.log_sum_exp = rounded_log_sum_exp;
  block.output_dot = rounded_output_dot;
  block.admission = data.shape.admission;
  block.scale = static_cast<float>(problem::softmax_scale(data.shape.head_dim));
  block.dropout = dropout;
  block.query_gradient = gradients.query;
  block.key_gradient = gradients.key;
  block.value_gradient = gradients.value;
  return block;
}

GradientComparison GradientData::compare(const Gradients &gradients, const problem::GivenError &given,
                                         std::int64_t accumulations) const {
  const auto largest_error = [](const Owned4 &found, const OwnedReference4 &expected) {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, found);
    const auto host_expected = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, expected);
    double largest = 0.0;
    for (std::size_t index = 0; index < host.size(); ++index) {
      const double error = std::abs(static_cast<double>(host.data()[index]) - host_expected.data()[index]);
      // A NaN once met stays: nothing is larger than it.
      if (std::isnan(error) || error > largest) {
        largest = error;
      }
    }
    return largest;
  };
  GradientComparison comparison;
  comparison.error = {largest_error(gradients.query, query_gradient), largest_error(gradients.key, key_gradient),
                      largest_error(gradients.value, value_gradient)};
  const problem::GradientMagnitude magnitude{magnitudes.score,      magnitudes.log_sum_exp, magnitudes.weight_gradient,
                                             magnitudes.output_dot, magnitudes.query_sum,   magnitudes.query_weight,
                                             magnitudes.key_sum,    magnitudes.key_weight,  magnitudes.value_sum};
  const AttentionCase &shape = data.shape;
  comparison.bound = problem::gradient_error_bound(problem::DType::float32, shape.key_tokens,
                                                   shape.query_tokens * shape.query_heads / shape.kv_heads,
                                                   shape.head_dim, accumulations, magnitude, given);
  return comparison;
}

namespace {

template <class Member> struct TeamTiles { using Type = tile::TeamBackwardTile<Member>; };
template <class Member> struct HostTiles { using Type = typename tile::SelectBackwardTile<0, Member>::Type; };

template <template <class> class TileOf> void run_with_tiles(const BackwardBlock &block, std::int64_t concurrency) {
  using Tile = typename StreamedBackward<TileOf, DenseGradientBlocks>::Tile;
  const GradientCut cut =
      GradientCut::cut(block, Tile::key_block_tokens(block.query.extent_int(3)), Tile::key_granularity, concurrency);
  const Owned1 workspace("workspace", cut.workspace_elements(block));
  Kokkos::deep_copy(workspace, std::numeric_limits<float>::quiet_NaN());
  const ExecutionSpace space;
  launch_attention_backward<TileOf>(space, block, workspace.data(), concurrency);
  space.fence();
}

} // namespace

void run_backward(const BackwardBlock &block) {
  const ExecutionSpace space;
  const Owned1 workspace("workspace", attention_backward_workspace_elements(space, block));
  Kokkos::deep_copy(workspace, std::numeric_limits<float>::quiet_NaN()); // it holds nothing worth reading
  attention_backward(space, block, workspace.data());
  space.fence();
}

void run_team_backward(const BackwardBlock &block) { run_with_tiles<TeamTiles>(block, ExecutionSpace().concurrency()); }

void run_backward_cut_for(const BackwardBlock &block, std::int64_t concurrency) {
  run_with_tiles<HostTiles>(block, concurrency);
}

bool same_bits(const Gradients &first, const Gradients &second) {
  const auto same = [](const Owned4 &one, const Owned4 &other) {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, one);
    const auto host_other = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, other);
    return std::memcmp(host.data(), host_other.data(), host.size() * sizeof(float)) == 0;
  };
  return same(first.query, second.query) && same(first.key, second.key) && same(first.value, second.value);
}

} // namespace ringscale::kernels::test
