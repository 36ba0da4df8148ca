// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/attention_block.hpp"
#include "problem/attention_problem.hpp"

namespace ringscale::ring {

/// Work between two looks at the network: about 1.5 ms of one host thread at 100 GFLOP/s. A constant, not a measured
/// speed, so that a run is cut the same way every time.
inline constexpr double slice_flop_per_thread = 1.5e8;

/// Query rows of one slice against `key_tokens` keys: whole query tiles, at least one.
inline std::int64_t slice_rows(const problem::AttentionProblem &attention, std::int64_t key_tokens, int threads) {
  const double row_flop = problem::forward_flop(attention, static_cast<double>(std::max<std::int64_t>(key_tokens, 1)));
  const auto tiles =
      static_cast<std::int64_t>(slice_flop_per_thread * threads / (row_flop * kernels::query_tile_tokens));
  return std::max<std::int64_t>(tiles, 1) * kernels::query_tile_tokens;
}

/// The same for a backward pass, which packs the keys anew for every slice, each head by one thread: longer ones, so
/// that this stays a few percent of the work; several threads take more rows at once anyway.
inline std::int64_t backward_slice_rows(const problem::AttentionProblem &attention, std::int64_t key_tokens,
                                        int threads) {
  const std::int64_t longer = threads > 1 ? 16 : 32;
  return longer * slice_rows(attention, key_tokens, threads);
}

} // namespace ringscale::ring
