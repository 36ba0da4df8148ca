// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/reference_weighted.hpp"

namespace ringscale::kernels {

/// An explicit boolean mask, nonzero = admit: [batch or 1, query_heads or 1, query tokens, key tokens].
using BooleanMask = Kokkos::View<const std::uint8_t ****, Kokkos::LayoutRight, MemorySpace, Unmanaged>;

/// Attention over the pairs that `mask` admits, by definition in double precision; a row that admits none gives
/// output 0 and log-sum-exp -infinity. Asynchronous on `space`; throws std::invalid_argument on shapes that do not fit.
void reference_masked_attention(const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key, ConstTensor4 value,
                                const BooleanMask &mask, double scale, ReferenceTensor4 output,
                                ReferenceTensor3 log_sum_exp);

/// Its exact derivative, from the log-sum-exps of the forward.
void reference_masked_gradient(const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key, ConstTensor4 value,
                               ConstTensor4 output_gradient, const BooleanMask &mask, double scale,
                               ReferenceTensor3 log_sum_exp, const ReferenceGradient &gradient);

} // namespace ringscale::kernels
