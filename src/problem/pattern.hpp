// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "problem/attention_problem.hpp"
#include "problem/token_span.hpp"

namespace ringscale::problem {

enum class PatternKind { dense, dilated, block_sparse };

/// Which heads a group of dilated attention has, and at which phase each of them starts in a segment; G groups, H
/// query heads, rate r of group g.
enum class DilationConvention {
  split,          ///< G consecutive runs of heads, the first H mod G one head longer; phase g mod r
  longnet,        ///< all heads in all groups; phase h mod r
  longnet_blocked ///< all heads in all groups; phase h / ceil(H / r)
};

/// Group g cuts the sequence into segments of segment_lengths[g] tokens and admits, inside a segment, the tokens
/// whose place there is the phase modulo dilation_rates[g].
struct DilatedPattern {
  std::vector<std::int64_t> segment_lengths;
  std::vector<std::int64_t> dilation_rates;
  DilationConvention convention = DilationConvention::split;
};

enum class BlockSparseKind { local_window, dilated, hierarchical, adaptive };

/// Query i lies in block a = i / block_tokens, key j in block b = j / block_tokens; whole blocks are admitted.
struct BlockSparsePattern {
  BlockSparseKind kind = BlockSparseKind::local_window;
  std::int64_t block_tokens = 64; ///< a multiple of block_token_granularity
  std::int64_t window_tokens =
      512;                        ///< reach to either side of a's own block; a multiple of block_tokens (not adaptive)
  std::int64_t stride_blocks = 4; ///< dilated: (a - b) mod stride = 0; hierarchical: b mod stride = 0 is met by all
  std::int64_t kept_blocks = 8;   ///< adaptive: own block and the kept_blocks - 1 others of highest pooled score
};

/// Blocks are whole key tiles of the kernels.
inline constexpr std::int64_t block_token_granularity = 64;

struct Pattern {
  PatternKind kind = PatternKind::dense;
  DilatedPattern dilated;          ///< read when kind is dilated
  BlockSparsePattern block_sparse; ///< read when kind is block_sparse
};

/// Throws InvalidInput naming the first field that is out of range or does not fit the others, and what would be
/// right. Segments may be longer than the sequence and need not divide it; rates need not divide segments.
void validate(const Pattern &pattern);

/// How many groups admit key position `key` for query position `query` of query head `head`, by the one formula that
/// everything else is tested against; dense and block-sparse patterns give 0 or 1. Throws InvalidInput for adaptive
/// blocks, which only data decides.
std::int64_t multiplicity(const Pattern &pattern, Mask mask, std::int64_t query_heads, std::int64_t head,
                          std::int64_t query, std::int64_t key);

/// Exact sum of the multiplicities of one head over all queries and keys, in constant time per group (not per
/// token). Queries stand at positions 0 .. query_tokens - 1, keys at 0 .. key_tokens - 1. Throws InvalidInput above
/// 2^31 tokens, and for adaptive blocks without a mask whose last key block is short: which rows keep that one only
/// data decides.
std::int64_t admitted_pairs(const Pattern &pattern, Mask mask, std::int64_t query_tokens, std::int64_t key_tokens,
                            std::int64_t query_heads, std::int64_t head);

/// The same, summed over all query heads; the work of a layer is 4 head_dim batch times this.
double admitted_pairs_of_all_heads(const Pattern &pattern, Mask mask, std::int64_t query_tokens,
                                   std::int64_t key_tokens, std::int64_t query_heads);

/// Pairs of two spans of consecutive positions (stride 1), summed over query heads first_head .. first_head + heads - 1
/// of a layer of `layer_heads`; from four counts of whole beginnings, so constant time and the same limits. Throws
/// InvalidInput also for spans of another stride and for adaptive blocks.
double admitted_pairs_of_spans(const Pattern &pattern, Mask mask, const TokenSpan &queries, const TokenSpan &keys,
                               std::int64_t layer_heads, std::int64_t first_head, std::int64_t heads);

/// The heads [begin, end) of run `group` when `query_heads` are split into `groups` runs.
struct HeadRun {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};
HeadRun split_head_run(std::int64_t query_heads, std::int64_t groups, std::int64_t group);

std::string_view name(PatternKind kind);
std::string_view name(DilationConvention convention);
std::string_view name(BlockSparseKind kind);
/// Parse a word of the command line or of JSON; throws InvalidInput listing the words allowed.
PatternKind parse_pattern_kind(std::string_view word);
DilationConvention parse_dilation_convention(std::string_view word);
BlockSparseKind parse_block_sparse_kind(std::string_view word);

} // namespace ringscale::problem
