// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/dilation.hpp"
#include "kernels/packed_key_value.hpp"

namespace ringscale::kernels {

/// Query heads first, first + stride, ...
struct DilatedHeads {
  std::int64_t first = 0;
  std::int64_t stride = 1;
  std::int64_t count = 0;
};

/// How one group's keys and values lie packed: one span for every batch entry, key/value head, phase that the head's
/// queries have, and segment, each with room for the most tokens that a segment holds.
struct DilatedLayout {
  DilatedGroup group;
  TokenWindow queries;
  TokenWindow keys;
  SegmentRange segments;
  std::int64_t batch = 0;
  std::int64_t heads_per_kv_head = 1;
  std::int64_t kv_head_begin = 0; ///< key/value heads that the group's query heads read
  std::int64_t kv_head_count = 0;
  std::int64_t slots = 0; ///< phases that the queries of one key/value head have, at most
  std::int64_t most_keys = 0;
  std::int64_t head_dim = 0;

  static DilatedLayout of(const DilatedGroup &group, const TokenWindow &queries, const TokenWindow &keys,
                          std::int64_t batch, std::int64_t query_heads, std::int64_t kv_heads, std::int64_t head_dim) {
    DilatedLayout layout;
    layout.group = group;
    layout.queries = queries;
    layout.keys = keys;
    layout.segments = shared_segments(group, queries, keys);
    layout.batch = batch;
    layout.heads_per_kv_head = query_heads / kv_heads;
    layout.kv_head_begin = group.head_begin / layout.heads_per_kv_head;
    layout.kv_head_count = (group.head_end - 1) / layout.heads_per_kv_head + 1 - layout.kv_head_begin;
    for (std::int64_t kv_head = 0; kv_head < layout.kv_head_count; ++kv_head) {
      const std::int64_t used = layout.used_slots(kv_head);
      layout.slots = used > layout.slots ? used : layout.slots;
    }
    layout.most_keys = keys.most_in_segment(group);
    layout.head_dim = head_dim;
    return layout;
  }

  /// First and last query head of the group that read its key/value head `kv_head` (counted from kv_head_begin).
  KOKKOS_INLINE_FUNCTION std::int64_t first_head(std::int64_t kv_head) const {
    const std::int64_t first = (kv_head_begin + kv_head) * heads_per_kv_head;
    return first > group.head_begin ? first : group.head_begin;
  }
  KOKKOS_INLINE_FUNCTION std::int64_t last_head(std::int64_t kv_head) const {
    const std::int64_t end = (kv_head_begin + kv_head + 1) * heads_per_kv_head;
    return (end < group.head_end ? end : group.head_end) - 1;
  }

  /// Neighbouring heads share a slot or have the next one; after `rate` slots the phases come again.
  KOKKOS_INLINE_FUNCTION std::int64_t slot(std::int64_t head, std::int64_t kv_head) const {
    return (group.phase_run(head) - group.phase_run(first_head(kv_head))) % group.rate;
  }
  KOKKOS_INLINE_FUNCTION std::int64_t used_slots(std::int64_t kv_head) const {
    const std::int64_t runs = group.phase_run(last_head(kv_head)) - group.phase_run(first_head(kv_head)) + 1;
    return runs < group.rate ? runs : group.rate;
  }
  KOKKOS_INLINE_FUNCTION std::int64_t slot_phase(std::int64_t kv_head, std::int64_t slot) const {
    return (group.first_phase + group.phase_run(first_head(kv_head)) + slot) % group.rate;
  }

  /// The query heads that read key/value head `kv_head` at the phase of `slot`.
  KOKKOS_INLINE_FUNCTION DilatedHeads heads_of_slot(std::int64_t kv_head, std::int64_t slot) const {
    const std::int64_t first = first_head(kv_head);
    const std::int64_t end = last_head(kv_head) + 1;
    if (group.heads_per_phase == 1) { // every rate-th head has the same phase
      return {first + slot, group.rate, (end - first - slot + group.rate - 1) / group.rate};
    }
    const std::int64_t run_begin = (group.phase_run(first) + slot) * group.heads_per_phase - group.head_offset;
    const std::int64_t run_end = run_begin + group.heads_per_phase;
    const std::int64_t begin = run_begin > first ? run_begin : first;
    return {begin, 1, (run_end < end ? run_end : end) - begin};
  }

  KOKKOS_INLINE_FUNCTION std::int64_t spans() const { return batch * kv_head_count * slots * segments.count(); }
  KOKKOS_INLINE_FUNCTION std::int64_t span_elements() const { return packed_head_elements(most_keys, head_dim); }
  /// Elements before the span of segment `segment` (counted from segments.begin).
  KOKKOS_INLINE_FUNCTION std::int64_t span_offset(std::int64_t batch_index, std::int64_t kv_head, std::int64_t slot,
                                                  std::int64_t segment) const {
    return (((batch_index * kv_head_count + kv_head) * slots + slot) * segments.count() + segment) * span_elements();
  }
  KOKKOS_INLINE_FUNCTION std::int64_t packed_elements() const { return spans() * span_elements(); }
};

/// A span of the layout, from its place among all of them.
struct DilatedSpan {
  std::int64_t batch, kv_head, slot, segment;

  KOKKOS_INLINE_FUNCTION DilatedSpan(const DilatedLayout &layout, std::int64_t index)
      : batch(index / (layout.segments.count() * layout.slots * layout.kv_head_count)),
        kv_head(index / (layout.segments.count() * layout.slots) % layout.kv_head_count),
        slot(index / layout.segments.count() % layout.slots), segment(index % layout.segments.count()) {}
};

/// The layouts of all groups of `dilation` that have a head, in order.
std::vector<DilatedLayout> dilated_layouts(const Dilation &dilation, const TokenWindow &queries,
                                           const TokenWindow &keys, std::int64_t batch, std::int64_t query_heads,
                                           std::int64_t kv_heads, std::int64_t head_dim);

/// Exact counts of one group over all batch entries and heads: admitted pairs, covered query rows, and packed keys.
struct DilatedCounts {
  double pairs = 0.0;
  double rows = 0.0;
  double keys = 0.0;
};
DilatedCounts count_tokens(const DilatedLayout &layout, bool causal);

} // namespace ringscale::kernels
