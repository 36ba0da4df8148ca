// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/dilated_backward.hpp"
#include "kernels/streamed_backward.hpp"

namespace ringscale::kernels {

/// The backward steps of one group: a team has one span of the layout, that is the keys of one phase in one segment of
/// one key/value head, and the rows of all query heads that read them. Spans share neither rows nor keys.
struct DilatedGradientBlocks {
  ConstTensor4 query, key, value, output_gradient;
  ConstTensor3 log_sum_exp, output_dot;
  Tensor4 query_gradient, key_gradient, value_gradient;
  DilatedLayout layout;
  bool causal;

  static DilatedGradientBlocks of(const DilatedBackward &backward, const DilatedLayout &layout) {
    return {backward.query,          backward.key,
            backward.value,          backward.output_gradient,
            backward.log_sum_exp,    backward.output_dot,
            backward.query_gradient, backward.key_gradient,
            backward.value_gradient, layout,
            backward.causal};
  }

  KOKKOS_INLINE_FUNCTION std::int64_t steps(std::int64_t league_rank) const {
    const DilatedSpan span(layout, league_rank);
    return span.slot < layout.used_slots(span.kv_head) && rows_of(span).count > 0 && keys_of(span).count > 0 ? 1 : 0;
  }

  KOKKOS_INLINE_FUNCTION GradientBlock at(std::int64_t league_rank, std::int64_t) const {
    const DilatedSpan span(layout, league_rank);
    const StridedTokens rows = rows_of(span);
    const StridedTokens keys = keys_of(span);
    const std::int64_t rate = layout.group.rate;
    const std::int64_t heads = query.extent_int(2);
    const std::int64_t kv_heads = key.extent_int(2);
    const std::int64_t head_dim = layout.head_dim;

    const std::int64_t kv_head = layout.kv_head_begin + span.kv_head;
    const std::int64_t first_key = ((span.batch * key.extent_int(1) + keys.first) * kv_heads + kv_head) * head_dim;
    GradientBlock step;
    step.key = key.data() + first_key;
    step.value = value.data() + first_key;
    step.key_stride = rate * kv_heads * head_dim;
    step.key_gradient = key_gradient.data() + first_key;
    step.value_gradient = value_gradient.data() + first_key;
    step.key_gradient_stride = step.key_stride;
    step.key_tokens = keys.count;
    step.accumulate = true; // a key may be met by several groups

    const DilatedHeads met = layout.heads_of_slot(span.kv_head, span.slot);
    const std::int64_t first_row = (span.batch * query.extent_int(1) + rows.first) * heads + met.first;
    step.query = query.data() + first_row * head_dim;
    step.output_gradient = output_gradient.data() + first_row * head_dim;
    step.query_stride = rate * heads * head_dim;
    step.query_head_stride = met.stride * head_dim;
    step.log_sum_exp = log_sum_exp.data() + first_row;
    step.output_dot = output_dot.data() + first_row;
    step.log_sum_exp_stride = rate * heads;
    step.log_sum_exp_head_stride = met.stride;
    step.query_gradient = query_gradient.data() + first_row * head_dim;
    step.query_gradient_stride = step.query_stride;
    step.query_gradient_head_stride = step.query_head_stride;
    step.rows = rows.count;
    step.query_heads = met.count;
    step.admission = {causal, layout.queries.origin + rows.first, rate, layout.keys.origin + keys.first, rate};
    step.batch = span.batch;
    step.first_head = met.first;
    return step;
  }

private:
  KOKKOS_INLINE_FUNCTION StridedTokens rows_of(const DilatedSpan &span) const {
    return layout.queries.in_segment(layout.group, layout.segments.begin + span.segment,
                                     layout.slot_phase(span.kv_head, span.slot));
  }
  KOKKOS_INLINE_FUNCTION StridedTokens keys_of(const DilatedSpan &span) const {
    return layout.keys.in_segment(layout.group, layout.segments.begin + span.segment,
                                  layout.slot_phase(span.kv_head, span.slot));
  }
};

/// The streamed backward kernel over one group, with the tile primitives TileOf.
template <template <class> class TileOf>
void launch_dilated_backward(const ExecutionSpace &space, const DilatedBackward &backward,
                             const DilatedLayout &layout) {
  using Kernel = StreamedBackward<TileOf, DilatedGradientBlocks>;
  Kernel::launch(space, "ringscale::dilated_backward", layout.spans(),
                 Kernel{DilatedGradientBlocks::of(backward, layout), layout.head_dim, backward.scale, Dropout{}});
}

} // namespace ringscale::kernels
