// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/types.hpp"

namespace ringscale::kernels {

/// Some tokens and heads of a tensor, of all batch entries.
struct HeadRegion {
  std::int64_t first_token = 0;
  std::int64_t first_head = 0;
};

/// Copies tokens x heads (all batch entries and dimensions) of `source` to `destination`, each from its own corner: how
/// ranks that exchange heads for tokens gather and scatter them. Asynchronous on `space`; throws std::invalid_argument
/// when a region leaves its tensor or batch or head_dim differ.
void copy_heads(const ExecutionSpace &space, ConstTensor4 source, const HeadRegion &from, Tensor4 destination,
                const HeadRegion &to, std::int64_t tokens, std::int64_t heads);

} // namespace ringscale::kernels
