// SPDX-License-Identifier: Apache-2.0
#include "kernels/block_sparse_backward.hpp"

#include <stdexcept>
#include <string>

#include "kernels/block_sparse_gradient_blocks.hpp"
#include "kernels/tile/select_backward_tile.hpp"

namespace ringscale::kernels {

namespace {

template <int HeadDim> struct TileFor { template <class Member> using Of = tile::SelectBackwardTile<HeadDim, Member>; };

void require(bool condition, const std::string &message) {
  if (!condition) {
    throw std::invalid_argument("block-sparse backward: " + message);
  }
}

void launch(const ExecutionSpace &space, const BackwardBlock &block, const BlockMask &mask) {
  switch (block.query.extent(3)) {
  case 64:
    return launch_block_sparse_backward<TileFor<64>::Of>(space, block, mask);
  case 128:
    return launch_block_sparse_backward<TileFor<128>::Of>(space, block, mask);
  default:
    return launch_block_sparse_backward<TileFor<0>::Of>(space, block, mask);
  }
}

} // namespace

void check_block_sparse_backward(const BackwardBlock &block, const BlockMask &mask) {
  check_backward_block(block);
  const BlockMaskShape &shape = mask.shape();
  require(shape.query_tokens == static_cast<std::int64_t>(block.query.extent(1)) &&
              shape.key_tokens == static_cast<std::int64_t>(block.key.extent(1)),
          "the mask is for " + std::to_string(shape.query_tokens) + " queries and " + std::to_string(shape.key_tokens) +
              " keys, the block has " + std::to_string(block.query.extent(1)) + " and " +
              std::to_string(block.key.extent(1)));
  require(shape.batch_masks == 1 || shape.batch_masks == static_cast<std::int64_t>(block.query.extent(0)),
          "masks are neither shared nor one for every batch entry");
  require(shape.head_masks == 1 || shape.head_masks == static_cast<std::int64_t>(block.query.extent(2)),
          "masks are neither shared nor one for every query head");
  require(block.kv_heads.is_whole(block.key.extent_int(2)), "kv_heads are not all of the key's");
  require(!block.overwrite_key_gradients, "several steps meet a key, so its gradients are added to what was cleared");
  const Admission &admission = block.admission;
  require(admission.query_stride == 1 && admission.key_stride == 1 && admission.causal == shape.causal &&
              admission.query_origin == shape.query_origin && admission.key_origin == shape.key_origin,
          "the admission is not that of the mask");
}

void block_sparse_backward(const ExecutionSpace &space, const BackwardBlock &block, const BlockMask &mask) {
  Kokkos::Profiling::ScopedRegion region("ringscale::block_sparse_backward");
  check_block_sparse_backward(block, mask);
  if (!block.accumulate) {
    Kokkos::deep_copy(space, block.query_gradient, 0.0F);
    Kokkos::deep_copy(space, block.key_gradient, 0.0F);
    Kokkos::deep_copy(space, block.value_gradient, 0.0F);
  }
  launch(space, block, mask);
}

KernelWork block_sparse_backward_work(const BackwardBlock &block, const BlockMask &mask) {
  constexpr double float_bytes = sizeof(float);
  const auto batch = static_cast<std::int64_t>(block.query.extent(0));
  const auto heads = static_cast<std::int64_t>(block.query.extent(2));
  BackwardBlock added = block;
  added.accumulate = true; // the kernel adds to what was cleared
  KernelWork work = attention_backward_work(added);
  work.flop = 10.0 * mask.pairs_of(batch, heads) * static_cast<double>(block.query.extent(3));
  work.read_bytes += static_cast<double>(mask.bytes() - mask.key_list_bytes());
  if (!block.accumulate) {
    work.written_bytes += float_bytes * static_cast<double>(block.query.size() + 2 * block.key.size());
  }
  return work;
}

} // namespace ringscale::kernels
