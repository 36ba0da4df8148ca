// SPDX-License-Identifier: Apache-2.0
#include "kernels/multihead.hpp"

#include <cmath>
#include <stdexcept>
#include <string>

#include "kernels/attention.hpp"

namespace ringscale::kernels {

namespace {

void require(bool condition, const char *message) {
  if (!condition) {
    throw std::invalid_argument(std::string("multihead attention: ") + message);
  }
}

void check(const MultiheadLayer &layer, ConstTensor3 query, ConstTensor3 key, ConstTensor3 value, Tensor3 output) {
  require(layer.embed_dim > 0 && layer.query_heads > 0 && layer.kv_heads > 0 && layer.head_dim > 0,
          "embed_dim, heads and head_dim must be positive");
  require(layer.query_heads % layer.kv_heads == 0, "query_heads is no multiple of kv_heads");
  require(layer.input_weights != nullptr && layer.output_weights != nullptr, "weights are null");
  for (int axis = 0; axis < 3; ++axis) {
    require(key.extent(axis) == value.extent(axis), "key and value differ in shape");
    require(output.extent(axis) == query.extent(axis), "output and query differ in shape");
  }
  require(key.extent(0) == query.extent(0), "key and query differ in batch");
  require(query.extent_int(2) == layer.embed_dim && key.extent_int(2) == layer.embed_dim,
          "the last extent of a tensor is not embed_dim");
  require(key.extent(1) > 0, "there is no key");
}

bool same_tensor(const ConstTensor3 &first, const ConstTensor3 &second) {
  return first.data() == second.data() && first.extent(1) == second.extent(1);
}

/// Buffers of one call, and their count.
class Buffers {
public:
  explicit Buffers(MultiheadUse &use) : use_(use) {}

  Kokkos::View<float *, MemorySpace> take(const char *label, std::int64_t elements) {
    ++use_.allocations;
    use_.allocated_bytes += elements * static_cast<std::int64_t>(sizeof(float));
    return Kokkos::View<float *, MemorySpace>(Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string(label)),
                                              static_cast<std::size_t>(elements));
  }

private:
  MultiheadUse &use_;
};

/// The part of the input projections that begins at output row `begin`.
Projection part_of(const MultiheadLayer &layer, std::int64_t begin, std::int64_t outputs) {
  return {layer.input_weights + begin * layer.embed_dim,
          layer.input_bias == nullptr ? nullptr : layer.input_bias + begin, layer.embed_dim, outputs};
}

Projection output_projection(const MultiheadLayer &layer) {
  return {layer.output_weights, layer.output_bias, layer.query_heads * layer.head_dim, layer.embed_dim};
}

} // namespace

AttentionCore dense_attention_core(bool causal) {
  return
      [causal](const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key, ConstTensor4 value, Tensor4 output) {
        const Kokkos::View<float *, MemorySpace> packed(
            Kokkos::view_alloc(Kokkos::WithoutInitializing, "ringscale::packed"),
            static_cast<std::size_t>(
                packed_elements(key.extent_int(0), key.extent_int(1), key.extent_int(2), key.extent_int(3))));
        const Kokkos::View<float ***, Kokkos::LayoutRight, MemorySpace> log_sum_exp(
            Kokkos::view_alloc(Kokkos::WithoutInitializing, "ringscale::log_sum_exp"), query.extent(0), query.extent(1),
            query.extent(2));
        AttentionBlock block;
        block.query = query;
        block.query_end = query.extent_int(1);
        block.admission.causal = causal;
        block.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(query.extent(3))));
        block.output = output;
        block.log_sum_exp = log_sum_exp;
        attention(space, key, value, block, packed.data());
        space.fence("ringscale::multihead: dense attention");
      };
}

