// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Macros.hpp>

#include <cstdint>
#include <vector>

namespace ringscale::kernels {

/// Which heads a group has and where they start in a segment (G groups, H query heads, rate r of group g): `split`
/// deals G consecutive runs of heads, the first H mod G one head longer, phase g mod r; `longnet` (Ding et al. 2023,
/// section 2.3) gives every group all heads, phase h mod r; `longnet_blocked` the same with phase h / ceil(H / r).
enum class DilationConvention { split, longnet, longnet_blocked };

/// Group g admits a pair of tokens that lie in one segment of segment_lengths[g] tokens and whose places there are
/// both the phase modulo dilation_rates[g]. Rates and lengths are positive, as many of one as of the other.
struct Dilation {
  std::vector<std::int64_t> segment_lengths;
  std::vector<std::int64_t> dilation_rates;
  DilationConvention convention = DilationConvention::split;
  /// Where the tensors have some heads of a layer only: heads of the whole layer (0: those of the tensors), and which
  /// of them is the tensors' first.
  std::int64_t layer_heads = 0;
  std::int64_t first_head = 0;
};

/// One group, in the form that kernels take along.
struct DilatedGroup {
  std::int64_t segment_tokens = 1;
  std::int64_t rate = 1;
  std::int64_t head_begin = 0; ///< the group has query heads [head_begin, head_end)
  std::int64_t head_end = 0;
  std::int64_t first_phase = 0;
  std::int64_t heads_per_phase = 1; ///< neighbouring heads that share a phase
  std::int64_t head_offset = 0;     ///< heads of the layer before the tensors' first

  /// Runs of heads that share a phase, before that of `head`.
  KOKKOS_INLINE_FUNCTION std::int64_t phase_run(std::int64_t head) const {
    return (head + head_offset) / heads_per_phase;
  }
  KOKKOS_INLINE_FUNCTION std::int64_t phase(std::int64_t head) const { return (first_phase + phase_run(head)) % rate; }
};

/// The groups of `dilation` that have a head, in order. Throws std::invalid_argument naming what is wrong.
std::vector<DilatedGroup> dilated_groups(const Dilation &dilation, std::int64_t query_heads);

/// Tokens first, first + rate, ... of a tensor: those of one phase in one segment that the tensor has.
struct StridedTokens {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

/// The tokens of a tensor whose token 0 stands at position `origin`.
struct TokenWindow {
  std::int64_t origin = 0;
  std::int64_t tokens = 0;

  KOKKOS_INLINE_FUNCTION StridedTokens in_segment(const DilatedGroup &group, std::int64_t segment,
                                                  std::int64_t phase) const {
    const std::int64_t segment_begin = segment * group.segment_tokens;
    const std::int64_t segment_end = segment_begin + group.segment_tokens;
    const std::int64_t end = origin + tokens < segment_end ? origin + tokens : segment_end;
    std::int64_t position = segment_begin + phase;
    if (position < origin) {
      position += (origin - position + group.rate - 1) / group.rate * group.rate;
    }
    return {position - origin, position < end ? (end - position + group.rate - 1) / group.rate : 0};
  }
  /// Most tokens that any segment and phase have here.
  KOKKOS_INLINE_FUNCTION std::int64_t most_in_segment(const DilatedGroup &group) const {
    const std::int64_t most = tokens < group.segment_tokens ? tokens : group.segment_tokens;
    return (most + group.rate - 1) / group.rate;
  }
};

/// The segments in which both queries and keys have tokens: [begin, end).
struct SegmentRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  KOKKOS_INLINE_FUNCTION std::int64_t count() const { return end - begin; }
};
SegmentRange shared_segments(const DilatedGroup &group, const TokenWindow &queries, const TokenWindow &keys);

} // namespace ringscale::kernels
