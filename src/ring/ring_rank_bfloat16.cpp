// SPDX-License-Identifier: Apache-2.0
// Tensors that are stored and sent as bfloat16: made from floats in buffers that hold other things afterwards.
#include "kernels/packed_low_precision.hpp"
#include "ring/checksum.hpp"
#include "ring/pack_in_place.hpp"
#include "ring/ring_rank.hpp"
#include "ring/row_views.hpp"

namespace ringscale::ring {

using problem::AttentionProblem;
using problem::Tensor;
using problem::TokenSet;

std::uint64_t RingRank::block_checksum(const Buffer &block, std::int64_t owner) const {
  const std::int64_t elements = block_elements(options_.problem, owner);
  return stores_bfloat16(options_.problem) ? checksum(space_, patterns(block), elements)
                                           : checksum(space_, payload(block), elements);
}

void RingRank::load_bfloat16_forward() {
  constexpr kernels::NumberFormat format = kernels::NumberFormat::bfloat16;
  const AttentionProblem &attention = options_.problem.attention;
  const std::int64_t query_elements = attention.batch * query_tokens_ * attention.query_heads * attention.head_dim;
  const std::int64_t key_elements = attention.batch * key_tokens_ * attention.kv_heads * attention.head_dim;
  // Every tensor passes as floats through the memory of the output, which is not computed yet and at least as large:
  // the high-water mark stays the ring's. Key patterns wait in the query's place, value patterns where they were made.
  float *floats = queries_move() ? payload(home_) : output_.as<float>();
  std::uint16_t *query = queries_move() ? patterns(blocks_.front()) : query_.as<std::uint16_t>();
  std::uint16_t *packed = queries_move() ? key_value_.as<std::uint16_t>() : patterns(blocks_.front());
  inputs_.tensor(Tensor::key, floats);
  kernels::pack_elements(space_, floats, key_elements, format, query);
  space_.fence("ringscale::ring: keys rounded"); // before the memory of their floats is filled anew
  inputs_.tensor(Tensor::value, floats);
  const std::uint16_t *values = pack_in_place(space_, floats, key_elements, format);
  const auto unpacked = [&](const std::uint16_t *data) {
    return whole_rows<kernels::ConstStorageTensor4>(data, key_tokens_, attention.kv_heads, attention);
  };
  const TokenSet keys = keys_of(options_.problem, rank_);
  for (int span = 0; span < keys.span_count(); ++span) {
    kernels::pack_key_value(space_, unpacked(query), unpacked(values), span == 0 ? 0 : keys.first.count,
                            keys.span(span).count, packed + span_offset(options_.problem, rank_, span));
  }
  space_.fence("ringscale::ring: keys and values packed");
  inputs_.tensor(Tensor::query, floats);
  kernels::pack_elements(space_, floats, query_elements, format, query);
  space_.fence("ringscale::ring: queries rounded");
}

} // namespace ringscale::ring
