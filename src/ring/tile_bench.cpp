// SPDX-License-Identifier: Apache-2.0
#include "ring/tile_bench.hpp"

#include <algorithm>

#include "kernels/attention_materialised.hpp"
#include "kernels/merge.hpp"
#include "kernels/packed_key_value.hpp"
#include "ring/rank_data.hpp"
#include "ring/slice.hpp"

namespace ringscale::ring {

using problem::TokenSet;

namespace {

std::size_t extent(std::int64_t value) { return static_cast<std::size_t>(value); }

} // namespace

TileBench::TileBench(const TileSetting &setting) : setting_(setting), attention_(attention_of(setting)) {
  const std::int64_t rows = setting.batch * setting.query_tokens * setting.query_heads;
  const std::int64_t keys = setting.batch * setting.key_tokens * setting.kv_heads;
  query_ = touched("ringscale::tile::query", rows * setting.head_dim);
  output_ = touched("ringscale::tile::output", rows * setting.head_dim);
  other_output_ = touched("ringscale::tile::other_output", rows * setting.head_dim);
  lse_ = touched("ringscale::tile::lse", rows);
  other_lse_ = touched("ringscale::tile::other_lse", rows);
  key_ = touched("ringscale::tile::key", keys * setting.head_dim);
  value_ = touched("ringscale::tile::value", keys * setting.head_dim);
  packed_ = touched("ringscale::tile::packed",
                    kernels::packed_elements(setting.batch, setting.key_tokens, setting.kv_heads, setting.head_dim));
  if (setting.kernel == memory::KernelKind::materialised) {
    scores_ = touched("ringscale::tile::scores", rows * setting.key_tokens);
  }
  const TokenSet queries{{0, setting.query_tokens, 1}, {}};
  const TokenSet key_tokens{{0, setting.key_tokens, 1}, {}};
  constexpr std::uint64_t seed = 1;
  fill_tensor(query_.data(), seed, problem::Tensor::query, attention_, queries);
  fill_tensor(key_.data(), seed, problem::Tensor::key, attention_, key_tokens);
  fill_tensor(value_.data(), seed, problem::Tensor::value, attention_, key_tokens);
  pack();
}

kernels::Tensor4 TileBench::tensor4(const TileFloats &data, std::int64_t tokens, std::int64_t heads) const {
  return {data.data(), extent(setting_.batch), extent(tokens), extent(heads), extent(setting_.head_dim)};
}

kernels::Tensor3 TileBench::tensor3(const TileFloats &data) const {
  return {data.data(), extent(setting_.batch), extent(setting_.query_tokens), extent(setting_.query_heads)};
}

void TileBench::pack() const {
  kernels::pack_key_value(space_, tensor4(key_, setting_.key_tokens, setting_.kv_heads),
                          tensor4(value_, setting_.key_tokens, setting_.kv_heads), 0, setting_.key_tokens,
                          packed_.data());
  space_.fence("ringscale::tile: packed");
}

void TileBench::merge() const {
  kernels::merge_partials(space_, tensor4(output_, setting_.query_tokens, setting_.query_heads), tensor3(lse_),
                          tensor4(other_output_, setting_.query_tokens, setting_.query_heads), tensor3(other_lse_));
  space_.fence("ringscale::tile: merged");
}

void TileBench::compute_slice(const Slice &slice) const {
  kernels::AttentionBlock block;
  block.query = tensor4(query_, setting_.query_tokens, setting_.query_heads);
  block.packed_key_value = packed_.data();
  block.key_tokens = setting_.key_tokens;
  block.kv_heads = setting_.kv_heads;
  block.query_begin = slice.row_begin;
  block.query_end = slice.row_begin + slice.row_count;
  block.heads = {slice.head_begin, slice.head_count};
  block.admission.causal = setting_.mask == problem::Mask::causal;
  block.admission.query_origin = setting_.key_tokens - setting_.query_tokens;
  block.scale = static_cast<float>(problem::softmax_scale(setting_.head_dim));
  block.output = tensor4(output_, setting_.query_tokens, setting_.query_heads);
  block.log_sum_exp = tensor3(lse_);
  block.merge = setting_.merge_online ? kernels::Merge::online : kernels::Merge::replace;
  if (setting_.kernel == memory::KernelKind::materialised) {
    kernels::attention_block_materialised(
        space_, block, scores_.data() + setting_.batch * setting_.query_heads * slice.row_begin * setting_.key_tokens);
  } else {
    kernels::attention_block(space_, block);
  }
  space_.fence("ringscale::tile: computed");
}

void TileBench::compute_in_slices(const std::function<void()> &between) const {
  const SliceShape shape = forward_slice(attention_, setting_.query_tokens, setting_.key_tokens, space_.concurrency());
  each_slice(shape, setting_.query_tokens, setting_.query_heads, [&](const Slice &slice) {
    compute_slice(slice);
    between();
  });
}

std::int64_t TileBench::bytes() const {
  std::size_t elements = 0;
  for (const TileFloats *buffer :
       {&query_, &key_, &value_, &packed_, &output_, &lse_, &other_output_, &other_lse_, &scores_}) {
    elements += buffer->size();
  }
  return static_cast<std::int64_t>(elements * sizeof(float));
}

} // namespace ringscale::ring
