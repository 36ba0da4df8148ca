// SPDX-License-Identifier: Apache-2.0
#include "kernels/dilated_attention.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/dilated_row_blocks.hpp"
#include "kernels/tile/select_tile.hpp"

namespace ringscale::kernels {

namespace {

template <int HeadDim> struct TileFor { template <class Member> using Of = tile::SelectTile<HeadDim, Member>; };

void require(bool condition, const std::string &message) {
  if (!condition) {
    throw std::invalid_argument("dilated attention: " + message);
  }
}

/// One packed tile of one span: its keys transposed, its values as they are; league = spans x tiles.
struct PackDilatedTile {
  using Policy = Kokkos::TeamPolicy<ExecutionSpace>;
  using Member = Policy::member_type;

  ConstTensor4 key;
  ConstTensor4 value;
  DilatedLayout layout;
  float *packed;

  KOKKOS_FUNCTION void operator()(const Member &member) const {
    const std::int64_t tiles = padded_tokens(layout.most_keys) / key_tile_tokens;
    const DilatedSpan span(layout, member.league_rank() / tiles);
    const std::int64_t first = member.league_rank() % tiles * key_tile_tokens;
    if (span.slot >= layout.used_slots(span.kv_head)) {
      return;
    }
    const StridedTokens tokens = layout.keys.in_segment(layout.group, layout.segments.begin + span.segment,
                                                        layout.slot_phase(span.kv_head, span.slot));
    if (first >= tokens.count) {
      return; // a shorter segment: nothing reads the tile
    }
    const std::int64_t head_dim = layout.head_dim;
    const std::int64_t row_elements = key.extent_int(2) * head_dim;
    const std::int64_t origin = span.batch * key.extent_int(1) * row_elements +
                                (tokens.first + first * layout.group.rate) * row_elements +
                                (layout.kv_head_begin + span.kv_head) * head_dim;
    const std::int64_t stride = layout.group.rate * row_elements;
    float *keys = packed + layout.span_offset(span.batch, span.kv_head, span.slot, span.segment) + first * head_dim;
    float *values = keys + padded_tokens(layout.most_keys) * head_dim;
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member, key_tile_tokens), [&](const std::int64_t index) {
      if (first + index < tokens.count) {
        const float *key_row = key.data() + origin + index * stride;
        const float *value_row = value.data() + origin + index * stride;
        for (std::int64_t dim = 0; dim < head_dim; ++dim) {
          keys[dim * key_tile_tokens + index] = key_row[dim];
        }
        for (std::int64_t dim = 0; dim < head_dim; ++dim) {
          values[index * head_dim + dim] = value_row[dim];
        }
      } else {
        for (std::int64_t dim = 0; dim < head_dim; ++dim) {
          keys[dim * key_tile_tokens + index] = 0.0F;
          values[index * head_dim + dim] = 0.0F;
        }
      }
    });
  }
};

} // namespace

void check_dilated_attention(const DilatedAttention &attention) {
  const ConstTensor4 &query = attention.query;
  const ConstTensor4 &key = attention.key;
  require(query.extent(3) > 0, "head_dim is 0");
  require(key.extent(0) == query.extent(0) && key.extent(3) == query.extent(3),
          "key and query differ in batch or head_dim");
  require(key.extent(2) > 0 && query.extent(2) % key.extent(2) == 0, "query_heads " + std::to_string(query.extent(2)) +
                                                                         " is no multiple of kv_heads " +
                                                                         std::to_string(key.extent(2)));
  require(attention.query_origin >= 0 && attention.key_origin >= 0, "origins must not be negative");
  for (int axis = 0; axis < 4; ++axis) {
    require(key.extent(axis) == attention.value.extent(axis), "key and value differ in shape");
    require(attention.output.extent(axis) == query.extent(axis), "output and query differ in shape");
  }
  for (int axis = 0; axis < 3; ++axis) {
    require(attention.log_sum_exp.extent(axis) == query.extent(axis),
            "log_sum_exp is not [batch, tokens, query_heads] of the query");
  }
}

std::vector<DilatedLayout> dilated_layouts(const DilatedAttention &attention) {
  check_dilated_attention(attention);
  return dilated_layouts(attention.dilation, {attention.query_origin, attention.query.extent_int(1)},
                         {attention.key_origin, attention.key.extent_int(1)}, attention.query.extent_int(0),
                         attention.query.extent_int(2), attention.key.extent_int(2), attention.query.extent_int(3));
}

std::int64_t dilated_workspace_elements(const DilatedAttention &attention) {
  std::int64_t most = 0;
  for (const DilatedLayout &layout : dilated_layouts(attention)) {
    most = std::max(most, layout.packed_elements());
  }
  return most;
}

void clear_partial(const ExecutionSpace &space, Tensor4 output, Tensor3 log_sum_exp) {
  Kokkos::deep_copy(space, output, 0.0F);
  Kokkos::deep_copy(space, log_sum_exp, -Kokkos::Experimental::infinity_v<float>);
}

void pack_dilated_group(const ExecutionSpace &space, const DilatedAttention &attention, const DilatedLayout &layout,
                        float *packed) {
  const std::int64_t league = layout.spans() * (padded_tokens(layout.most_keys) / key_tile_tokens);
  if (league > 0) {
    Kokkos::parallel_for("ringscale::pack_dilated",
                         PackDilatedTile::Policy(space, static_cast<int>(league), Kokkos::AUTO),
                         PackDilatedTile{attention.key, attention.value, layout, packed});
  }
}

void join_dilated_group(const ExecutionSpace &space, const DilatedAttention &attention, const DilatedLayout &layout,
                        const float *packed) {
  if (layout.spans() == 0) {
    return;
  }
  switch (layout.head_dim) {
  case 64:
    return launch_dilated_group<TileFor<64>::Of>(space, attention, layout, packed);
  case 128:
    return launch_dilated_group<TileFor<128>::Of>(space, attention, layout, packed);
  default:
    return launch_dilated_group<TileFor<0>::Of>(space, attention, layout, packed);
  }
}

void dilated_attention(const ExecutionSpace &space, const DilatedAttention &attention, float *workspace) {
  Kokkos::Profiling::ScopedRegion region("ringscale::dilated_attention");
  const std::vector<DilatedLayout> layouts = dilated_layouts(attention);
  if (!attention.accumulate) {
    clear_partial(space, attention.output, attention.log_sum_exp);
  }
  for (const DilatedLayout &layout : layouts) {
    require(layout.spans() == 0 || workspace != nullptr, "workspace is null");
    pack_dilated_group(space, attention, layout, workspace);
    join_dilated_group(space, attention, layout, workspace);
  }
}

KernelWork dilated_attention_work(const DilatedAttention &attention) {
  constexpr double float_bytes = sizeof(float);
  KernelWork work;
  for (const DilatedLayout &layout : dilated_layouts(attention)) {
    const DilatedCounts counts = count_tokens(layout, attention.causal);
    const auto dim = static_cast<double>(layout.head_dim);
    work.flop += 4.0 * counts.pairs * dim;
    work.read_bytes += float_bytes * (counts.rows * (2.0 * dim + 1.0) + 4.0 * counts.keys * dim);
    work.written_bytes += float_bytes * (counts.rows * (dim + 1.0) + 2.0 * counts.keys * dim);
  }
  if (!attention.accumulate) {
    work.written_bytes += float_bytes * static_cast<double>(attention.output.size() + attention.log_sum_exp.size());
  }
  return work;
}

} // namespace ringscale::kernels
