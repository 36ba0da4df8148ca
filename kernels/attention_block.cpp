// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention_block.hpp"

#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "kernels/dense_row_blocks.hpp"
#include "kernels/tile/select_tile.hpp"

namespace ringscale::kernels {

namespace {

template <int HeadDim> struct TileFor { template <class Member> using Of = tile::SelectTile<HeadDim, Member>; };

/// The message is made only where it is needed: making it takes longer than a short block's launch.
template <class Message> void require(bool condition, const Message &message) {
  if (condition) {
    return;
  }
  if constexpr (std::is_invocable_v<Message>) {
    throw std::invalid_argument("attention block: " + message());
  } else {
    throw std::invalid_argument(std::string("attention block: ") + message);
  }
}

} // namespace

void check_attention_block(const AttentionBlock &block) {
  const auto tokens = static_cast<std::int64_t>(block.query.extent(1));
  const auto query_heads = static_cast<std::int64_t>(block.query.extent(2));
  const auto head_dim = static_cast<std::int64_t>(block.query.extent(3));
  require(block.query_begin >= 0 && block.query_begin <= block.query_end && block.query_end <= tokens, [&] {
    return "query rows " + std::to_string(block.query_begin) + " to " + std::to_string(block.query_end) +
           " do not lie in the query's " + std::to_string(tokens) + " tokens";
  });
  require(block.kv_heads > 0 && query_heads % block.kv_heads == 0, [&] {
    return "query_heads " + std::to_string(query_heads) + " is no multiple of kv_heads " +
           std::to_string(block.kv_heads);
  });
  require(block.heads.fits(query_heads), "heads lie outside of the query's");
  require(head_dim > 0, "head_dim is 0");
  require(block.key_tokens >= 0 && block.key_tokens <= std::numeric_limits<std::int32_t>::max(),
          [&] { return "key_tokens " + std::to_string(block.key_tokens) + " is out of range"; });
  require(block.key_tokens == 0 || block.packed_key_value != nullptr, "packed_key_value is null");
  require(block.admission.query_stride > 0 && block.admission.key_stride > 0, "admission strides must be positive");
  require(block.dropout.probability >= 0.0F && block.dropout.probability < 1.0F,
          "dropout probability must be at least 0 and below 1");
  for (int axis = 0; axis < 4; ++axis) {
    require(block.output.extent(axis) == block.query.extent(axis), "output and query differ in shape");
  }
  for (int axis = 0; axis < 3; ++axis) {
    require(block.log_sum_exp.extent(axis) == block.query.extent(axis),
            "log_sum_exp is not [batch, tokens, query_heads] of the query");
  }
}

void attention_block(const ExecutionSpace &space, const AttentionBlock &block) {
  Kokkos::Profiling::ScopedRegion region("ringscale::attention_block");
  check_attention_block(block);
  switch (block.query.extent(3)) {
  case 64:
    return launch_attention_block<TileFor<64>::Of>(space, block);
  case 128:
    return launch_attention_block<TileFor<128>::Of>(space, block);
  default:
    return launch_attention_block<TileFor<0>::Of>(space, block);
  }
}

std::int64_t attention_workspace_bytes(std::int64_t head_dim) {
  using Tile = StreamedAttention<TileFor<0>::Of, DenseRowBlocks>::Tile;
  return static_cast<std::int64_t>(Tile::scratch_bytes(head_dim)) + 64;
}

} // namespace ringscale::kernels
