// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "kernels/dilated_attention.hpp"

namespace ringscale::kernels {

/// How tokens of a run are addressed: by first token and stride (no list), or by lists of token indices through which
/// rows are gathered into compact tensors first (index-select), made once and kept or made in every call.
enum class DilatedIndices { strided, cached, computed };

/// How the output begins: allocated as zeros, or allocated without values and filled with zeros afterwards.
enum class OutputStart { zeros, empty_then_fill };

/// How a group's rows reach the output: joined where they lie, or by way of a whole tensor of the group's own that is
/// cleared, filled and merged.
enum class OutputJoin { in_place, copied };

/// Whether a group's heads go through the kernels together, as a range, or one by one.
enum class HeadLoop { ranges, one_by_one };

/// One way to compute dilated attention; all give the same result. These are the two sides of the documents' claims
/// about cached indices, empty instead of zeros, in-place instead of copies, and vectorised head ranges.
struct DilatedVariant {
  DilatedIndices indices = DilatedIndices::strided;
  OutputStart start = OutputStart::zeros;
  OutputJoin join = OutputJoin::in_place;
  HeadLoop heads = HeadLoop::ranges;
};

using TokenList = Kokkos::View<std::int64_t *, MemorySpace>;

/// Index lists by (segment length, rate, phase, tokens); kept for as long as the cache lives.
class DilatedIndexCache {
public:
  /// The tokens of `phase` in all segments of a group, in order; made on the first request.
  TokenList tokens(const ExecutionSpace &space, const DilatedGroup &group, std::int64_t phase, std::int64_t tokens);
  std::int64_t bytes() const;
  void clear() { lists_.clear(); }

private:
  using Place = std::pair<std::pair<std::int64_t, std::int64_t>, std::pair<std::int64_t, std::int64_t>>;
  std::map<Place, TokenList> lists_;
};

/// A variant's result, and the bytes that the call allocated for it.
struct DilatedVariantResult {
  Kokkos::View<float ****, Kokkos::LayoutRight, MemorySpace> output;
  Kokkos::View<float ***, Kokkos::LayoutRight, MemorySpace> log_sum_exp;
  std::int64_t output_bytes = 0;    ///< output and log-sum-exp
  std::int64_t index_bytes = 0;     ///< index lists, those in the cache included
  std::int64_t gathered_bytes = 0;  ///< compact copies of queries, keys, values, outputs and log-sum-exps
  std::int64_t temporary_bytes = 0; ///< whole tensors of groups, for OutputJoin::copied
};

/// Dilated attention computed as `variant` says, into tensors of its own (those of `attention` are not looked at).
/// `workspace` has dilated_workspace_elements(attention) floats. Needs as many key/value as query heads, origins 0 and
/// equal query and key lengths where indices are lists. Waits for `space`; throws std::invalid_argument on shapes that
/// do not fit.
DilatedVariantResult dilated_attention_variant(const ExecutionSpace &space, DilatedAttention attention,
                                               const DilatedVariant &variant, float *workspace,
                                               DilatedIndexCache &cache);

} // namespace ringscale::kernels
