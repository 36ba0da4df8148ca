// SPDX-License-Identifier: Apache-2.0
#include "kernels/dilated_variants.hpp"

#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/log_sum_exp.hpp"
#include "kernels/merge.hpp"

namespace ringscale::kernels {

namespace {

using Range = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::int64_t>>;
using Owned4 = Kokkos::View<float ****, Kokkos::LayoutRight, MemorySpace>;
using Owned3 = Kokkos::View<float ***, Kokkos::LayoutRight, MemorySpace>;

/// Token `index` of a list: its segment has `per_segment` tokens of the phase, all segments but the last.
struct FillTokens {
  DilatedGroup group;
  std::int64_t phase;
  std::int64_t per_segment;
  TokenList list;

  KOKKOS_FUNCTION void operator()(const std::int64_t index) const {
    list(index) = index / per_segment * group.segment_tokens + phase + index % per_segment * group.rate;
  }
};

/// Tokens of `phase` that one whole segment has, and all of `tokens` tokens.
std::int64_t tokens_of_whole_segment(const DilatedGroup &group, std::int64_t phase) {
  return TokenWindow{0, group.segment_tokens}.in_segment(group, 0, phase).count;
}
std::int64_t tokens_of_phase(const DilatedGroup &group, std::int64_t phase, std::int64_t tokens) {
  const std::int64_t whole = tokens / group.segment_tokens;
  return whole * tokens_of_whole_segment(group, phase) + TokenWindow{0, tokens}.in_segment(group, whole, phase).count;
}

TokenList make_tokens(const ExecutionSpace &space, const DilatedGroup &group, std::int64_t phase, std::int64_t tokens) {
  const std::int64_t count = tokens_of_phase(group, phase, tokens);
  const TokenList list(Kokkos::view_alloc(space, Kokkos::WithoutInitializing, "dilated tokens"), count);
  if (count > 0) {
    Kokkos::parallel_for("ringscale::fill_tokens", Range(space, 0, count),
                         FillTokens{group, phase, tokens_of_whole_segment(group, phase), list});
  }
  return list;
}

/// Rows of a tensor chosen by a list of tokens and a run of heads; an index is (batch, place in the list, head).
struct Selection {
  TokenList list;
  DilatedHeads heads;
  std::int64_t tokens;   // of the whole tensor
  std::int64_t of_heads; // heads of the whole tensor

  std::int64_t rows(std::int64_t batch) const { return batch * list.extent_int(0) * heads.count; }
  /// Row of the whole tensor, counted in [batch * tokens * heads].
  KOKKOS_INLINE_FUNCTION std::int64_t row(std::int64_t index) const {
    const std::int64_t head = heads.first + index % heads.count * heads.stride;
    const std::int64_t place = index / heads.count % list.extent_int(0);
    const std::int64_t batch = index / heads.count / list.extent_int(0);
    return (batch * tokens + list(place)) * of_heads + head;
  }
};

struct GatherRows {
  Selection selection;
  const float *whole;
  float *compact;
  std::int64_t head_dim;

  KOKKOS_FUNCTION void operator()(const std::int64_t index) const {
    const float *from = whole + selection.row(index) * head_dim;
    float *to = compact + index * head_dim;
    for (std::int64_t dim = 0; dim < head_dim; ++dim) {
      to[dim] = from[dim];
    }
  }
};

/// Joins compact rows with those of the whole output, or just writes them there.
struct ScatterRows {
  Selection selection;
  const float *compact;
  const float *compact_log_sum_exp;
  float *output;
  float *log_sum_exp;
  std::int64_t head_dim;
  bool join;

