// SPDX-License-Identifier: Apache-2.0
#include "kernels/packed_low_precision.hpp"

#include <stdexcept>
#include <string>

namespace ringscale::kernels {

namespace {

struct Copy {
  KOKKOS_INLINE_FUNCTION std::uint16_t operator()(std::uint16_t pattern) const { return pattern; }
};

template <FloatFormat format> struct Encode {
  KOKKOS_INLINE_FUNCTION std::uint16_t operator()(float value) const {
    return static_cast<std::uint16_t>(encode<format>(value));
  }
};

/// One tile of keys and the values of the same tokens, of one head: a league rank is (batch, kv_head, tile).
template <class Source, class ToPattern> struct PackTile {
  using Policy = Kokkos::TeamPolicy<ExecutionSpace>;
  using Member = typename Policy::member_type;

  Source key;
  Source value;
  std::int64_t token_begin;
  std::int64_t token_count;
  std::uint16_t *packed;

  KOKKOS_FUNCTION void operator()(const Member &member) const {
    const std::int64_t tiles = padded_tokens(token_count) / key_tile_tokens;
    const std::int64_t first = member.league_rank() % tiles * key_tile_tokens;
    const std::int64_t head_index = member.league_rank() / tiles;
    const std::int64_t head_dim = key.extent_int(3);
    const std::int64_t batch = head_index / key.extent_int(2);
    const std::int64_t head = head_index % key.extent_int(2);
    std::uint16_t *packed_head = packed + head_index * packed_low_precision_head_elements(token_count, head_dim);
    std::uint16_t *keys = packed_head + first * paired_dim(head_dim);
    std::uint16_t *values = packed_head + padded_tokens(token_count) * paired_dim(head_dim) + first * head_dim;
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member, key_tile_tokens), [&](const std::int64_t index) {
      const bool exists = first + index < token_count;
      const std::int64_t token = exists ? token_begin + first + index : 0;
      for (std::int64_t dim = 0; dim < paired_dim(head_dim); ++dim) {
        const bool inside = exists && dim < head_dim;
        keys[dim / 2 * 2 * key_tile_tokens + 2 * index + dim % 2] =
            inside ? ToPattern{}(key(batch, token, head, dim)) : std::uint16_t{0};
      }
      for (std::int64_t dim = 0; dim < head_dim; ++dim) {
        values[index / 2 * 2 * head_dim + 2 * dim + index % 2] =
            exists ? ToPattern{}(value(batch, token, head, dim)) : std::uint16_t{0};
      }
    });
  }
};

template <class ToPattern, class Source>
void pack(const ExecutionSpace &space, const Source &key, const Source &value, std::int64_t token_begin,
          std::int64_t token_count, std::uint16_t *packed) {
  Kokkos::Profiling::ScopedRegion region("ringscale::pack_key_value");
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
  using Kernel = PackTile<Source, ToPattern>;
  const std::int64_t tiles = padded_tokens(token_count) / key_tile_tokens;
  const auto league = static_cast<int>(static_cast<std::int64_t>(key.extent(0) * key.extent(2)) * tiles);
  if (league > 0 && key.extent(3) > 0) {
    Kokkos::parallel_for("ringscale::pack_key_value", typename Kernel::Policy(space, league, Kokkos::AUTO),
                         Kernel{key, value, token_begin, token_count, packed});
  }
}

} // namespace

void pack_key_value(const ExecutionSpace &space, ConstStorageTensor4 key, ConstStorageTensor4 value,
                    std::int64_t token_begin, std::int64_t token_count, std::uint16_t *packed) {
  pack<Copy>(space, key, value, token_begin, token_count, packed);
}

void pack_key_value(const ExecutionSpace &space, ConstTensor4 key, ConstTensor4 value, std::int64_t token_begin,
                    std::int64_t token_count, NumberFormat format, std::uint16_t *packed) {
  switch (format) {
  case NumberFormat::bfloat16:
    return pack<Encode<bfloat16_format>>(space, key, value, token_begin, token_count, packed);
  case NumberFormat::float16:
    return pack<Encode<float16_format>>(space, key, value, token_begin, token_count, packed);
  default:
    throw std::invalid_argument("pack_key_value: only bfloat16 and float16 are stored in two bytes");
  }
}

} // namespace ringscale::kernels
