// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention.hpp"

#include <stdexcept>

#include "kernels/dense_row_blocks.hpp"
#include "kernels/tile/pack_tile.hpp"
#include "kernels/tile/select_tile.hpp"
#include "kernels/tile/tile_policy.hpp"

namespace ringscale::kernels {

namespace {

template <int HeadDim> struct TileFor { template <class Member> using Of = tile::SelectTile<HeadDim, Member>; };

/// One key/value head: packs it, then computes the row blocks of all query heads that read it.
template <int HeadDim> struct HeadAtOnce {
  using Streamed = StreamedAttention<TileFor<HeadDim>::template Of, DenseRowBlocks>;
  using Member = typename Streamed::Member;

  Streamed streamed;
  ConstTensor4 key;
  ConstTensor4 value;
  float *packed;

  KOKKOS_FUNCTION void operator()(const Member &member) const {
    const std::int64_t kv_heads = key.extent_int(2);
    const std::int64_t head_dim = key.extent_int(3);
    const std::int64_t tokens = key.extent_int(1);
    const std::int64_t batch = member.league_rank() / kv_heads;
    const std::int64_t kv_head = member.league_rank() % kv_heads;
    float *keys = packed + member.league_rank() * packed_head_elements(tokens, head_dim);
    float *values = keys + padded_tokens(tokens) * head_dim;
    for (std::int64_t first = 0; first < tokens; first += key_tile_tokens) {
      const std::int64_t count = tokens - first < key_tile_tokens ? tokens - first : key_tile_tokens;
      const std::int64_t stride = kv_heads * head_dim;
      tile::pack_keys(member, {&key(batch, first, kv_head, 0), stride, count}, head_dim, keys + first * head_dim);
      tile::pack_values(member, {&value(batch, first, kv_head, 0), stride, count}, head_dim, values + first * head_dim);
    }
    member.team_barrier();
    const QueryBlocks &cut = streamed.blocks.cut;
    const std::int64_t teams = cut.heads / kv_heads * cut.blocks; // of this head, had each its own
    typename Streamed::Tile tile(member, head_dim);
    for (std::int64_t rank = member.league_rank() * teams; rank < (member.league_rank() + 1) * teams; ++rank) {
      streamed.compute(tile, streamed.blocks.at(rank));
    }
  }
};

template <int HeadDim>
void launch(const ExecutionSpace &space, ConstTensor4 key, ConstTensor4 value, const AttentionBlock &block,
            float *packed) {
  using Kernel = HeadAtOnce<HeadDim>;
  using Policy = typename Kernel::Streamed::Policy;
  using Tile = typename Kernel::Streamed::Tile;
  const int league = key.extent_int(0) * key.extent_int(2);
  Policy policy = tile::tile_policy<Tile, Policy>(space, league, key.extent_int(3));
  policy.set_chunk_size(1);
  // Rows are cut as for one thread: the heads are what the threads share.
  const QueryBlocks cut = QueryBlocks::cut(block, Tile::rows_per_block, Tile::row_granularity, 1);
  Kokkos::parallel_for("ringscale::attention", policy,
                       Kernel{{{block, cut}, key.extent_int(3), block.scale, block.merge}, key, value, packed});
}

bool heads_at_once(const ExecutionSpace &space, const ConstTensor4 &key) {
  constexpr std::size_t cache_floats = 128 * 1024; // half a megabyte of packed keys and values
  const auto threads = static_cast<std::size_t>(space.concurrency());
  // With one head more than threads, one thread would compute while all others wait; four each even that out.
  return (threads == 1 || key.extent(0) * key.extent(2) >= 4 * threads) &&
         2 * key.extent(1) * key.extent(3) <= cache_floats;
}

} // namespace

void attention(const ExecutionSpace &space, ConstTensor4 key, ConstTensor4 value, AttentionBlock block, float *packed) {
  for (int axis = 0; axis < 4; ++axis) {
    if (key.extent(axis) != value.extent(axis)) {
      throw std::invalid_argument("attention: key and value differ in shape");
    }
  }
  if (key.extent(0) != block.query.extent(0) || key.extent(3) != block.query.extent(3)) {
    throw std::invalid_argument("attention: query and key differ in batch or head_dim");
  }
  if (!block.heads.is_whole(block.query.extent_int(2))) {
    throw std::invalid_argument("attention: heads are not all of the query's");
  }
  block.packed_key_value = packed;
  block.key_tokens = key.extent_int(1);
  block.kv_heads = key.extent_int(2);
  if (!heads_at_once(space, key) || block.query_end == block.query_begin || block.dropout.active()) {
    pack_key_value(space, key, value, 0, block.key_tokens, packed);
    attention_block(space, block);
    return;
  }
  Kokkos::Profiling::ScopedRegion region("ringscale::attention");
  check_attention_block(block);
  switch (block.query.extent(3)) {
  case 64:
    return launch<64>(space, key, value, block, packed);
  case 128:
    return launch<128>(space, key, value, block, packed);
  default:
    return launch<0>(space, key, value, block, packed);
  }
}

KernelWork attention_work(const AttentionBlock &block) {
  KernelWork work = attention_block_work(block);
  const KernelWork packing =
      pack_key_value_work(block.query.extent_int(0), block.key_tokens, block.kv_heads, block.query.extent_int(3));
  work.read_bytes += packing.read_bytes;
  work.written_bytes += packing.written_bytes;
  return work;
}

} // namespace ringscale::kernels
