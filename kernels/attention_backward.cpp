// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention_backward.hpp"

#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/dense_gradient_blocks.hpp"
#include "kernels/tile/select_backward_tile.hpp"

namespace ringscale::kernels {

namespace {

template <int HeadDim> struct TileFor { template <class Member> using Of = tile::SelectBackwardTile<HeadDim, Member>; };

void require(bool condition, const std::string &message) {
  if (!condition) {
    throw std::invalid_argument("attention backward: " + message);
  }
}

template <class First, class Second> bool same_shape(const First &first, const Second &second, int axes) {
  bool same = true;
  for (int axis = 0; axis < axes; ++axis) {
    same = same && first.extent(axis) == second.extent(axis);
  }
  return same;
}

/// One row of one head; rows are [batch * tokens * query_heads], contiguous.
struct DotRow {
  ConstTensor4 output;
  ConstTensor4 output_gradient;
  Tensor3 output_dot;

  KOKKOS_FUNCTION void operator()(const std::int64_t row) const {
    const std::int64_t head_dim = output.extent_int(3);
    const float *first = output.data() + row * head_dim;
    const float *second = output_gradient.data() + row * head_dim;
    double sum = 0.0;
    for (std::int64_t dim = 0; dim < head_dim; ++dim) {
      sum += static_cast<double>(first[dim]) * static_cast<double>(second[dim]);
    }
    output_dot.data()[row] = static_cast<float>(sum);
  }
};

/// Calls function(kernel launcher) with the tile primitives for the head_dim of the block.
template <class Function> auto with_tile(const BackwardBlock &block, const Function &function) {
  switch (block.query.extent(3)) {
  case 64:
    return function(std::integral_constant<int, 64>());
  case 128:
    return function(std::integral_constant<int, 128>());
  default:
    return function(std::integral_constant<int, 0>());
  }
}

} // namespace

void check_backward_block(const BackwardBlock &block) {
  const auto query_heads = static_cast<std::int64_t>(block.query.extent(2));
  const auto kv_heads = static_cast<std::int64_t>(block.key.extent(2));
  require(block.query.extent(3) > 0, "head_dim is 0");
  require(block.key.extent(0) == block.query.extent(0) && block.key.extent(3) == block.query.extent(3),
          "key and query differ in batch or head_dim");
  require(kv_heads > 0 && query_heads % kv_heads == 0,
          "query_heads " + std::to_string(query_heads) + " is no multiple of kv_heads " + std::to_string(kv_heads));
  require(block.kv_heads.fits(kv_heads), "kv_heads lie outside of the key's");
  require(block.accumulate || block.kv_heads.is_whole(kv_heads), "some heads alone can only be added to");
  require(block.query.extent(1) <= std::numeric_limits<std::int32_t>::max() &&
              block.key.extent(1) <= std::numeric_limits<std::int32_t>::max(),
          "tokens are out of range");
  require(same_shape(block.key, block.value, 4), "value and key differ in shape");
  require(same_shape(block.query, block.output_gradient, 4), "output_gradient and query differ in shape");
  require(same_shape(block.query, block.query_gradient, 4), "query_gradient and query differ in shape");
  require(same_shape(block.key, block.key_gradient, 4), "key_gradient and key differ in shape");
  require(same_shape(block.value, block.value_gradient, 4), "value_gradient and value differ in shape");
  require(same_shape(block.query, block.log_sum_exp, 3), "log_sum_exp is not [batch, tokens, query_heads]");
  require(same_shape(block.query, block.output_dot, 3), "output_dot is not [batch, tokens, query_heads]");
  require(block.admission.query_stride > 0 && block.admission.key_stride > 0, "admission strides must be positive");
  require(block.dropout.probability >= 0.0F && block.dropout.probability < 1.0F,
          "dropout probability must be at least 0 and below 1");
}

void output_gradient_dot(const ExecutionSpace &space, ConstTensor4 output, ConstTensor4 output_gradient,
                         Tensor3 output_dot) {
  Kokkos::Profiling::ScopedRegion region("ringscale::output_gradient_dot");
  if (!same_shape(output, output_gradient, 4) || !same_shape(output, output_dot, 3)) {
    throw std::invalid_argument("output_gradient_dot: the shapes of the tensors do not fit each other");
  }
  using Policy = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::int64_t>>;
  Kokkos::parallel_for("ringscale::output_gradient_dot", Policy(space, 0, static_cast<std::int64_t>(output_dot.size())),
                       DotRow{output, output_gradient, output_dot});
}

std::int64_t attention_backward_workspace_elements(const ExecutionSpace &space, const BackwardBlock &block) {
  return with_tile(block, [&](auto head_dim) {
    using Tile = typename StreamedBackward<TileFor<head_dim()>::template Of, DenseGradientBlocks>::Tile;
    const GradientCut cut = GradientCut::cut(block, Tile::key_block_tokens(block.query.extent_int(3)),
                                             Tile::key_granularity, space.concurrency());
    return cut.workspace_elements(block);
  });
}

void attention_backward(const ExecutionSpace &space, const BackwardBlock &block, float *workspace) {
  Kokkos::Profiling::ScopedRegion region("ringscale::attention_backward");
  check_backward_block(block);
  require(workspace != nullptr || attention_backward_workspace_elements(space, block) == 0, "workspace is null");
  with_tile(block, [&](auto head_dim) {
    launch_attention_backward<TileFor<head_dim()>::template Of>(space, block, workspace, space.concurrency());
  });
}

KernelWork attention_backward_work(const BackwardBlock &block) {
  constexpr double float_bytes = sizeof(float);
  const std::int64_t kv_heads = block.key.extent_int(2);
  const double share =
      kv_heads > 0 ? static_cast<double>(block.kv_heads.count_of(kv_heads)) / static_cast<double>(kv_heads) : 0.0;
  const double heads = share * static_cast<double>(block.query.extent(0) * block.query.extent(2));
  const auto pairs =
      static_cast<double>(admitted_pairs(block.admission, 0, block.query.extent_int(1), block.key.extent_int(1)));
  const double query_elements = share * static_cast<double>(block.query.size());
  const double key_elements = share * static_cast<double>(block.key.size());
  KernelWork work;
  work.flop = 10.0 * pairs * heads * static_cast<double>(block.query.extent(3));
  work.written_bytes = float_bytes * (query_elements + 2.0 * key_elements);
  work.read_bytes = float_bytes * (2.0 * query_elements + 2.0 * key_elements);
  work.read_bytes += 2.0 * float_bytes * share * static_cast<double>(block.log_sum_exp.size());
  work.read_bytes += block.accumulate ? float_bytes * query_elements : 0.0;
  work.read_bytes += block.adds_key_gradients() ? 2.0 * float_bytes * key_elements : 0.0;
  return work;
}

KernelWork output_gradient_dot_work(std::int64_t batch, std::int64_t tokens, std::int64_t query_heads,
                                    std::int64_t head_dim) {
  const auto rows = static_cast<double>(batch * tokens * query_heads);
  KernelWork work;
  work.flop = 2.0 * rows * static_cast<double>(head_dim);
  work.read_bytes = 2.0 * sizeof(float) * rows * static_cast<double>(head_dim);
  work.written_bytes = sizeof(float) * rows;
  return work;
}

} // namespace ringscale::kernels
