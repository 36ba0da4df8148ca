// SPDX-License-Identifier: Apache-2.0
#include "pattern_case.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/block_sparse_row_blocks.hpp"
#include "kernels/dilated_row_blocks.hpp"
#include "kernels/tile/team_tile.hpp"

namespace ringscale::kernels::test {

namespace {

template <class Member> struct TeamTiles { using Type = tile::TeamTile<Member>; };

} // namespace

std::string PatternCase::text() const {
  return "batch " + std::to_string(batch) + " query_tokens " + std::to_string(query_tokens) + " from " +
         std::to_string(query_origin) + " key_tokens " + std::to_string(key_tokens) + " from " +
         std::to_string(key_origin) + " heads " + std::to_string(query_heads) + "/" + std::to_string(kv_heads) +
         " head_dim " + std::to_string(head_dim) + (causal ? " causal" : "");
}

double PatternCase::scale() const { return problem::softmax_scale(head_dim); }

void fill_tensor(const Owned4 &tensor, std::uint64_t seed, problem::Tensor kind) {
  edit_tensor(tensor, [&](std::int64_t batch, std::int64_t token, std::int64_t head, std::int64_t dim, float &element) {
    element = problem::synthetic_value(seed, kind, batch, token, head, dim);
  });
}

void edit_tensor(const Owned4 &tensor,
                 const std::function<void(std::int64_t, std::int64_t, std::int64_t, std::int64_t, float &)> &function) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, tensor);
  for (int batch = 0; batch < host.extent_int(0); ++batch) {
    for (int token = 0; token < host.extent_int(1); ++token) {
      for (int head = 0; head < host.extent_int(2); ++head) {
        for (int dim = 0; dim < host.extent_int(3); ++dim) {
          function(batch, token, head, dim, host(batch, token, head, dim));
        }
      }
    }
  }
  Kokkos::deep_copy(tensor, host);
}

PatternData::PatternData(const PatternCase &pattern_case)
    : shape(pattern_case), query("query", shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim),
      key("key", shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim),
      value("value", shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim),
      output_gradient("output gradient", shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim),
      reference_output("reference output", shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim),
      reference_log_sum_exp("reference lse", shape.batch, shape.query_tokens, shape.query_heads),
      reference_query_gradient("reference dq", shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim),
      reference_key_gradient("reference dk", shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim),
      reference_value_gradient("reference dv", shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim) {
  fill_tensor(query, shape.seed, problem::Tensor::query);
  fill_tensor(key, shape.seed, problem::Tensor::key);
  fill_tensor(value, shape.seed, problem::Tensor::value);
  fill_tensor(output_gradient, shape.seed + 1, problem::Tensor::value);
}

Partial PatternData::poisoned_partial() const {
  const Partial partial{Owned4("output", shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim),
                        Owned3("log-sum-exp", shape.batch, shape.query_tokens, shape.query_heads)};
  Kokkos::deep_copy(partial.output, std::numeric_limits<float>::quiet_NaN());
  Kokkos::deep_copy(partial.log_sum_exp, std::numeric_limits<float>::quiet_NaN());
  return partial;
}

Comparison PatternData::compare(const Partial &partial, std::int64_t merges) const {
  const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.output);
  const auto lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.log_sum_exp);
  const auto expected = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, reference_output);
  const auto expected_lse = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, reference_log_sum_exp);
  Comparison comparison;
  // A NaN once met stays: nothing is larger than it.
  const auto keep_larger = [](double &largest, double error) {
    if (std::isnan(error) || error > largest) {
      largest = error;
    }
  };
  for (std::size_t index = 0; index < output.size(); ++index) {
    keep_larger(comparison.max_error, std::abs(static_cast<double>(output.data()[index]) - expected.data()[index]));
  }
  for (std::size_t index = 0; index < lse.size(); ++index) {
    const auto found = static_cast<double>(lse.data()[index]);
    const bool same_infinity = std::isinf(found) && found == expected_lse.data()[index];
    keep_larger(comparison.max_lse_error, same_infinity ? 0.0 : std::abs(found - expected_lse.data()[index]));
  }
  comparison.bound = problem::attention_error_bound(problem::DType::float32, shape.key_tokens, shape.head_dim, merges,
                                                    problem::synthetic_magnitude(shape.head_dim));
  return comparison;
}