MultiheadUse multihead_attention(const ExecutionSpace &space, const MultiheadLayer &layer, ConstTensor3 query,
                                 ConstTensor3 key, ConstTensor3 value, const AttentionCore &core, Tensor3 output,
                                 ProjectionPath path) {
  Kokkos::Profiling::ScopedRegion region("ringscale::multihead_attention");
  check(layer, query, key, value, output);
  MultiheadUse use;
  use.self_attention = same_tensor(query, key) && same_tensor(query, value);
  require(path != ProjectionPath::fused || use.self_attention, "only self-attention can be projected at once");
  use.fused = use.self_attention && path != ProjectionPath::separate;
  Buffers buffers(use);
  const std::int64_t batch = query.extent_int(0);
  const std::int64_t query_rows = batch * query.extent_int(1);
  const std::int64_t key_rows = batch * key.extent_int(1);
  const std::int64_t query_columns = layer.query_heads * layer.head_dim;
  const std::int64_t key_columns = layer.kv_heads * layer.head_dim;

  Kokkos::View<float *, MemorySpace> normalised;
  const float *query_input = query.data();
  if (layer.sub_layer_norm) {
    normalised = buffers.take("ringscale::normalised", query_rows * layer.embed_dim);
    layer_norm(space, query.data(), query_rows, layer.embed_dim, layer.input_norm, normalised.data());
    space.fence("ringscale::multihead: input norm");
    query_input = normalised.data();
  }
  const float *key_input = use.self_attention ? query_input : key.data();
  const float *value_input = use.self_attention ? query_input : value.data();

  const auto queries = buffers.take("ringscale::queries", query_rows * query_columns);
  const auto keys = buffers.take("ringscale::keys", key_rows * key_columns);
  const auto values = buffers.take("ringscale::values", key_rows * key_columns);
  if (use.fused) {
    use.projections +=
        project(space, query_input, query_rows, part_of(layer, 0, query_columns + 2 * key_columns),
                {{queries.data(), query_columns}, {keys.data(), key_columns}, {values.data(), key_columns}});
  } else {
    use.projections +=
        project(space, query_input, query_rows, part_of(layer, 0, query_columns), {{queries.data(), query_columns}});
    use.projections +=
        project(space, key_input, key_rows, part_of(layer, query_columns, key_columns), {{keys.data(), key_columns}});
    use.projections += project(space, value_input, key_rows, part_of(layer, query_columns + key_columns, key_columns),
                               {{values.data(), key_columns}});
  }

  const auto attended = buffers.take("ringscale::attended", query_rows * query_columns);
  const auto shaped = [&](const float *elements, const ConstTensor3 &tokens_of, std::int64_t heads) {
    return ConstTensor4(elements, tokens_of.extent(0), tokens_of.extent(1), static_cast<std::size_t>(heads),
                        static_cast<std::size_t>(layer.head_dim));
  };
  core(space, shaped(queries.data(), query, layer.query_heads), shaped(keys.data(), key, layer.kv_heads),
       shaped(values.data(), value, layer.kv_heads),
       Tensor4(attended.data(), query.extent(0), query.extent(1), static_cast<std::size_t>(layer.query_heads),
               static_cast<std::size_t>(layer.head_dim)));
  if (layer.sub_layer_norm) {
    layer_norm(space, attended.data(), query_rows, query_columns, layer.output_norm, attended.data());
    space.fence("ringscale::multihead: output norm");
  }
  use.projections +=
      project(space, attended.data(), query_rows, output_projection(layer), {{output.data(), layer.embed_dim}});
  use.allocations += use.projections.allocations;
  use.allocated_bytes += use.projections.allocated_bytes;
  return use;
}

KernelWork multihead_work(const MultiheadLayer &layer, std::int64_t batch, std::int64_t query_tokens,
                          std::int64_t key_tokens, bool self_attention) {
  KernelWork work;
  const auto add = [&](const KernelWork &part) {
    work.flop += part.flop;
    work.read_bytes += part.read_bytes;
    work.written_bytes += part.written_bytes;
  };
  const std::int64_t query_columns = layer.query_heads * layer.head_dim;
  const std::int64_t key_columns = layer.kv_heads * layer.head_dim;
  if (self_attention) {
    add(projection_work(batch * query_tokens, part_of(layer, 0, query_columns + 2 * key_columns)));
  } else {
    add(projection_work(batch * query_tokens, part_of(layer, 0, query_columns)));
    add(projection_work(batch * key_tokens, part_of(layer, query_columns, key_columns)));
    add(projection_work(batch * key_tokens, part_of(layer, query_columns + key_columns, key_columns)));
  }
  add(projection_work(batch * query_tokens, output_projection(layer)));
  if (layer.sub_layer_norm) {
    add(layer_norm_work(batch * query_tokens, layer.embed_dim, layer.input_norm));
    add(layer_norm_work(batch * query_tokens, query_columns, layer.output_norm));
  }
  return work;
}

} // namespace ringscale::kernels
