// SPDX-License-Identifier: Apache-2.0
#include "kernels/block_sparse_attention.hpp"

#include <stdexcept>
#include <string>

#include "kernels/block_sparse_row_blocks.hpp"
#include "kernels/tile/select_tile.hpp"

namespace ringscale::kernels {

namespace {

template <int HeadDim> struct TileFor { template <class Member> using Of = tile::SelectTile<HeadDim, Member>; };

void require(bool condition, const std::string &message) {
  if (!condition) {
    throw std::invalid_argument("block-sparse attention: " + message);
  }
}

} // namespace

void check_block_sparse_attention(const AttentionBlock &block, const BlockMask &mask) {
  check_attention_block(block);
  const BlockMaskShape &shape = mask.shape();
  const auto tokens = static_cast<std::int64_t>(block.query.extent(1));
  require(block.query_begin == 0 && block.query_end == tokens, "rows are not all of the query's");
  require(block.heads.is_whole(block.query.extent_int(2)), "heads are not all of the query's");
  require(shape.query_tokens == tokens && shape.key_tokens == block.key_tokens,
          "the mask is for " + std::to_string(shape.query_tokens) + " queries and " + std::to_string(shape.key_tokens) +
              " keys, the block has " + std::to_string(tokens) + " and " + std::to_string(block.key_tokens));
  require(shape.batch_masks == 1 || shape.batch_masks == static_cast<std::int64_t>(block.query.extent(0)),
          "masks are neither shared nor one for every batch entry");
  require(shape.head_masks == 1 || shape.head_masks == static_cast<std::int64_t>(block.query.extent(2)),
          "masks are neither shared nor one for every query head");
  const Admission &admission = block.admission;
  require(admission.query_stride == 1 && admission.key_stride == 1 && admission.causal == shape.causal &&
              admission.query_origin == shape.query_origin && admission.key_origin == shape.key_origin,
          "the admission is not that of the mask");
}

void block_sparse_attention(const ExecutionSpace &space, const AttentionBlock &block, const BlockMask &mask) {
  Kokkos::Profiling::ScopedRegion region("ringscale::block_sparse_attention");
  check_block_sparse_attention(block, mask);
  switch (block.query.extent(3)) {
  case 64:
    return launch_block_sparse_attention<TileFor<64>::Of>(space, block, mask);
  case 128:
    return launch_block_sparse_attention<TileFor<128>::Of>(space, block, mask);
  default:
    return launch_block_sparse_attention<TileFor<0>::Of>(space, block, mask);
  }
}

KernelWork block_sparse_attention_work(const AttentionBlock &block, const BlockMask &mask) {
  const auto batch = static_cast<std::int64_t>(block.query.extent(0));
  const auto heads = static_cast<std::int64_t>(block.query.extent(2));
  KernelWork work = attention_block_work(block);
  work.flop = 4.0 * mask.pairs_of(batch, heads) * static_cast<double>(block.query.extent(3));
  work.read_bytes += static_cast<double>(mask.key_list_bytes());
  return work;
}

} // namespace ringscale::kernels
