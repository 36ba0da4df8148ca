// SPDX-License-Identifier: Apache-2.0
#include "ring/backward_tile_bench.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/attention_backward.hpp"
#include "ring/rank_data.hpp"
#include "ring/row_views.hpp"
#include "ring/slice.hpp"

namespace ringscale::ring {

using problem::TokenSet;

BackwardTileBench::BackwardTileBench(const TileSetting &setting)
    : setting_(setting), attention_(attention_of(setting)) {
  shape_ = backward_slice(attention_, setting.query_tokens, setting.key_tokens, space_.concurrency());
  const std::int64_t rows = setting.batch * setting.query_tokens * setting.query_heads;
  const std::int64_t keys = setting.batch * setting.key_tokens * setting.kv_heads;
  query_ = touched("ringscale::backward_tile::query", rows * setting.head_dim);
  output_gradient_ = touched("ringscale::backward_tile::output_gradient", rows * setting.head_dim);
  query_gradient_ = touched("ringscale::backward_tile::query_gradient", rows * setting.head_dim);
  log_sum_exp_ = touched("ringscale::backward_tile::log_sum_exp", rows);
  output_dot_ = touched("ringscale::backward_tile::output_dot", rows);
  key_ = touched("ringscale::backward_tile::key", keys * setting.head_dim);
  value_ = touched("ringscale::backward_tile::value", keys * setting.head_dim);
  key_gradient_ = touched("ringscale::backward_tile::key_gradient", keys * setting.head_dim);
  value_gradient_ = touched("ringscale::backward_tile::value_gradient", keys * setting.head_dim);
  const TokenSet queries{{0, setting.query_tokens, 1}, {}};
  const TokenSet key_tokens{{0, setting.key_tokens, 1}, {}};
  constexpr std::uint64_t seed = 1;
  fill_tensor(query_.data(), seed, problem::Tensor::query, attention_, queries);
  fill_tensor(output_gradient_.data(), seed, problem::Tensor::output_gradient, attention_, queries);
  fill_tensor(key_.data(), seed, problem::Tensor::key, attention_, key_tokens);
  fill_tensor(value_.data(), seed, problem::Tensor::value, attention_, key_tokens);
  // Of the size that the log-sum-exps of such data have, so that the weights are neither zero nor infinite.
  Kokkos::deep_copy(log_sum_exp_, std::log(static_cast<float>(setting.key_tokens)));
  kernels::BackwardBlock block;
  block.accumulate = true;
  block.kv_heads = {0, shape_.heads};
  block.query = rows_of_one_entry<kernels::ConstTensor4>(static_cast<const float *>(query_.data()), shape_.rows,
                                                         setting.query_heads, attention_);
  block.output_gradient = block.query;
  block.key = rows_of_one_entry<kernels::ConstTensor4>(static_cast<const float *>(key_.data()), setting.key_tokens,
                                                       setting.kv_heads, attention_);
  block.value = block.key;
  workspace_ =
      touched("ringscale::backward_tile::workspace", kernels::attention_backward_workspace_elements(space_, block));
}

void BackwardTileBench::compute_slice(std::int64_t entry, const Slice &slice) const {
  BackwardMeeting meeting;
  meeting.query = query_.data();
  meeting.output_gradient = output_gradient_.data();
  meeting.log_sum_exp = log_sum_exp_.data();
  meeting.output_dot = output_dot_.data();
  meeting.key = key_.data();
  meeting.value = value_.data();
  meeting.query_gradient = query_gradient_.data();
  meeting.key_gradient = key_gradient_.data();
  meeting.value_gradient = value_gradient_.data();
  meeting.scale = static_cast<float>(problem::softmax_scale(setting_.head_dim));
  kernels::BackwardBlock block =
      backward_block(meeting, {entry, setting_.query_tokens, slice.row_begin, slice.row_count},
                     {entry, setting_.key_tokens, 0, setting_.key_tokens}, attention_);
  block.kv_heads = {slice.head_begin, slice.head_count};
  block.admission.causal = setting_.mask == problem::Mask::causal;
  block.admission.query_origin = setting_.key_tokens - setting_.query_tokens + slice.row_begin;
  kernels::attention_backward(space_, block, workspace_.data());
  space_.fence("ringscale::backward_tile: computed");
}

void BackwardTileBench::compute() const {
  for (std::int64_t entry = 0; entry < setting_.batch; ++entry) {
    each_slice(shape_, setting_.query_tokens, setting_.kv_heads,
               [&](const Slice &slice) { compute_slice(entry, slice); });
  }
}

std::int64_t BackwardTileBench::bytes() const {
  std::size_t elements = 0;
  for (const TileFloats *buffer : {&query_, &key_, &value_, &output_gradient_, &log_sum_exp_, &output_dot_,
                                   &query_gradient_, &key_gradient_, &value_gradient_, &workspace_}) {
    elements += buffer->size();
  }
  return static_cast<std::int64_t>(elements * sizeof(float));
}

} // namespace ringscale::ring
