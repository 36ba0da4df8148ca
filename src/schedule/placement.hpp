// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "problem/token_span.hpp"

namespace ringscale::schedule {

/// Which tokens a rank owns. contiguous: one run of tokens. zigzag: chunks r and 2P-1-r of 2P (Zhu, ring-flash-
/// attention). striped: tokens r, r+P, ... (Brandon et al. 2023). replicated_queries: every rank owns all queries,
/// keys and values are contiguous runs.
enum class Placement { contiguous, zigzag, striped, replicated_queries };

std::string_view name(Placement placement);
Placement parse_placement(std::string_view word);

/// Query tokens and key/value tokens of `rank` of `ring_size`; any ring_size, also one that does not divide the
/// tokens (runs then differ by one token, the first ones are longer). Throws InvalidInput when ring_size < 1,
/// rank is outside the ring, or tokens < ring_size.
problem::TokenSet query_tokens(Placement placement, std::int64_t tokens, std::int64_t ring_size, std::int64_t rank);
problem::TokenSet key_tokens(Placement placement, std::int64_t tokens, std::int64_t ring_size, std::int64_t rank);

/// Most key/value tokens any rank owns: what buffers are sized for.
std::int64_t most_key_tokens(Placement placement, std::int64_t tokens, std::int64_t ring_size);

} // namespace ringscale::schedule
