// SPDX-License-Identifier: Apache-2.0
// Dilated and block-sparse meetings: one batch entry and one pair of spans a call, since these kernels read
// consecutive tokens.
#include "kernels/block_sparse_attention.hpp"
#include "kernels/block_sparse_backward.hpp"
#include "kernels/dilated_attention.hpp"
#include "kernels/dilated_backward.hpp"
#include "kernels/packed_key_value.hpp"
#include "ring/meeting.hpp"
#include "ring/pattern_kernels.hpp"
#include "ring/row_views.hpp"

namespace ringscale::ring {

using problem::AttentionProblem;

void MeetingKernels::dilated_forward(const ForwardMeeting &meeting, const SpanPair &pair, const Poll &poll) {
  const AttentionProblem &attention = options_.problem.attention;
  const std::int64_t query_tokens = queries_of(options_.problem, meeting.query_rank).count();
  const std::int64_t key_tokens = keys_of(options_.problem, meeting.key_rank).count();
  const float *value =
      meeting.float_key_value() + attention.batch * key_tokens * attention.kv_heads * attention.head_dim;
  for (std::int64_t entry = 0; entry < attention.batch; ++entry) {
    const RowsAt query_rows{entry, query_tokens, pair.first_query, pair.queries.count};
    const RowsAt key_rows{entry, key_tokens, pair.first_key, pair.keys.count};
    kernels::DilatedAttention block;
    block.query = rows_at<kernels::ConstTensor4>(meeting.float_query(), query_rows, attention.query_heads, attention);
    block.key = rows_at<kernels::ConstTensor4>(meeting.float_key_value(), key_rows, attention.kv_heads, attention);
    block.value = rows_at<kernels::ConstTensor4>(value, key_rows, attention.kv_heads, attention);
    block.dilation = dilation_;
    block.causal = attention.mask == problem::Mask::causal;
    block.scale = meeting.scale;
    block.query_origin = pair.queries.begin;
    block.key_origin = pair.keys.begin;
    block.accumulate = !(meeting.replace && pair.first);
    block.output = rows_at<kernels::Tensor4>(meeting.output, query_rows, attention.query_heads, attention);
    block.log_sum_exp = row_numbers_at<kernels::Tensor3>(meeting.log_sum_exp, query_rows, attention);
    kernels::dilated_attention(space_, block, workspace_.as<float>());
    space_.fence("ringscale::ring: dilated span computed");
    poll();
  }
}

void MeetingKernels::dilated_backward(const BackwardMeeting &meeting, const SpanPair &pair, const Poll &poll) {
  const AttentionProblem &attention = options_.problem.attention;
  const std::int64_t query_tokens = queries_of(options_.problem, meeting.query_rank).count();
  const std::int64_t key_tokens = keys_of(options_.problem, meeting.key_rank).count();
  for (std::int64_t entry = 0; entry < attention.batch; ++entry) {
    const kernels::BackwardBlock block =
        backward_block(meeting, {entry, query_tokens, pair.first_query, pair.queries.count},
                       {entry, key_tokens, pair.first_key, pair.keys.count}, attention);
    kernels::DilatedBackward backward;
    backward.query = block.query;
    backward.key = block.key;
    backward.value = block.value;
    backward.output_gradient = block.output_gradient;
    backward.log_sum_exp = block.log_sum_exp;
    backward.output_dot = block.output_dot;
    backward.dilation = dilation_;
    backward.causal = attention.mask == problem::Mask::causal;
    backward.scale = block.scale;
    backward.query_origin = pair.queries.begin;
    backward.key_origin = pair.keys.begin;
    backward.accumulate = true;
    backward.query_gradient = block.query_gradient;
    backward.key_gradient = block.key_gradient;
    backward.value_gradient = block.value_gradient;
    kernels::dilated_attention_backward(space_, backward);
    space_.fence("ringscale::ring: dilated gradients computed");
    poll();
  }
}

const kernels::BlockMask &MeetingKernels::mask_of(const SpanPair &pair) {
  const auto key = std::make_tuple(pair.queries.begin, pair.queries.count, pair.keys.begin, pair.keys.count);
  const auto held = masks_.find(key);
  if (held != masks_.end()) {
    return held->second;
  }
  kernels::BlockMaskShape shape;
  shape.block_tokens = options_.problem.pattern.block_sparse.block_tokens;
  shape.query_tokens = pair.queries.count;
  shape.key_tokens = pair.keys.count;
  shape.causal = options_.problem.attention.mask == problem::Mask::causal;
  shape.query_origin = pair.queries.begin;
  shape.key_origin = pair.keys.begin;
  const kernels::BlockMask &made =
      masks_.emplace(key, kernels::BlockMask(shape, kernel_sparsity(options_.problem.pattern.block_sparse)))
          .first->second;
  index_list_bytes_ += made.bytes();
  return made;
}

void MeetingKernels::sparse_forward(const ForwardMeeting &meeting, const SpanPair &pair, const Poll &poll) {
  const AttentionProblem &attention = options_.problem.attention;
  const std::int64_t query_tokens = queries_of(options_.problem, meeting.query_rank).count();
  const kernels::BlockMask &mask = mask_of(pair);
  const bool replace = meeting.replace && pair.first;
  if (!replace && mask.pairs(0) == 0) {
    return;
  }
  kernels::AttentionBlock block = block_of(meeting, pair);
  // The mask counts rows from the span's first.
  block.admission.query_origin = pair.queries.begin;
  block.query_end = pair.queries.count;
  block.merge = replace ? kernels::Merge::replace : kernels::Merge::online;
  const bool apart = block.packed_value != nullptr;
  const std::int64_t entry_elements =
      kernels::packed_elements(1, pair.keys.count, attention.kv_heads, attention.head_dim) / (apart ? 2 : 1);
  for (std::int64_t entry = 0; entry < attention.batch; ++entry) {
    const RowsAt query_rows{entry, query_tokens, pair.first_query, pair.queries.count};
    block.query = rows_at<kernels::ConstTensor4>(meeting.float_query(), query_rows, attention.query_heads, attention);
    block.output = rows_at<kernels::Tensor4>(meeting.output, query_rows, attention.query_heads, attention);
    block.log_sum_exp = row_numbers_at<kernels::Tensor3>(meeting.log_sum_exp, query_rows, attention);
    kernels::block_sparse_attention(space_, block, mask);
    space_.fence("ringscale::ring: block-sparse span computed");
    block.packed_key_value += entry_elements;
    block.packed_value += apart ? entry_elements : 0;
    poll();
  }
}

void MeetingKernels::sparse_backward(const BackwardMeeting &meeting, const SpanPair &pair, const Poll &poll) {
  const AttentionProblem &attention = options_.problem.attention;
  const std::int64_t query_tokens = queries_of(options_.problem, meeting.query_rank).count();
  const std::int64_t key_tokens = keys_of(options_.problem, meeting.key_rank).count();
  const kernels::BlockMask &mask = mask_of(pair);
  for (std::int64_t entry = 0; entry < attention.batch && mask.pairs(0) > 0; ++entry) {
    kernels::BackwardBlock block = backward_block(meeting, {entry, query_tokens, pair.first_query, pair.queries.count},
                                                  {entry, key_tokens, pair.first_key, pair.keys.count}, attention);
    block.admission = {attention.mask == problem::Mask::causal, pair.queries.begin, 1, pair.keys.begin, 1};
    kernels::block_sparse_backward(space_, block, mask);
    space_.fence("ringscale::ring: block-sparse gradients computed");
    poll();
  }
}

} // namespace ringscale::ring
