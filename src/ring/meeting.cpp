// SPDX-License-Identifier: Apache-2.0
#include "ring/meeting.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "kernels/attention_backward.hpp"
#include "kernels/attention_low_precision.hpp"
#include "kernels/attention_materialised.hpp"
#include "kernels/dilated_attention.hpp"
#include "kernels/packed_key_value.hpp"
#include "ring/block.hpp"
#include "ring/pattern_kernels.hpp"
#include "ring/row_views.hpp"
#include "ring/slice.hpp"

namespace ringscale::ring {

using problem::AttentionProblem;
using problem::PatternKind;
using problem::TokenSet;
using problem::TokenSpan;
using schedule::RingProblem;

namespace {

/// Of tensors that only sizes are asked of. Kokkos counts a view of a null pointer as empty whatever its extents.
float no_data[1];

bool is_backward(const RingProblem &problem) { return problem.pass == schedule::Pass::backward; }

/// Floats of the largest workspace that a backward slice needs.
std::int64_t backward_workspace(const RingProblem &problem, const SliceBudget &budget) {
  const AttentionProblem &attention = problem.attention;
  const kernels::ExecutionSpace space;
  std::int64_t most = 0;
  for (const std::int64_t query_rank : schedule::ranks_with_most_tokens(problem.ring_size, problem.chunks)) {
    for (const std::int64_t key_rank : schedule::ranks_with_most_tokens(problem.ring_size, problem.chunks)) {
      const TokenSet queries = queries_of(problem, query_rank);
      const TokenSet keys = keys_of(problem, key_rank);
      for (int pair = 0; pair < queries.span_count() * keys.span_count(); ++pair) {
        const TokenSpan &query = queries.span(pair % queries.span_count());
        const TokenSpan &key = keys.span(pair / queries.span_count());
        const SliceShape slice = backward_slice(attention, query.count, key.count, space.concurrency(), budget);
        const std::int64_t rows = std::min(query.count, slice.rows);
        kernels::BackwardBlock block;
        block.accumulate = true;
        block.kv_heads = {0, slice.heads};
        block.query = rows_of_one_entry<kernels::ConstTensor4>(&no_data[0], rows, attention.query_heads, attention);
        block.key = rows_of_one_entry<kernels::ConstTensor4>(&no_data[0], key.count, attention.kv_heads, attention);
        block.value = block.key;
        block.output_gradient = block.query;
        most = std::max(most, kernels::attention_backward_workspace_elements(space, block));
      }
    }
  }
  return most;
}

/// Floats that packing the groups of the largest meeting takes.
std::int64_t dilated_workspace(const RingProblem &problem) {
  const AttentionProblem &attention = problem.attention;
  std::int64_t most = 0;
  for (std::int64_t query_rank = 0; query_rank < problem.ring_size; ++query_rank) {
    const TokenSet queries = queries_of(problem, query_rank);
    for (std::int64_t key_rank = 0; key_rank < problem.ring_size; ++key_rank) {
      const TokenSet keys = keys_of(problem, key_rank);
      for (int pair = 0; pair < queries.span_count() * keys.span_count(); ++pair) {
        const TokenSpan &query = queries.span(pair % queries.span_count());
        const TokenSpan &key = keys.span(pair / queries.span_count());
        kernels::DilatedAttention block;
        block.query =
            rows_of_one_entry<kernels::ConstTensor4>(&no_data[0], query.count, attention.query_heads, attention);
        block.key = rows_of_one_entry<kernels::ConstTensor4>(&no_data[0], key.count, attention.kv_heads, attention);
        block.value = block.key;
        block.output = rows_of_one_entry<kernels::Tensor4>(&no_data[0], query.count, attention.query_heads, attention);
        block.log_sum_exp = kernels::Tensor3(&no_data[0], 1, static_cast<std::size_t>(query.count),
                                             static_cast<std::size_t>(attention.query_heads));
        block.dilation = dilation_of(problem);
        block.query_origin = query.begin;
        block.key_origin = key.begin;
        most = std::max(most, kernels::dilated_workspace_elements(block));
      }
    }
  }
  return most;
}

} // namespace

kernels::Dilation dilation_of(const RingProblem &problem) {
  kernels::Dilation dilation = kernel_dilation(problem.pattern.dilated);
  dilation.layer_heads = problem.pattern_heads;
  dilation.first_head = problem.first_pattern_head;
  return dilation;
}

memory::KernelFootprint MeetingKernels::footprint(const RingOptions &options) {
  const RingProblem &problem = options.problem;
  memory::KernelFootprint footprint;
  footprint.key_tile_tokens = kernels::key_tile_tokens;
  constexpr auto float_bytes = static_cast<std::int64_t>(sizeof(float));
  const PatternKind kind = problem.pattern.kind;
  if (is_backward(problem)) {
    footprint.workspace_bytes =
        kind == PatternKind::dense ? float_bytes * backward_workspace(problem, options.slices) : 0;
  } else if (kind == PatternKind::dilated) {
    footprint.workspace_bytes = float_bytes * dilated_workspace(problem);
  } else if (options.kernel == memory::KernelKind::streamed) {
    const std::int64_t head_dim = problem.attention.head_dim;
    const std::int64_t team_bytes =
        stores_bfloat16(problem)
            ? kernels::attention_low_precision_workspace_bytes(kernels::NumberFormat::bfloat16, head_dim)
            : kernels::attention_workspace_bytes(head_dim);
    footprint.workspace_bytes = team_bytes * kernels::ExecutionSpace().concurrency();
  }
  return footprint;
}

MeetingKernels::MeetingKernels(const RingOptions &options, std::int64_t rank, memory::Ledger &ledger)
    : options_(options) {
  const RingProblem &problem = options.problem;
  const memory::KernelFootprint footprint = MeetingKernels::footprint(options);
  const bool own_workspace = is_backward(problem) || problem.pattern.kind == PatternKind::dilated;
  if (own_workspace) {
    workspace_ = {ledger, memory::Purpose::workspace, "meeting_workspace", footprint.workspace_bytes};
  } else {
    kernel_scratch_ = {ledger, memory::Purpose::workspace, footprint.workspace_bytes}; // the kernels' own
  }
  if (options.kernel == memory::KernelKind::materialised) {
    scores_ = {ledger, memory::Purpose::scores, "scores",
               memory::score_elements(problem, rank) * static_cast<std::int64_t>(sizeof(float))};
  }
  dilation_ = dilation_of(problem);
}

template <class Do>
void MeetingKernels::each_span_pair(std::int64_t query_rank, std::int64_t key_rank, const Do &act) const {
  const TokenSet queries = queries_of(options_.problem, query_rank);
  const TokenSet keys = keys_of(options_.problem, key_rank);
  for (int query_span = 0; query_span < queries.span_count(); ++query_span) {
    for (int key_span = 0; key_span < keys.span_count(); ++key_span) {
      act(SpanPair{queries.span(query_span), keys.span(key_span), query_span == 0 ? 0 : queries.first.count,
                   key_span == 0 ? 0 : keys.first.count, key_span, key_span == 0});
    }
  }
}

void MeetingKernels::forward(const ForwardMeeting &meeting, const Poll &poll) {
  each_span_pair(meeting.query_rank, meeting.key_rank, [&](const SpanPair &pair) {
    switch (options_.problem.pattern.kind) {
    case PatternKind::dense:
      return dense_forward(meeting, pair, poll);
    case PatternKind::dilated:
      return dilated_forward(meeting, pair, poll);
    case PatternKind::block_sparse:
      return sparse_forward(meeting, pair, poll);
    }
  });
}

void MeetingKernels::backward(const BackwardMeeting &meeting, const Poll &poll) {
  if (options_.problem.pattern.kind == PatternKind::dense) {
    return dense_backward(meeting, poll);
  }
  if (meeting.replace_key_gradients) {
    throw std::logic_error("patterns add to the gradients of keys");
  }
  each_span_pair(meeting.query_rank, meeting.key_rank, [&](const SpanPair &pair) {
    switch (options_.problem.pattern.kind) {
    case PatternKind::dense:
      return;
    case PatternKind::dilated:
      return dilated_backward(meeting, pair, poll);
    case PatternKind::block_sparse:
      return sparse_backward(meeting, pair, poll);
    }
  });
}

kernels::AttentionBlock MeetingKernels::block_of(const ForwardMeeting &meeting, const SpanPair &pair) const {
  const RingProblem &problem = options_.problem;
  const AttentionProblem &attention = problem.attention;
  const std::int64_t span_begin = span_offset(problem, meeting.key_rank, pair.key_span);
  kernels::AttentionBlock block;
  if (problem.layout == schedule::MessageLayout::separate) {
    // Keys of all spans, then values of all spans.
    block.packed_key_value = meeting.float_key_value() + span_begin / 2;
    block.packed_value = meeting.float_key_value() + block_elements(problem, meeting.key_rank) / 2 + span_begin / 2;
  } else {
    block.packed_key_value = meeting.float_key_value() + span_begin;
  }
  block.key_tokens = pair.keys.count;
  block.kv_heads = attention.kv_heads;
  block.admission = admission_of(pair);
  block.scale = meeting.scale;
  return block;
}

kernels::Admission MeetingKernels::admission_of(const SpanPair &pair) const {
  // Positions are counted from row 0 of the whole query buffer, where the span begins at row first_query.
  return {options_.problem.attention.mask == problem::Mask::causal,
          pair.queries.begin - pair.first_query * pair.queries.stride, pair.queries.stride, pair.keys.begin,
          pair.keys.stride};
}

kernels::Merge MeetingKernels::merge_of(bool replace) const {
  return replace                                      ? kernels::Merge::replace
         : options_.softmax == SoftmaxRule::per_chunk ? kernels::Merge::per_chunk
                                                      : kernels::Merge::online;
}

template <class Do>
void MeetingKernels::each_slice(const SpanPair &pair, bool replace, const Poll &poll, const Do &compute) const {
  const AttentionProblem &attention = options_.problem.attention;
  const SliceShape shape =
      forward_slice(attention, pair.queries.count, pair.keys.count, space_.concurrency(), options_.slices);
  ring::each_slice(shape, pair.queries.count, attention.query_heads, [&](const Slice &slice) {
    const TokenSpan rows{pair.queries.position(slice.row_begin), slice.row_count, pair.queries.stride};
    if (!replace && problem::admitted_pairs(rows, pair.keys, attention.mask) == 0) {
      return;
    }
    compute(slice);
    space_.fence("ringscale::ring: slice computed");
    poll();
  });
}

void MeetingKernels::dense_forward(const ForwardMeeting &meeting, const SpanPair &pair, const Poll &poll) {
  const AttentionProblem &attention = options_.problem.attention;
  const bool replace = meeting.replace && pair.first;
  if (!replace && problem::admitted_pairs(pair.queries, pair.keys, attention.mask) == 0) {
    return;
  }
  if (stores_bfloat16(options_.problem)) {
    return bfloat16_forward(meeting, pair, poll);
  }
  const std::int64_t query_tokens = queries_of(options_.problem, meeting.query_rank).count();
  kernels::AttentionBlock block = block_of(meeting, pair);
  block.query =
      whole_rows<kernels::ConstTensor4>(meeting.float_query(), query_tokens, attention.query_heads, attention);
  block.output = whole_rows<kernels::Tensor4>(meeting.output, query_tokens, attention.query_heads, attention);
  block.log_sum_exp = row_numbers<kernels::Tensor3>(meeting.log_sum_exp, query_tokens, attention);
  block.merge = merge_of(replace);
  each_slice(pair, replace, poll, [&](const Slice &slice) {
    block.query_begin = pair.first_query + slice.row_begin;
    block.query_end = block.query_begin + slice.row_count;
    block.heads = {slice.head_begin, slice.head_count};
    if (options_.kernel == memory::KernelKind::materialised) {
      // Slices write next to each other, so that all scores of the span pair are kept.
      float *scores = scores_.as<float>() + attention.batch * attention.query_heads * slice.row_begin * pair.keys.count;
      kernels::attention_block_materialised(space_, block, scores);
    } else {
      kernels::attention_block(space_, block);
    }
  });
}

void MeetingKernels::bfloat16_forward(const ForwardMeeting &meeting, const SpanPair &pair, const Poll &poll) {
  const RingProblem &problem = options_.problem;
  const AttentionProblem &attention = problem.attention;
  const bool replace = meeting.replace && pair.first;
  const std::int64_t query_tokens = queries_of(problem, meeting.query_rank).count();
  kernels::LowPrecisionBlock block;
  block.format = kernels::NumberFormat::bfloat16;
  block.query = whole_rows<kernels::ConstStorageTensor4>(reinterpret_cast<const std::uint16_t *>(meeting.query),
                                                         query_tokens, attention.query_heads, attention);
  block.packed_key_value = reinterpret_cast<const std::uint16_t *>(meeting.key_value) +
                           span_offset(problem, meeting.key_rank, pair.key_span);
  block.key_tokens = pair.keys.count;
  block.kv_heads = attention.kv_heads;
  block.admission = admission_of(pair);
  block.scale = meeting.scale;
  block.output = whole_rows<kernels::Tensor4>(meeting.output, query_tokens, attention.query_heads, attention);
  block.log_sum_exp = row_numbers<kernels::Tensor3>(meeting.log_sum_exp, query_tokens, attention);
  block.merge = merge_of(replace);
  each_slice(pair, replace, poll, [&](const Slice &slice) {
    block.query_begin = pair.first_query + slice.row_begin;
    block.query_end = block.query_begin + slice.row_count;
    block.heads = {slice.head_begin, slice.head_count};
    kernels::attention_block_low_precision(space_, block);
  });
}

void MeetingKernels::dense_backward(const BackwardMeeting &meeting, const Poll &poll) {
  const TokenSet keys = keys_of(options_.problem, meeting.key_rank);
  std::array<bool, 2> written{};
  each_span_pair(meeting.query_rank, meeting.key_rank, [&](const SpanPair &pair) {
    bool &held = written[static_cast<std::size_t>(pair.key_span)];
    held = dense_backward(meeting, pair, meeting.replace_key_gradients && !held, poll) || held;
  });
  for (int span = 0; meeting.replace_key_gradients && span < keys.span_count(); ++span) {
    if (!written[static_cast<std::size_t>(span)]) {
      clear_key_gradients(meeting, span == 0 ? 0 : keys.first.count, keys.span(span).count);
    }
  }
}

void MeetingKernels::clear_key_gradients(const BackwardMeeting &meeting, std::int64_t first, std::int64_t count) {
  const AttentionProblem &attention = options_.problem.attention;
  const std::int64_t key_tokens = keys_of(options_.problem, meeting.key_rank).count();
  for (std::int64_t entry = 0; entry < attention.batch; ++entry) {
    const RowsAt rows{entry, key_tokens, first, count};
    Kokkos::deep_copy(space_, rows_at<kernels::Tensor4>(meeting.key_gradient, rows, attention.kv_heads, attention),
                      0.0F);
    Kokkos::deep_copy(space_, rows_at<kernels::Tensor4>(meeting.value_gradient, rows, attention.kv_heads, attention),
                      0.0F);
  }
  space_.fence("ringscale::ring: key gradients cleared");
}

bool MeetingKernels::dense_backward(const BackwardMeeting &meeting, const SpanPair &pair, bool replace_keys,
                                    const Poll &poll) {
  const AttentionProblem &attention = options_.problem.attention;
  const std::int64_t query_tokens = queries_of(options_.problem, meeting.query_rank).count();
  const std::int64_t key_tokens = keys_of(options_.problem, meeting.key_rank).count();
  const SliceShape shape =
      backward_slice(attention, pair.queries.count, pair.keys.count, space_.concurrency(), options_.slices);
  bool admitted = false;
  for (std::int64_t entry = 0; entry < attention.batch; ++entry) {
    std::int64_t written_head = -1; // the last slice that wrote anew began here
    ring::each_slice(shape, pair.queries.count, attention.kv_heads, [&](const Slice &slice) {
      const TokenSpan rows{pair.queries.position(slice.row_begin), slice.row_count, pair.queries.stride};
      if (problem::admitted_pairs(rows, pair.keys, attention.mask) == 0) {
        return;
      }
      const RowsAt query_rows{entry, query_tokens, pair.first_query + slice.row_begin, slice.row_count};
      const RowsAt key_rows{entry, key_tokens, pair.first_key, pair.keys.count};
      kernels::BackwardBlock block = backward_block(meeting, query_rows, key_rows, attention);
      block.kv_heads = {slice.head_begin, slice.head_count};
      block.admission = {attention.mask == problem::Mask::causal, rows.begin, rows.stride, pair.keys.begin,
                         pair.keys.stride};
      block.overwrite_key_gradients = replace_keys && slice.head_begin != written_head;
      written_head = slice.head_begin;
      admitted = true;
      const std::int64_t needed = kernels::attention_backward_workspace_elements(space_, block);
      if (needed * static_cast<std::int64_t>(sizeof(float)) > workspace_.bytes()) {
        throw std::logic_error("the workspace of a backward meeting is too small");
      }
      kernels::attention_backward(space_, block, workspace_.as<float>());
      space_.fence("ringscale::ring: backward slice computed");
      poll();
    });
  }
  return admitted;
}

} // namespace ringscale::ring
