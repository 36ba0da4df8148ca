// SPDX-License-Identifier: Apache-2.0
#include "kernels/dilated_backward.hpp"

#include <stdexcept>
#include <string>

#include "kernels/dilated_gradient_blocks.hpp"
#include "kernels/tile/select_backward_tile.hpp"

namespace ringscale::kernels {

namespace {

template <int HeadDim> struct TileFor { template <class Member> using Of = tile::SelectBackwardTile<HeadDim, Member>; };

void require(bool condition, const std::string &message) {
  if (!condition) {
    throw std::invalid_argument("dilated backward: " + message);
  }
}

void launch(const ExecutionSpace &space, const DilatedBackward &backward, const DilatedLayout &layout) {
  switch (layout.head_dim) {
  case 64:
    return launch_dilated_backward<TileFor<64>::Of>(space, backward, layout);
  case 128:
    return launch_dilated_backward<TileFor<128>::Of>(space, backward, layout);
  default:
    return launch_dilated_backward<TileFor<0>::Of>(space, backward, layout);
  }
}

} // namespace

void check_dilated_backward(const DilatedBackward &backward) {
  const ConstTensor4 &query = backward.query;
  const ConstTensor4 &key = backward.key;
  require(query.extent(3) > 0, "head_dim is 0");
  require(key.extent(0) == query.extent(0) && key.extent(3) == query.extent(3),
          "key and query differ in batch or head_dim");
  require(key.extent(2) > 0 && query.extent(2) % key.extent(2) == 0, "query_heads " + std::to_string(query.extent(2)) +
                                                                         " is no multiple of kv_heads " +
                                                                         std::to_string(key.extent(2)));
  require(backward.query_origin >= 0 && backward.key_origin >= 0, "origins must not be negative");
  for (int axis = 0; axis < 4; ++axis) {
    require(key.extent(axis) == backward.value.extent(axis), "key and value differ in shape");
    require(key.extent(axis) == backward.key_gradient.extent(axis), "key_gradient and key differ in shape");
    require(key.extent(axis) == backward.value_gradient.extent(axis), "value_gradient and value differ in shape");
    require(query.extent(axis) == backward.output_gradient.extent(axis), "output_gradient and query differ in shape");
    require(query.extent(axis) == backward.query_gradient.extent(axis), "query_gradient and query differ in shape");
  }
  for (int axis = 0; axis < 3; ++axis) {
    require(query.extent(axis) == backward.log_sum_exp.extent(axis) &&
                query.extent(axis) == backward.output_dot.extent(axis),
            "log_sum_exp or output_dot is not [batch, tokens, query_heads] of the query");
  }
}

std::vector<DilatedLayout> dilated_layouts(const DilatedBackward &backward) {
  check_dilated_backward(backward);
  return dilated_layouts(backward.dilation, {backward.query_origin, backward.query.extent_int(1)},
                         {backward.key_origin, backward.key.extent_int(1)}, backward.query.extent_int(0),
                         backward.query.extent_int(2), backward.key.extent_int(2), backward.query.extent_int(3));
}

void dilated_attention_backward(const ExecutionSpace &space, const DilatedBackward &backward) {
  Kokkos::Profiling::ScopedRegion region("ringscale::dilated_attention_backward");
  const std::vector<DilatedLayout> layouts = dilated_layouts(backward);
  if (!backward.accumulate) {
    Kokkos::deep_copy(space, backward.query_gradient, 0.0F);
    Kokkos::deep_copy(space, backward.key_gradient, 0.0F);
    Kokkos::deep_copy(space, backward.value_gradient, 0.0F);
  }
  for (const DilatedLayout &layout : layouts) {
    launch(space, backward, layout);
  }
}

KernelWork dilated_attention_backward_work(const DilatedBackward &backward) {
  constexpr double float_bytes = sizeof(float);
  KernelWork work;
  for (const DilatedLayout &layout : dilated_layouts(backward)) {
    const DilatedCounts counts = count_tokens(layout, backward.causal);
    const auto dim = static_cast<double>(layout.head_dim);
    work.flop += 10.0 * counts.pairs * dim;
    work.read_bytes += float_bytes * (counts.rows * (3.0 * dim + 2.0) + 4.0 * counts.keys * dim);
    work.written_bytes += float_bytes * (counts.rows * dim + 2.0 * counts.keys * dim);
  }
  if (!backward.accumulate) {
    work.written_bytes += float_bytes * static_cast<double>(backward.query.size() + 2 * backward.key.size());
  }
  return work;
}

} // namespace ringscale::kernels