DilatedAttention PatternData::dilated(const Dilation &dilation, const Partial &partial) const {
  DilatedAttention attention;
  attention.query = query;
  attention.key = key;
  attention.value = value;
  attention.dilation = dilation;
  attention.causal = shape.causal;
  attention.scale = static_cast<float>(shape.scale());
  attention.query_origin = shape.query_origin;
  attention.key_origin = shape.key_origin;
  attention.output = partial.output;
  attention.log_sum_exp = partial.log_sum_exp;
  return attention;
}

DilatedReference PatternData::dilated_reference(const Dilation &dilation) const {
  return {query, key, value, dilation, shape.causal, shape.scale(), shape.query_origin, shape.key_origin};
}

void PatternData::compute_dilated_reference(const Dilation &dilation) const {
  const ExecutionSpace space;
  reference_dilated_attention(space, dilated_reference(dilation), reference_output, reference_log_sum_exp);
  space.fence();
}

void run_dilated(const DilatedAttention &attention, bool team) {
  const ExecutionSpace space;
  const Owned1 workspace("workspace", dilated_workspace_elements(attention));
  Kokkos::deep_copy(workspace, std::numeric_limits<float>::quiet_NaN()); // what is not packed must not be read
  if (!team) {
    dilated_attention(space, attention, workspace.data());
    space.fence();
    return;
  }
  if (!attention.accumulate) {
    clear_partial(space, attention.output, attention.log_sum_exp);
  }
  for (const DilatedLayout &layout : dilated_layouts(attention)) {
    if (layout.spans() > 0) {
      pack_dilated_group(space, attention, layout, workspace.data());
      launch_dilated_group<TeamTiles>(space, attention, layout, workspace.data());
    }
  }
  space.fence();
}

OwnedMask boolean_mask(const PatternCase &shape,
                       const std::function<bool(std::int64_t, std::int64_t, std::int64_t, std::int64_t)> &admits) {
  const OwnedMask mask("mask", shape.batch, shape.query_heads, shape.query_tokens, shape.key_tokens);
  const auto host = Kokkos::create_mirror_view(mask);
  for (std::int64_t batch = 0; batch < shape.batch; ++batch) {
    for (std::int64_t head = 0; head < shape.query_heads; ++head) {
      for (std::int64_t query = 0; query < shape.query_tokens; ++query) {
        for (std::int64_t key = 0; key < shape.key_tokens; ++key) {
          const bool in_order = !shape.causal || shape.key_origin + key <= shape.query_origin + query;
          host(batch, head, query, key) = in_order && admits(batch, head, query, key) ? 1 : 0;
        }
      }
    }
  }
  Kokkos::deep_copy(mask, host);
  return mask;
}

AttentionBlock whole_block(const PatternData &data, const Partial &partial, Owned1 &packed) {
  const PatternCase &shape = data.shape;
  packed = Owned1("packed", packed_elements(shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim));
  const ExecutionSpace space;
  pack_key_value(space, data.key, data.value, 0, shape.key_tokens, packed.data());
  space.fence();
  AttentionBlock block;
  block.query = data.query;
  block.packed_key_value = packed.data();
  block.key_tokens = shape.key_tokens;
  block.kv_heads = shape.kv_heads;
  block.query_end = shape.query_tokens;
  block.admission = {shape.causal, shape.query_origin, 1, shape.key_origin, 1};
  block.scale = static_cast<float>(shape.scale());
  block.output = partial.output;
  block.log_sum_exp = partial.log_sum_exp;
  return block;
}

void run_block_sparse(const AttentionBlock &block, const BlockMask &mask, bool team) {
  const ExecutionSpace space;
  if (team) {
    launch_block_sparse_attention<TeamTiles>(space, block, mask);
  } else {
    block_sparse_attention(space, block, mask);
  }
  space.fence();
}

bool same_bits(const Owned4 &first, const Owned4 &second) {
  const auto one = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, first);
  const auto other = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, second);
  return one.size() == other.size() && std::memcmp(one.data(), other.data(), one.size() * sizeof(float)) == 0;
}

} // namespace ringscale::kernels::test
