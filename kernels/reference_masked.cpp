// SPDX-License-Identifier: Apache-2.0
#include "kernels/reference_masked.hpp"

namespace ringscale::kernels {

namespace {

struct MaskAdmits {
  BooleanMask mask;

  KOKKOS_FUNCTION int operator()(int batch, int head, int row, int token) const {
    return mask(mask.extent_int(0) > 1 ? batch : 0, mask.extent_int(1) > 1 ? head : 0, row, token) != 0 ? 1 : 0;
  }
};

void check(ConstTensor4 query, ConstTensor4 key, const BooleanMask &mask) {
  reference::require_shapes((mask.extent(0) == 1 || mask.extent(0) == query.extent(0)) &&
                                (mask.extent(1) == 1 || mask.extent(1) == query.extent(2)) &&
                                mask.extent(2) == query.extent(1) && mask.extent(3) == key.extent(1),
                            "reference attention under a mask");
}

} // namespace

void reference_masked_attention(const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key, ConstTensor4 value,
                                const BooleanMask &mask, double scale, ReferenceTensor4 output,
                                ReferenceTensor3 log_sum_exp) {
  Kokkos::Profiling::ScopedRegion region("ringscale::reference_masked_attention");
  check(query, key, mask);
  reference::weighted_attention(space, query, key, value, MaskAdmits{mask}, scale, output, log_sum_exp);
}

void reference_masked_gradient(const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key, ConstTensor4 value,
                               ConstTensor4 output_gradient, const BooleanMask &mask, double scale,
                               ReferenceTensor3 log_sum_exp, const ReferenceGradient &gradient) {
  Kokkos::Profiling::ScopedRegion region("ringscale::reference_masked_gradient");
  check(query, key, mask);
  reference::weighted_attention_gradient(space, query, key, value, output_gradient, MaskAdmits{mask}, scale,
                                         log_sum_exp, gradient);
}

} // namespace ringscale::kernels
