// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/attention_backward.hpp"
#include "kernels/types.hpp"
#include "problem/attention_problem.hpp"
#include "ring/meeting.hpp"

namespace ringscale::ring {

/// Views of a rank's buffers: [batch, tokens, heads, head_dim], all rows.
template <class Tensor, class Float>
Tensor whole_rows(Float *data, std::int64_t tokens, std::int64_t heads, const problem::AttentionProblem &attention) {
  return Tensor(data, static_cast<std::size_t>(attention.batch), static_cast<std::size_t>(tokens),
                static_cast<std::size_t>(heads), static_cast<std::size_t>(attention.head_dim));
}

/// [batch, tokens, query_heads]: the log-sum-exps or row dots.
template <class Tensor, class Float>
Tensor row_numbers(Float *data, std::int64_t tokens, const problem::AttentionProblem &attention) {
  return Tensor(data, static_cast<std::size_t>(attention.batch), static_cast<std::size_t>(tokens),
                static_cast<std::size_t>(attention.query_heads));
}

/// Some rows of one batch entry of a buffer of `tokens` rows: contiguous, unlike the same rows of all entries.
struct RowsAt {
  std::int64_t entry = 0;
  std::int64_t tokens = 0;
  std::int64_t first = 0;
  std::int64_t count = 0;

  std::int64_t row() const { return entry * tokens + first; }
};

template <class Tensor, class Float>
Tensor rows_of_one_entry(Float *data, std::int64_t count, std::int64_t heads,
                         const problem::AttentionProblem &attention) {
  return Tensor(data, 1, static_cast<std::size_t>(count), static_cast<std::size_t>(heads),
                static_cast<std::size_t>(attention.head_dim));
}

template <class Tensor, class Float>
Tensor rows_at(Float *data, const RowsAt &rows, std::int64_t heads, const problem::AttentionProblem &attention) {
  return rows_of_one_entry<Tensor>(data + rows.row() * heads * attention.head_dim, rows.count, heads, attention);
}

template <class Tensor, class Float>
Tensor row_numbers_at(Float *data, const RowsAt &rows, const problem::AttentionProblem &attention) {
  return Tensor(data + rows.row() * attention.query_heads, 1, static_cast<std::size_t>(rows.count),
                static_cast<std::size_t>(attention.query_heads));
}

/// Some query rows of a meeting against some keys, adding to the gradients; without admission.
inline kernels::BackwardBlock backward_block(const BackwardMeeting &meeting, const RowsAt &query_rows,
                                             const RowsAt &key_rows, const problem::AttentionProblem &attention) {
  using kernels::ConstTensor3;
  using kernels::ConstTensor4;
  using kernels::Tensor4;
  kernels::BackwardBlock block;
  block.query = rows_at<ConstTensor4>(meeting.query, query_rows, attention.query_heads, attention);
  block.output_gradient = rows_at<ConstTensor4>(meeting.output_gradient, query_rows, attention.query_heads, attention);
  block.log_sum_exp = row_numbers_at<ConstTensor3>(meeting.log_sum_exp, query_rows, attention);
  block.output_dot = row_numbers_at<ConstTensor3>(meeting.output_dot, query_rows, attention);
  block.key = rows_at<ConstTensor4>(meeting.key, key_rows, attention.kv_heads, attention);
  block.value = rows_at<ConstTensor4>(meeting.value, key_rows, attention.kv_heads, attention);
  block.query_gradient = rows_at<Tensor4>(meeting.query_gradient, query_rows, attention.query_heads, attention);
  block.key_gradient = rows_at<Tensor4>(meeting.key_gradient, key_rows, attention.kv_heads, attention);
  block.value_gradient = rows_at<Tensor4>(meeting.value_gradient, key_rows, attention.kv_heads, attention);
  block.scale = meeting.scale;
  block.accumulate = true;
  return block;
}

} // namespace ringscale::ring
