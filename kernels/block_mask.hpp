// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/gradient_block.hpp"
#include "kernels/row_block.hpp"
#include "kernels/types.hpp"

namespace ringscale::kernels {

enum class BlockKind { local_window, dilated, hierarchical };

/// Which key blocks b a query block a meets, both of block_tokens tokens of the sequence: local_window |a - b| <= reach
/// with reach = window_tokens / block_tokens; dilated the same and (a - b) mod stride_blocks = 0; hierarchical the
/// window and, for all a, every b with b mod stride_blocks = 0. Whole blocks: no finer border than theirs.
struct BlockSparsity {
  BlockKind kind = BlockKind::local_window;
  std::int64_t window_tokens = 0;
  std::int64_t stride_blocks = 1;
};

/// What a mask is made for. Origins are the positions of token 0 and must be multiples of block_tokens.
struct BlockMaskShape {
  std::int64_t block_tokens = 64; ///< a multiple of key_tile_tokens
  std::int64_t query_tokens = 0;
  std::int64_t key_tokens = 0;
  bool causal = false; ///< blocks that lie wholly after a query block are dropped, and pairs counted accordingly
  std::int64_t query_origin = 0;
  std::int64_t key_origin = 0;
  std::int64_t batch_masks = 1; ///< 1, or one mask for every batch entry
  std::int64_t head_masks = 1;  ///< 1, or one mask for every query head

  std::int64_t query_blocks() const { return (query_tokens + block_tokens - 1) / block_tokens; }
  std::int64_t key_blocks() const { return (key_tokens + block_tokens - 1) / block_tokens; }
  std::int64_t masks() const { return batch_masks * head_masks; }
};

/// The lists of a mask as kernels read them: key ranges of query block a of mask m are ranges[offset[m * blocks + a]]
/// up to ranges[offset[m * blocks + a + 1]]; rows of key blocks likewise.
template <class Range> struct BlockLists {
  const Range *ranges = nullptr;
  const std::int64_t *offset = nullptr;
  std::int64_t blocks = 0;
  std::int64_t batch_stride = 0; ///< masks from one batch entry to the next; 0: shared
  std::int64_t head_stride = 0;

  KOKKOS_INLINE_FUNCTION std::int64_t place(std::int64_t batch, std::int64_t head, std::int64_t block) const {
    return (batch * batch_stride + head * head_stride) * blocks + block;
  }
  KOKKOS_INLINE_FUNCTION const Range *begin(std::int64_t at) const { return ranges + offset[at]; }
  KOKKOS_INLINE_FUNCTION std::int32_t count(std::int64_t at) const {
    return static_cast<std::int32_t>(offset[at + 1] - offset[at]);
  }
};

/// A block mask: for every query block the key ranges it meets, ascending, neighbours joined; and transposed, for
/// every key block the rows that meet it, which the backward pass reads. Copies share the lists.
class BlockMask {
public:
  /// Whether query block a of mask m meets key block b; a and b count from the tensors' first tokens.
  using Meets = std::function<bool(std::int64_t mask, std::int64_t query_block, std::int64_t key_block)>;

  /// Throws std::invalid_argument naming the field of `shape` that does not fit.
  BlockMask(const BlockMaskShape &shape, const Meets &meets);
  BlockMask(const BlockMaskShape &shape, const BlockSparsity &sparsity);

  const BlockMaskShape &shape() const { return shape_; }
  /// Exact number of (query, key) pairs that mask `mask` admits, causal or not as the shape says.
  std::int64_t pairs(std::int64_t mask) const { return pairs_[static_cast<std::size_t>(mask)]; }
  /// Pairs of all batch entries and heads.
  double pairs_of(std::int64_t batch, std::int64_t query_heads) const;
  /// Share of the pairs that dense attention under the same causal mask has; 1 when that has none.
  double density() const;
  /// Bytes of the lists on the device: of key ranges alone, and of all.
  std::int64_t key_list_bytes() const;
  std::int64_t bytes() const;

  BlockLists<KeyRange> key_lists() const;
  BlockLists<RowRange> row_lists() const;

private:
  template <class Range> struct Lists {
    Kokkos::View<Range *, MemorySpace> ranges;
    Kokkos::View<std::int64_t *, MemorySpace> offset;
  };
  template <class Range> void make_lists(Lists<Range> &lists, bool transposed, const Meets &meets) const;
  template <class Range> BlockLists<Range> read(const Lists<Range> &lists, std::int64_t blocks) const;
  bool exists(std::int64_t query_block, std::int64_t key_block) const;
  void count_pairs(const Meets &meets);

  BlockMaskShape shape_;
  Lists<KeyRange> keys_;
  Lists<RowRange> rows_;
  std::vector<std::int64_t> pairs_;
};

/// Whether sparsity lets query block a of the sequence meet key block b.
bool meets(const BlockSparsity &sparsity, std::int64_t reach_blocks, std::int64_t query_block, std::int64_t key_block);

} // namespace ringscale::kernels
