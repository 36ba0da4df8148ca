// SPDX-License-Identifier: Apache-2.0
#include "kernels/dilated_layout.hpp"

#include "kernels/admission.hpp"

namespace ringscale::kernels {

std::vector<DilatedLayout> dilated_layouts(const Dilation &dilation, const TokenWindow &queries,
                                           const TokenWindow &keys, std::int64_t batch, std::int64_t query_heads,
                                           std::int64_t kv_heads, std::int64_t head_dim) {
  std::vector<DilatedLayout> layouts;
  for (const DilatedGroup &group : dilated_groups(dilation, query_heads)) {
    layouts.push_back(DilatedLayout::of(group, queries, keys, batch, query_heads, kv_heads, head_dim));
  }
  return layouts;
}

DilatedCounts count_tokens(const DilatedLayout &layout, bool causal) {
  const auto batch = static_cast<double>(layout.batch);
  DilatedCounts counts;
  for (std::int64_t segment = layout.segments.begin; segment < layout.segments.end; ++segment) {
    for (std::int64_t kv_head = 0; kv_head < layout.kv_head_count; ++kv_head) {
      for (std::int64_t slot = 0; slot < layout.used_slots(kv_head); ++slot) {
        const std::int64_t phase = layout.slot_phase(kv_head, slot);
        const StridedTokens rows = layout.queries.in_segment(layout.group, segment, phase);
        const StridedTokens keys = layout.keys.in_segment(layout.group, segment, phase);
        const Admission admission{causal, layout.queries.origin + rows.first, layout.group.rate,
                                  layout.keys.origin + keys.first, layout.group.rate};
        const auto heads = static_cast<double>(layout.heads_of_slot(kv_head, slot).count);
        counts.pairs += batch * heads * static_cast<double>(admitted_pairs(admission, 0, rows.count, keys.count));
        counts.rows += batch * heads * static_cast<double>(rows.count);
        counts.keys += batch * static_cast<double>(keys.count);
      }
    }
  }
  return counts;
}

} // namespace ringscale::kernels
