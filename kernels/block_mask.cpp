// SPDX-License-Identifier: Apache-2.0
#include "kernels/block_mask.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/packed_key_value.hpp"

namespace ringscale::kernels {

namespace {

void require(bool condition, const std::string &message) {
  if (!condition) {
    throw std::invalid_argument("block mask: " + message);
  }
}

void check(const BlockMaskShape &shape) {
  require(shape.block_tokens > 0 && shape.block_tokens % key_tile_tokens == 0,
          "block_tokens " + std::to_string(shape.block_tokens) + " is no positive multiple of " +
              std::to_string(key_tile_tokens));
  require(std::min(shape.query_tokens, shape.key_tokens) >= 0 &&
              std::max(shape.query_tokens, shape.key_tokens) <= std::numeric_limits<std::int32_t>::max(),
          "tokens are out of range");
  require(shape.query_origin >= 0 && shape.query_origin % shape.block_tokens == 0 && shape.key_origin >= 0 &&
              shape.key_origin % shape.block_tokens == 0,
          "origins " + std::to_string(shape.query_origin) + " and " + std::to_string(shape.key_origin) +
              " are no multiples of block_tokens");
  require(shape.batch_masks > 0 && shape.head_masks > 0, "there is no mask");
}

/// Number of pairs of `rows` consecutive positions from `row` on and `keys` from `key` on.
std::int64_t block_pairs(bool causal, std::int64_t row, std::int64_t rows, std::int64_t key, std::int64_t keys) {
  return admitted_pairs(Admission{causal, row, 1, key, 1}, 0, rows, keys);
}

template <class Element> Kokkos::View<Element *, MemorySpace> on_device(const std::vector<Element> &values) {
  const Kokkos::View<Element *, MemorySpace> device("block mask", values.size());
  const Kokkos::View<const Element *, Kokkos::HostSpace, Unmanaged> host(values.data(), values.size());
  Kokkos::deep_copy(device, host);
  return device;
}

BlockMask::Meets rule_of(const BlockMaskShape &shape, const BlockSparsity &sparsity) {
  require(sparsity.window_tokens >= 0 && sparsity.stride_blocks > 0,
          "window_tokens must not be negative and stride_blocks must be positive");
  require(shape.block_tokens > 0 && sparsity.window_tokens % shape.block_tokens == 0,
          "window_tokens " + std::to_string(sparsity.window_tokens) + " is no multiple of block_tokens");
  const std::int64_t reach = sparsity.window_tokens / shape.block_tokens;
  const std::int64_t first_query_block = shape.query_origin / shape.block_tokens;
  const std::int64_t first_key_block = shape.key_origin / shape.block_tokens;
  return [=](std::int64_t, std::int64_t query_block, std::int64_t key_block) {
    return meets(sparsity, reach, first_query_block + query_block, first_key_block + key_block);
  };
}

} // namespace

bool meets(const BlockSparsity &sparsity, std::int64_t reach_blocks, std::int64_t query_block, std::int64_t key_block) {
  const std::int64_t distance = query_block - key_block;
  const bool near = (distance < 0 ? -distance : distance) <= reach_blocks;
  switch (sparsity.kind) {
  case BlockKind::local_window:
    return near;
  case BlockKind::dilated:
    return near && distance % sparsity.stride_blocks == 0;
  case BlockKind::hierarchical:
    return near || key_block % sparsity.stride_blocks == 0;
  }
  return false;
}

BlockMask::BlockMask(const BlockMaskShape &shape, const BlockSparsity &sparsity)
    : BlockMask(shape, rule_of(shape, sparsity)) {}

BlockMask::BlockMask(const BlockMaskShape &shape, const Meets &meets) : shape_(shape) {
  check(shape);
  make_lists(keys_, false, meets);
  make_lists(rows_, true, meets);
  count_pairs(meets);
}

bool BlockMask::exists(std::int64_t query_block, std::int64_t key_block) const {
  const std::int64_t last_row = std::min((query_block + 1) * shape_.block_tokens, shape_.query_tokens) - 1;
  return !shape_.causal || shape_.key_origin + key_block * shape_.block_tokens <= shape_.query_origin + last_row;
}

template <class Range> void BlockMask::make_lists(Lists<Range> &lists, bool transposed, const Meets &meets) const {
  const std::int64_t listed = transposed ? shape_.key_blocks() : shape_.query_blocks();
  const std::int64_t met = transposed ? shape_.query_blocks() : shape_.key_blocks();
  const std::int64_t tokens = transposed ? shape_.query_tokens : shape_.key_tokens;
  std::vector<Range> ranges;
  std::vector<std::int64_t> offset{0};
  for (std::int64_t mask = 0; mask < shape_.masks(); ++mask) {
    for (std::int64_t block = 0; block < listed; ++block) {
      for (std::int64_t other = 0; other < met; ++other) {
        const std::int64_t query_block = transposed ? other : block;
        const std::int64_t key_block = transposed ? block : other;
        if (!exists(query_block, key_block) || !meets(mask, query_block, key_block)) {
          continue;
        }
        const std::int64_t begin = other * shape_.block_tokens;
        const auto end = static_cast<std::int32_t>(std::min(begin + shape_.block_tokens, tokens));
        const bool continues = static_cast<std::int64_t>(ranges.size()) > offset.back() && ranges.back().end == begin;
        if (continues) {
          ranges.back().end = end;
        } else {
          ranges.push_back({static_cast<std::int32_t>(begin), end});
        }
      }
      offset.push_back(static_cast<std::int64_t>(ranges.size()));
    }
  }
  lists.ranges = on_device(ranges);
  lists.offset = on_device(offset);
}

void BlockMask::count_pairs(const Meets &meets) {
  for (std::int64_t mask = 0; mask < shape_.masks(); ++mask) {
    std::int64_t pairs = 0;
    for (std::int64_t query_block = 0; query_block < shape_.query_blocks(); ++query_block) {
      const std::int64_t row = query_block * shape_.block_tokens;
      const std::int64_t rows = std::min(shape_.block_tokens, shape_.query_tokens - row);
      for (std::int64_t key_block = 0; key_block < shape_.key_blocks(); ++key_block) {
        if (exists(query_block, key_block) && meets(mask, query_block, key_block)) {
          const std::int64_t key = key_block * shape_.block_tokens;
          const std::int64_t first_row = shape_.query_origin + row;
          const std::int64_t first_key = shape_.key_origin + key;
          const std::int64_t keys = std::min(shape_.block_tokens, shape_.key_tokens - key);
          const bool diagonal = shape_.causal && first_key + keys > first_row;
          pairs += diagonal ? block_pairs(true, first_row, rows, first_key, keys) : rows * keys;
        }
      }
    }
    pairs_.push_back(pairs);
  }
}

double BlockMask::pairs_of(std::int64_t batch, std::int64_t query_heads) const {
  double sum = 0.0;
  for (const std::int64_t pairs : pairs_) {
    sum += static_cast<double>(pairs);
  }
  return sum * static_cast<double>(batch / shape_.batch_masks * (query_heads / shape_.head_masks));
}

double BlockMask::density() const {
  const auto dense = static_cast<double>(
      block_pairs(shape_.causal, shape_.query_origin, shape_.query_tokens, shape_.key_origin, shape_.key_tokens));
  return dense == 0.0 ? 1.0
                      : pairs_of(shape_.batch_masks, shape_.head_masks) / static_cast<double>(shape_.masks()) / dense;
}

std::int64_t BlockMask::key_list_bytes() const {
  return static_cast<std::int64_t>(keys_.ranges.size() * sizeof(KeyRange) + keys_.offset.size() * sizeof(std::int64_t));
}

std::int64_t BlockMask::bytes() const {
  return key_list_bytes() +
         static_cast<std::int64_t>(rows_.ranges.size() * sizeof(RowRange) + rows_.offset.size() * sizeof(std::int64_t));
}

template <class Range> BlockLists<Range> BlockMask::read(const Lists<Range> &lists, std::int64_t blocks) const {
  return {lists.ranges.data(), lists.offset.data(), blocks, shape_.batch_masks > 1 ? shape_.head_masks : 0,
          shape_.head_masks > 1 ? 1 : 0};
}

BlockLists<KeyRange> BlockMask::key_lists() const { return read(keys_, shape_.query_blocks()); }
BlockLists<RowRange> BlockMask::row_lists() const { return read(rows_, shape_.key_blocks()); }

} // namespace ringscale::kernels
