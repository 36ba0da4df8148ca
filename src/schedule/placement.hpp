// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "problem/token_span.hpp"

namespace ringscale::schedule {

/// Which tokens a rank owns. contiguous: one run of tokens. zigzag: chunks r and 2P-1-r of 2P (Zhu, ring-flash-
/// attention). striped: tokens r, r+P, ... (Brandon et al. 2023). replicated_queries: every rank owns all queries,
/// keys and values are contiguous runs.
enum class Placement { contiguous, zigzag, striped, replicated_queries };

std::string_view name(Placement placement);
Placement parse_placement(std::string_view word);

/// How the runs of a placement are cut. Runs begin at multiples of granule_tokens (a block-sparse pattern needs whole
/// blocks) and are as equal as that allows, or in proportion to the speed of their rank (heterogeneous ring).
struct ChunkShape {
  std::int64_t granule_tokens = 1;
  /// Sums of the weights of ranks 0 .. r, one entry a rank; empty: all alike. See weighted_chunks.
  std::vector<double> weight_sums;

  bool weighted() const { return !weight_sums.empty(); }
};

/// Chunks in proportion to `weights`, one positive number a rank: every run has one granule, and the others are dealt
/// by the rounded sums of the weights, so a run is within one granule of its share of these. Throws InvalidInput.
ChunkShape weighted_chunks(const std::vector<double> &weights, std::int64_t granule_tokens = 1);

/// Query tokens and key/value tokens of `rank` of `ring_size`; any ring_size, also one that does not divide the
/// tokens (runs then differ by one granule, the first ones are longer). Constant time. Throws InvalidInput when
/// ring_size < 1, rank is outside the ring, there are fewer granules than runs or not as many weights as ranks, or
/// stripes are asked for in granules or by weight.
problem::TokenSet query_tokens(Placement placement, std::int64_t tokens, std::int64_t ring_size, std::int64_t rank,
                               const ChunkShape &shape = {});
problem::TokenSet key_tokens(Placement placement, std::int64_t tokens, std::int64_t ring_size, std::int64_t rank,
                             const ChunkShape &shape = {});

/// Ranks among which is one that owns the longest first span, one with the longest second span, and one with the most
/// tokens, whole or padded span by span: what buffers are sized for. All ranks when chunks are weighted.
std::vector<std::int64_t> ranks_with_most_tokens(std::int64_t ring_size, const ChunkShape &shape = {});

/// Most key/value tokens any rank owns.
std::int64_t most_key_tokens(Placement placement, std::int64_t tokens, std::int64_t ring_size,
                             const ChunkShape &shape = {});

} // namespace ringscale::schedule
