// SPDX-License-Identifier: Apache-2.0
// Exact pair counts of patterns without a loop over tokens: sums of clamped arithmetic series.
#include <algorithm>
#include <string>

#include "problem/invalid_input.hpp"
#include "problem/pattern.hpp"

namespace ringscale::problem {

namespace {

/// Sum of clamp(first + k * step, 0, high) over k = 0 .. count - 1, for step > 0 and high >= 0.
std::int64_t clamped_series(std::int64_t first, std::int64_t step, std::int64_t count, std::int64_t high) {
  if (count <= 0) {
    return 0;
  }
  const auto terms_below = [&](std::int64_t limit) { // terms < limit
    return limit <= first ? 0 : std::min(count, (limit - first + step - 1) / step);
  };
  const std::int64_t negative = terms_below(0);
  const std::int64_t below_high = std::max(negative, terms_below(high));
  const std::int64_t inner = below_high - negative;
  // The inner terms are an arithmetic series; its sum is the mean of its ends times its length.
  const std::int64_t first_inner = first + negative * step;
  const std::int64_t last_inner = first + (below_high - 1) * step;
  const std::int64_t twice = inner == 0 ? 0 : (first_inner + last_inner) * inner;
  return twice / 2 + (count - below_high) * high;
}

/// Sum over rows x = 0 .. rows - 1 of min(x + 1, keys): a causal mask where both start at one position.
std::int64_t triangle(std::int64_t rows, std::int64_t keys) {
  const std::int64_t rising = std::min(rows, keys);
  return rising * (rising + 1) / 2 + (rows - rising) * keys;
}

/// Pairs of `rows` and `keys` that start at one position and have one stride.
std::int64_t pairs_of(std::int64_t rows, std::int64_t keys, Mask mask) {
  return mask == Mask::causal ? triangle(rows, keys) : rows * keys;
}

/// Tokens 0 .. length - 1 that are `phase` modulo `rate`.
std::int64_t tokens_at_phase(std::int64_t length, std::int64_t rate, std::int64_t phase) {
  return length <= phase ? 0 : (length - phase + rate - 1) / rate;
}

std::int64_t group_pairs(std::int64_t segment, std::int64_t rate, std::int64_t phase, Mask mask,
                         std::int64_t query_tokens, std::int64_t key_tokens) {
  const std::int64_t whole = std::min(query_tokens, key_tokens) / segment; // segments whole on both sides
  const std::int64_t tokens = tokens_at_phase(segment, rate, phase);
  const auto tokens_of_last = [&](std::int64_t all) {
    return tokens_at_phase(std::min(segment, all - whole * segment), rate, phase);
  };
  return whole * (whole == 0 ? 0 : pairs_of(tokens, tokens, mask)) +
         pairs_of(tokens_of_last(query_tokens), tokens_of_last(key_tokens), mask);
}

std::int64_t dilated_pairs(const DilatedPattern &pattern, Mask mask, std::int64_t query_tokens, std::int64_t key_tokens,
                           std::int64_t query_heads, std::int64_t head) {
  std::int64_t pairs = 0;
  const auto groups = static_cast<std::int64_t>(pattern.segment_lengths.size());
  for (std::int64_t group = 0; group < groups; ++group) {
    const std::int64_t rate = pattern.dilation_rates[static_cast<std::size_t>(group)];
    std::int64_t phase = group % rate;
    if (pattern.convention == DilationConvention::split) {
      const HeadRun run = split_head_run(query_heads, groups, group);
      if (head < run.begin || head >= run.end) {
        continue;
      }
    } else if (pattern.convention == DilationConvention::longnet) {
      phase = head % rate;
    } else {
      phase = head / ((query_heads + rate - 1) / rate);
    }
    pairs += group_pairs(pattern.segment_lengths[static_cast<std::size_t>(group)], rate, phase, mask, query_tokens,
                         key_tokens);
  }
  return pairs;
}

/// Block pairs (a, b), a < query_blocks and b < key_blocks, that a pattern admits; below the diagonal only (b < a)
/// for causal, whose diagonal blocks are triangles and counted apart.
std::int64_t block_pairs(const BlockSparsePattern &pattern, Mask mask, std::int64_t query_blocks,
                         std::int64_t key_blocks) {
  const bool causal = mask == Mask::causal;
  const std::int64_t reach = pattern.window_tokens / pattern.block_tokens;
  const std::int64_t stride = pattern.kind == BlockSparseKind::dilated ? pattern.stride_blocks : 1;
  // Diagonals a - b = stride * k, from the lowest block pair to the uppermost; further ones are empty.
  const std::int64_t most = std::min(reach, std::max(query_blocks, key_blocks)) / stride;
  const std::int64_t least = causal ? 1 : -most;
  const std::int64_t diagonals = most - least + 1;
  std::int64_t pairs = clamped_series(query_blocks - stride * most, stride, diagonals, key_blocks) -
                       clamped_series(-stride * most, stride, diagonals, key_blocks);
  if (pattern.kind == BlockSparseKind::hierarchical) {
    // Blocks b = 0, stride, ... are met by every row; those in the window have been counted.
    const std::int64_t step = pattern.stride_blocks;
    const std::int64_t shared = (key_blocks + step - 1) / step;
    const std::int64_t window = std::min(reach, std::max(query_blocks, key_blocks));
    const std::int64_t everywhere =
        shared * query_blocks - (causal ? clamped_series(1, step, shared, query_blocks) : 0);
    const std::int64_t in_window = clamped_series(window + 1, step, shared, query_blocks) -
                                   clamped_series(causal ? 1 : -window, step, shared, query_blocks);
    pairs += everywhere - in_window;
  }
  return pairs;
}

/// Token pairs from block pairs: whole blocks on both sides, then what the short last blocks add.
std::int64_t block_sparse_pairs(const BlockSparsePattern &pattern, Mask mask, std::int64_t query_tokens,
                                std::int64_t key_tokens) {
  const std::int64_t block = pattern.block_tokens;
  const std::int64_t rows = query_tokens / block;
  const std::int64_t columns = key_tokens / block;
  const std::int64_t last_rows = query_tokens % block;
  const std::int64_t last_keys = key_tokens % block;
  const auto count = [&](std::int64_t a, std::int64_t b) { return block_pairs(pattern, mask, a, b); };
  const std::int64_t whole = count(rows, columns);
  const std::int64_t with_last_row = count(rows + 1, columns);
  const std::int64_t with_last_column = count(rows, columns + 1);
  const std::int64_t with_both = count(rows + 1, columns + 1);
  std::int64_t pairs = block * block * whole + block * last_rows * (with_last_row - whole) +
                       block * last_keys * (with_last_column - whole) +
                       last_rows * last_keys * (with_both - with_last_row - with_last_column + whole);
  if (mask == Mask::causal) {
    const std::int64_t diagonal = std::min(rows, columns);
    pairs += diagonal * triangle(block, block) +
             triangle(diagonal < rows ? block : last_rows, diagonal < columns ? block : last_keys);
  }
  return pairs;
}

/// Own block if it exists, and others up to kept_blocks.
std::int64_t adaptive_pairs(const BlockSparsePattern &pattern, Mask mask, std::int64_t query_tokens,
                            std::int64_t key_tokens) {
  const std::int64_t block = pattern.block_tokens;
  const std::int64_t key_blocks = (key_tokens + block - 1) / block;
  const bool short_block_undecided = key_tokens % block != 0 && pattern.kept_blocks < key_blocks &&
                                     (mask == Mask::none || query_tokens > key_blocks * block);
  if (short_block_undecided) {
    throw InvalidInput("key tokens (" + std::to_string(key_tokens) + ") are no multiple of block_tokens (" +
                       std::to_string(block) +
                       "), so the pairs of adaptive blocks depend on the data; count them from the mask");
  }
  const std::int64_t kept = std::min(pattern.kept_blocks, key_blocks);
  if (mask == Mask::none) {
    return query_tokens * (kept == key_blocks ? key_tokens : kept * block);
  }
  // Row block a keeps min(kept, a + 1) blocks: its own triangle and whole earlier ones.
  BlockSparsePattern window = pattern;
  window.kind = BlockSparseKind::local_window;
  window.window_tokens = (kept - 1) * block;
  const std::int64_t within = std::min(query_tokens, key_blocks * block);
  std::int64_t pairs = block_sparse_pairs(window, mask, within, key_tokens);
  if (query_tokens > within) { // rows behind the last key block have no block of their own
    pairs += (query_tokens - within) * (kept == key_blocks ? key_tokens : kept * block);
  }
  return pairs;
}

} // namespace

std::int64_t admitted_pairs(const Pattern &pattern, Mask mask, std::int64_t query_tokens, std::int64_t key_tokens,
                            std::int64_t query_heads, std::int64_t head) {
  if (std::max(query_tokens, key_tokens) > (std::int64_t{1} << 31)) {
    throw InvalidInput("exact pair counts stop at 2^31 tokens; use fewer query or key tokens");
  }
  switch (pattern.kind) {
  case PatternKind::dense:
    return pairs_of(query_tokens, key_tokens, mask);
  case PatternKind::dilated:
    return dilated_pairs(pattern.dilated, mask, query_tokens, key_tokens, query_heads, head);
  case PatternKind::block_sparse:
    return pattern.block_sparse.kind == BlockSparseKind::adaptive
               ? adaptive_pairs(pattern.block_sparse, mask, query_tokens, key_tokens)
               : block_sparse_pairs(pattern.block_sparse, mask, query_tokens, key_tokens);
  }
  throw InvalidInput("unknown pattern");
}

double admitted_pairs_of_spans(const Pattern &pattern, Mask mask, const TokenSpan &queries, const TokenSpan &keys,
                               std::int64_t layer_heads, std::int64_t first_head, std::int64_t heads) {
  if (queries.stride != 1 || keys.stride != 1) {
    throw InvalidInput("pairs of a pattern are counted for spans of consecutive tokens only");
  }
  if (pattern.kind == PatternKind::block_sparse && pattern.block_sparse.kind == BlockSparseKind::adaptive) {
    throw InvalidInput("which pairs of two spans adaptive blocks admit only data decides");
  }
  const auto beginnings = [&](std::int64_t query_tokens, std::int64_t key_tokens, std::int64_t head) {
    return query_tokens == 0 || key_tokens == 0
               ? std::int64_t{0}
               : admitted_pairs(pattern, mask, query_tokens, key_tokens, layer_heads, head);
  };
  const std::int64_t query_end = queries.begin + queries.count;
  const std::int64_t key_end = keys.begin + keys.count;
  // Heads differ in dilated patterns only.
  const std::int64_t counted = pattern.kind == PatternKind::dilated ? heads : 1;
  double pairs = 0.0;
  for (std::int64_t head = first_head; head < first_head + counted; ++head) {
    pairs += static_cast<double>(beginnings(query_end, key_end, head) - beginnings(queries.begin, key_end, head) -
                                 beginnings(query_end, keys.begin, head) + beginnings(queries.begin, keys.begin, head));
  }
  return counted == heads ? pairs : pairs * static_cast<double>(heads);
}

double admitted_pairs_of_all_heads(const Pattern &pattern, Mask mask, std::int64_t query_tokens,
                                   std::int64_t key_tokens, std::int64_t query_heads) {
  double pairs = 0.0;
  for (std::int64_t head = 0; head < query_heads; ++head) {
    pairs += static_cast<double>(admitted_pairs(pattern, mask, query_tokens, key_tokens, query_heads, head));
  }
  return pairs;
}

} // namespace ringscale::problem