  KOKKOS_FUNCTION void operator()(const std::int64_t index) const {
    const std::int64_t row = selection.row(index);
    const float fresh = compact_log_sum_exp[index];
    const float held = join ? log_sum_exp[row] : -Kokkos::Experimental::infinity_v<float>;
    const JoinedPartials joined = join_partials(static_cast<double>(held), static_cast<double>(fresh));
    const auto first = static_cast<float>(joined.first);
    const auto second = static_cast<float>(joined.second);
    const float *from = compact + index * head_dim;
    float *to = output + row * head_dim;
    for (std::int64_t dim = 0; dim < head_dim; ++dim) {
      to[dim] = first == 0.0F ? second * from[dim] : first * to[dim] + second * from[dim];
    }
    log_sum_exp[row] = static_cast<float>(joined.log_sum_exp);
  }
};

/// Index-select: queries, keys and values of one phase are gathered into compact tensors, in which a segment is a run
/// of neighbours, and the compact output is scattered back.
void select_and_attend(const ExecutionSpace &space, const DilatedAttention &attention, const DilatedGroup &group,
                       const DilatedHeads &heads, const TokenList &list, bool join, float *workspace,
                       DilatedVariantResult &result) {
  const std::int64_t batch = attention.query.extent_int(0);
  const std::int64_t head_dim = attention.query.extent_int(3);
  const std::int64_t tokens = list.extent_int(0);
  const Selection selection{list, heads, attention.query.extent_int(1), attention.query.extent_int(2)};
  const auto room = [&](const std::string &label) {
    return Owned4(Kokkos::view_alloc(space, Kokkos::WithoutInitializing, label), batch, tokens, heads.count, head_dim);
  };
  const Owned4 query = room("selected query");
  const Owned4 key = room("selected key");
  const Owned4 value = room("selected value");
  const Owned4 output = room("selected output");
  const Owned3 log_sum_exp(Kokkos::view_alloc(space, Kokkos::WithoutInitializing, "selected log-sum-exp"), batch,
                           tokens, heads.count);
  result.gathered_bytes += static_cast<std::int64_t>((4 * query.size() + log_sum_exp.size()) * sizeof(float));
  const auto gather = [&](ConstTensor4 whole, const Owned4 &compact) {
    Kokkos::parallel_for("ringscale::index_select", Range(space, 0, selection.rows(batch)),
                         GatherRows{selection, whole.data(), compact.data(), head_dim});
  };
  gather(attention.query, query);
  gather(attention.key, key);
  gather(attention.value, value);
  DilatedAttention compact = attention;
  compact.query = query;
  compact.key = key;
  compact.value = value;
  compact.output = output;
  compact.log_sum_exp = log_sum_exp;
  clear_partial(space, output, log_sum_exp);
  DilatedGroup run;
  run.segment_tokens = tokens_of_whole_segment(group, group.phase(heads.first));
  run.head_end = heads.count;
  run.heads_per_phase = heads.count;
  const DilatedLayout layout =
      DilatedLayout::of(run, {0, tokens}, {0, tokens}, batch, heads.count, heads.count, head_dim);
  pack_dilated_group(space, compact, layout, workspace);
  join_dilated_group(space, compact, layout, workspace);
  Kokkos::parallel_for("ringscale::index_scatter", Range(space, 0, selection.rows(batch)),
                       ScatterRows{selection, output.data(), log_sum_exp.data(), attention.output.data(),
                                   attention.log_sum_exp.data(), head_dim, join});
  space.fence(); // the compact tensors end here
}

/// One group with heads [head_begin, head_end) alone, joined with what `attention` holds.
void run_group(const ExecutionSpace &space, const DilatedAttention &attention, const DilatedGroup &group,
               const DilatedVariant &variant, float *workspace, DilatedIndexCache &cache,
               DilatedVariantResult &result) {
  const std::int64_t tokens = attention.query.extent_int(1);
  const std::int64_t heads = attention.query.extent_int(2);
  if (variant.indices == DilatedIndices::strided) {
    const DilatedLayout layout = DilatedLayout::of(
        group, {attention.query_origin, tokens}, {attention.key_origin, attention.key.extent_int(1)},
        attention.query.extent_int(0), heads, attention.key.extent_int(2), attention.query.extent_int(3));
    pack_dilated_group(space, attention, layout, workspace);
    join_dilated_group(space, attention, layout, workspace);
    return;
  }
  std::int64_t head = group.head_begin;
  while (head < group.head_end) {
    // All heads of one phase go together: a run of neighbours, or every rate-th one.
    DilatedHeads alike{head, 1, 1};
    if (group.heads_per_phase == 1) {
      alike = {head, group.rate, (group.head_end - head + group.rate - 1) / group.rate};
    } else {
      while (head + alike.count < group.head_end && group.phase(head + alike.count) == group.phase(head)) {
        ++alike.count;
      }
    }
    const std::int64_t phase = group.phase(head);
    const TokenList list = variant.indices == DilatedIndices::cached ? cache.tokens(space, group, phase, tokens)
                                                                     : make_tokens(space, group, phase, tokens);
    if (variant.indices == DilatedIndices::computed) {
      result.index_bytes += static_cast<std::int64_t>(list.size() * sizeof(std::int64_t));
    }
    if (list.extent(0) > 0) {
      select_and_attend(space, attention, group, alike, list, variant.join == OutputJoin::in_place, workspace, result);
    }
    head += alike.stride > 1 ? 1 : alike.count;
    if (group.heads_per_phase == 1 && head >= group.head_begin + group.rate) {
      return; // the phases come again
    }
  }
}

} // namespace

TokenList DilatedIndexCache::tokens(const ExecutionSpace &space, const DilatedGroup &group, std::int64_t phase,
                                    std::int64_t tokens) {
  const Place place{{group.segment_tokens, group.rate}, {phase, tokens}};
  const auto found = lists_.find(place);
  return found != lists_.end() ? found->second
                               : lists_.emplace(place, make_tokens(space, group, phase, tokens)).first->second;
}

std::int64_t DilatedIndexCache::bytes() const {
  std::int64_t sum = 0;
  for (const auto &entry : lists_) {
    sum += static_cast<std::int64_t>(entry.second.size() * sizeof(std::int64_t));
  }
  return sum;
}

DilatedVariantResult dilated_attention_variant(const ExecutionSpace &space, DilatedAttention attention,
                                               const DilatedVariant &variant, float *workspace,
                                               DilatedIndexCache &cache) {
  Kokkos::Profiling::ScopedRegion region("ringscale::dilated_attention_variant");
  const ConstTensor4 &query = attention.query;
  if (variant.indices != DilatedIndices::strided &&
      (query.extent(1) != attention.key.extent(1) || query.extent(2) != attention.key.extent(2) ||
       attention.query_origin != 0 || attention.key_origin != 0)) {
    throw std::invalid_argument("dilated variants: index lists need equal query and key lengths and heads, and "
                                "origins 0");
  }
  DilatedVariantResult result;
  if (variant.start == OutputStart::zeros) {
    result.output = Owned4("output", query.extent(0), query.extent(1), query.extent(2), query.extent(3));
  } else {
    result.output = Owned4(Kokkos::view_alloc(space, Kokkos::WithoutInitializing, "output"), query.extent(0),
                           query.extent(1), query.extent(2), query.extent(3));
    Kokkos::deep_copy(space, result.output, 0.0F);
  }
  result.log_sum_exp = Owned3(Kokkos::view_alloc(space, Kokkos::WithoutInitializing, "log-sum-exp"), query.extent(0),
                              query.extent(1), query.extent(2));
  Kokkos::deep_copy(space, result.log_sum_exp, -Kokkos::Experimental::infinity_v<float>);
  const auto partial_bytes =
      static_cast<std::int64_t>((result.output.size() + result.log_sum_exp.size()) * sizeof(float));
  result.output_bytes = partial_bytes;
  attention.output = result.output;
  attention.log_sum_exp = result.log_sum_exp;
  check_dilated_attention(attention);

  for (const DilatedGroup &whole_group : dilated_groups(attention.dilation, query.extent_int(2))) {
    DilatedAttention into = attention;
    Owned4 group_output;
    Owned3 group_log_sum_exp;
    if (variant.join == OutputJoin::copied) {
      group_output = Owned4(Kokkos::view_alloc(space, Kokkos::WithoutInitializing, "group output"), query.extent(0),
                            query.extent(1), query.extent(2), query.extent(3));
      group_log_sum_exp = Owned3(Kokkos::view_alloc(space, Kokkos::WithoutInitializing, "group log-sum-exp"),
                                 query.extent(0), query.extent(1), query.extent(2));
      clear_partial(space, group_output, group_log_sum_exp);
      into.output = group_output;
      into.log_sum_exp = group_log_sum_exp;
      result.temporary_bytes += partial_bytes;
    }
    const std::int64_t step = variant.heads == HeadLoop::ranges ? whole_group.head_end - whole_group.head_begin : 1;
    for (std::int64_t head = whole_group.head_begin; head < whole_group.head_end; head += step) {
      DilatedGroup group = whole_group;
      group.head_begin = head;
      group.head_end = head + step;
      run_group(space, into, group, variant, workspace, cache, result);
    }
    if (variant.join == OutputJoin::copied) {
      merge_partials(space, attention.output, attention.log_sum_exp, group_output, group_log_sum_exp);
      space.fence(); // the group's tensors end here
    }
  }
  space.fence();
  if (variant.indices == DilatedIndices::cached) {
    result.index_bytes += cache.bytes();
  }
  return result;
}

} // namespace ringscale::kernels
