// SPDX-License-Identifier: Apache-2.0
#include "kernels/packed_key_value.hpp"

#include <stdexcept>
#include <string>

#include "kernels/tile/pack_tile.hpp"

namespace ringscale::kernels {

namespace {

/// One packed key tile and the values of the same tokens, of one head: a league rank is (batch, kv_head, tile).
struct PackTile {
  using Policy = Kokkos::TeamPolicy<ExecutionSpace>;
  using Member = Policy::member_type;

  ConstTensor4 key;
  ConstTensor4 value;
  std::int64_t token_begin;
  std::int64_t token_count;
  float *keys;
  float *values;
  std::int64_t head_elements; ///< from one head's keys to the next one's, and so for values

  KOKKOS_FUNCTION void operator()(const Member &member) const {
    const std::int64_t tiles = padded_tokens(token_count) / key_tile_tokens;
    const std::int64_t first = member.league_rank() % tiles * key_tile_tokens;
    const std::int64_t head_index = member.league_rank() / tiles;
    const std::int64_t heads = key.extent_int(2);
    const std::int64_t head_dim = key.extent_int(3);
    const std::int64_t batch = head_index / heads;
    const std::int64_t head = head_index % heads;
    float *packed_keys = keys + head_index * head_elements + first * head_dim;
    float *packed_values = values + head_index * head_elements + first * head_dim;
    const std::int64_t left = token_count - first;
    const std::int64_t count = left < key_tile_tokens ? left : key_tile_tokens;
    const std::int64_t stride = heads * head_dim;
    tile::pack_keys(member, {&key(batch, token_begin + first, head, 0), stride, count}, head_dim, packed_keys);
    tile::pack_values(member, {&value(batch, token_begin + first, head, 0), stride, count}, head_dim, packed_values);
  }
};

void launch_packing(const ExecutionSpace &space, const PackTile &pack) {
  Kokkos::Profiling::ScopedRegion region("ringscale::pack_key_value");
  const ConstTensor4 &key = pack.key;
  const ConstTensor4 &value = pack.value;
  const std::int64_t token_begin = pack.token_begin;
  const std::int64_t token_count = pack.token_count;
  for (int axis = 0; axis < 4; ++axis) {
    if (key.extent(axis) != value.extent(axis)) {
      throw std::invalid_argument("pack_key_value: key and value differ in shape");
    }
  }
  if (token_begin < 0 || token_count < 0 || token_begin + token_count > static_cast<std::int64_t>(key.extent(1))) {
    throw std::invalid_argument("pack_key_value: tokens " + std::to_string(token_begin) + " to " +
                                std::to_string(token_begin + token_count) + " do not lie in the key's " +
                                std::to_string(key.extent(1)));
  }
  const std::int64_t tiles = padded_tokens(token_count) / key_tile_tokens;
  const auto league = static_cast<int>(static_cast<std::int64_t>(key.extent(0) * key.extent(2)) * tiles);
  if (league > 0 && key.extent(3) > 0) {
    const PackTile::Policy policy = tile::pack_team_size > 0 ? PackTile::Policy(space, league, tile::pack_team_size)
                                                             : PackTile::Policy(space, league, Kokkos::AUTO);
    Kokkos::parallel_for("ringscale::pack_key_value", policy, pack);
  }
}

} // namespace

void pack_key_value(const ExecutionSpace &space, ConstTensor4 key, ConstTensor4 value, std::int64_t token_begin,
                    std::int64_t token_count, float *packed) {
  const auto head_dim = static_cast<std::int64_t>(key.extent(3));
  launch_packing(space, {key, value, token_begin, token_count, packed, packed + padded_tokens(token_count) * head_dim,
                         packed_head_elements(token_count, head_dim)});
}

void pack_keys_and_values_apart(const ExecutionSpace &space, ConstTensor4 key, ConstTensor4 value,
                                std::int64_t token_begin, std::int64_t token_count, float *packed_keys,
                                float *packed_values) {
  const auto head_dim = static_cast<std::int64_t>(key.extent(3));
  launch_packing(
      space, {key, value, token_begin, token_count, packed_keys, packed_values, padded_tokens(token_count) * head_dim});
}

} // namespace ringscale::kernels
