// SPDX-License-Identifier: Apache-2.0
#include "ring/tile_buffers.hpp"

#include <algorithm>

#include "problem/invalid_input.hpp"

namespace ringscale::ring {

problem::AttentionProblem attention_of(const TileSetting &setting) {
  if (setting.query_tokens < 1 || setting.key_tokens < 1) {
    throw problem::InvalidInput("a tile needs at least one query and one key token");
  }
  problem::AttentionProblem attention;
  attention.batch = setting.batch;
  attention.tokens = std::max(setting.query_tokens, setting.key_tokens);
  attention.query_heads = setting.query_heads;
  attention.kv_heads = setting.kv_heads;
  attention.head_dim = setting.head_dim;
  attention.mask = setting.mask;
  problem::validate(attention);
  return attention;
}

TileFloats touched(const std::string &label, std::int64_t elements) {
  return {label, static_cast<std::size_t>(elements)}; // a view zeroes itself
}

} // namespace ringscale::ring
