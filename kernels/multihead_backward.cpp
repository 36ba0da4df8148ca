// SPDX-License-Identifier: Apache-2.0
#include "kernels/multihead_backward.hpp"

#include <cmath>
#include <stdexcept>
#include <string>

#include "kernels/attention.hpp"
#include "kernels/attention_backward.hpp"
#include "kernels/projection_backward.hpp"

namespace ringscale::kernels {

namespace {

using Buffer = Kokkos::View<float *, MemorySpace>;

Buffer take(const char *label, std::int64_t elements) {
  return Buffer(Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string(label)),
                static_cast<std::size_t>(elements));
}

void require(bool condition, const char *message) {
  if (!condition) {
    throw std::invalid_argument(std::string("multihead backward: ") + message);
  }
}

bool same_tensor(const ConstTensor3 &first, const ConstTensor3 &second) {
  return first.data() == second.data() && first.extent(1) == second.extent(1);
}

/// Sizes of a call and the layer's projections.
struct Plan {
  MultiheadLayer layer;
  std::int64_t batch, query_tokens, key_tokens;
  bool self_attention;

  std::int64_t query_rows() const { return batch * query_tokens; }
  std::int64_t key_rows() const { return batch * key_tokens; }
  std::int64_t query_columns() const { return layer.query_heads * layer.head_dim; }
  std::int64_t key_columns() const { return layer.kv_heads * layer.head_dim; }
  /// First of the stacked rows of weights that make the query (0), the key (1), the value (2).
  std::int64_t first_row(int part) const { return part == 0 ? 0 : query_columns() + (part - 1) * key_columns(); }
  std::int64_t columns(int part) const { return part == 0 ? query_columns() : key_columns(); }
  std::int64_t rows(int part) const { return part == 0 ? query_rows() : key_rows(); }

  Projection input_projection(int part) const {
    return {layer.input_weights + first_row(part) * layer.embed_dim,
            layer.input_bias == nullptr ? nullptr : layer.input_bias + first_row(part), layer.embed_dim, columns(part)};
  }
  Projection output_projection() const {
    return {layer.output_weights, layer.output_bias, query_columns(), layer.embed_dim};
  }
  ProjectionGradients output_gradients(const MultiheadGradients &wanted, float *input) const {
    return {input, false, wanted.output_weights, wanted.output_bias};
  }
  ProjectionGradients input_gradients(int part, const MultiheadGradients &wanted, float *input) const {
    return {input, self_attention && part > 0,
            wanted.input_weights == nullptr ? nullptr : wanted.input_weights + first_row(part) * layer.embed_dim,
            wanted.input_bias == nullptr ? nullptr : wanted.input_bias + first_row(part)};
  }
  std::size_t extent(std::int64_t value) const { return static_cast<std::size_t>(value); }
  Tensor4 shaped(const Buffer &buffer, int part) const {
    return Tensor4(buffer.data(), extent(batch), extent(part == 0 ? query_tokens : key_tokens),
                   extent(part == 0 ? layer.query_heads : layer.kv_heads), extent(layer.head_dim));
  }
  Tensor3 shaped_rows(const Buffer &buffer) const {
    return Tensor3(buffer.data(), extent(batch), extent(query_tokens), extent(layer.query_heads));
  }
};

Plan plan_of(const MultiheadLayer &layer, ConstTensor3 query, ConstTensor3 key, ConstTensor3 value,
             ConstTensor3 output_gradient, const MultiheadGradients &gradients) {
  require(layer.embed_dim > 0 && layer.query_heads > 0 && layer.kv_heads > 0 && layer.head_dim > 0,
          "embed_dim, heads and head_dim must be positive");
  require(layer.query_heads % layer.kv_heads == 0, "query_heads is no multiple of kv_heads");
  require(layer.input_weights != nullptr && layer.output_weights != nullptr, "weights are null");
  for (int axis = 0; axis < 3; ++axis) {
    require(key.extent(axis) == value.extent(axis), "key and value differ in shape");
    require(output_gradient.extent(axis) == query.extent(axis), "the output's gradient and query differ in shape");
  }
  require(key.extent(0) == query.extent(0), "key and query differ in batch");
  require(query.extent_int(2) == layer.embed_dim && key.extent_int(2) == layer.embed_dim,
          "the last extent of a tensor is not embed_dim");
  require(key.extent(1) > 0, "there is no key");
  const bool self_attention = same_tensor(query, key) && same_tensor(query, value);
  require(!self_attention || (gradients.key == nullptr && gradients.value == nullptr),
          "in self-attention the gradient of the tokens is that of the query");
  return {layer, query.extent_int(0), query.extent_int(1), key.extent_int(1), self_attention};
}

/// What the forward pass makes and the way back needs.
struct Recomputed {
  Buffer normalised; ///< tokens after the input norm; none without norms
  Buffer projected[3];
  Buffer attended;
  Buffer log_sum_exp;
  Buffer output_input; ///< what the output projection reads
  const float *input[3] = {};
};

Recomputed forward_again(const ExecutionSpace &space, const Plan &plan, const float *const (&tokens)[3],
                         const AttentionCores &cores) {
  const MultiheadLayer &layer = plan.layer;
  Recomputed made;
  made.input[0] = tokens[0];
  if (layer.sub_layer_norm) {
    made.normalised = take("ringscale::normalised", plan.query_rows() * layer.embed_dim);
    layer_norm(space, tokens[0], plan.query_rows(), layer.embed_dim, layer.input_norm, made.normalised.data());
    space.fence("ringscale::multihead_backward: input norm");
    made.input[0] = made.normalised.data();
  }
  for (int part = 0; part < 3; ++part) {
    made.input[part] = plan.self_attention || part == 0 ? made.input[0] : tokens[part];
    made.projected[part] = take("ringscale::projected", plan.rows(part) * plan.columns(part));
    project(space, made.input[part], plan.rows(part), plan.input_projection(part),
            {{made.projected[part].data(), plan.columns(part)}});
  }
  made.attended = take("ringscale::attended", plan.query_rows() * plan.query_columns());
  made.log_sum_exp = take("ringscale::log_sum_exp", plan.query_rows() * layer.query_heads);
  cores.forward(space, plan.shaped(made.projected[0], 0), plan.shaped(made.projected[1], 1),
                plan.shaped(made.projected[2], 2), plan.shaped(made.attended, 0), plan.shaped_rows(made.log_sum_exp));
  made.output_input = made.attended;
  if (layer.sub_layer_norm) {
    made.output_input = take("ringscale::output_input", plan.query_rows() * plan.query_columns());
    layer_norm(space, made.attended.data(), plan.query_rows(), plan.query_columns(), layer.output_norm,
               made.output_input.data());
    space.fence("ringscale::multihead_backward: output norm");
  }
  return made;
}

} // namespace

AttentionCores dense_attention_cores(bool causal) {
  const auto scale_of = [](const ConstTensor4 &query) {
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(query.extent(3))));
  };
  AttentionCores cores;
  cores.forward = [causal, scale_of](const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key,
                                     ConstTensor4 value, Tensor4 output, Tensor3 log_sum_exp) {
    const Buffer packed = take("ringscale::packed", packed_elements(key.extent_int(0), key.extent_int(1),
                                                                    key.extent_int(2), key.extent_int(3)));
    AttentionBlock block;
    block.query = query;
    block.query_end = query.extent_int(1);
    block.admission.causal = causal;
    block.scale = scale_of(query);
    block.output = output;
    block.log_sum_exp = log_sum_exp;
    attention(space, key, value, block, packed.data());
    space.fence("ringscale::multihead_backward: attention");
  };
  cores.backward = [causal, scale_of](const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key,
                                      ConstTensor4 value, ConstTensor4 output, ConstTensor3 log_sum_exp,
                                      ConstTensor4 output_gradient, Tensor4 query_gradient, Tensor4 key_gradient,
                                      Tensor4 value_gradient) {
    const Buffer dot = take("ringscale::output_dot", static_cast<std::int64_t>(log_sum_exp.size()));
    const Tensor3 output_dot(dot.data(), query.extent(0), query.extent(1), query.extent(2));
    output_gradient_dot(space, output, output_gradient, output_dot);
    BackwardBlock block;
    block.query = query;
    block.key = key;
    block.value = value;
    block.output_gradient = output_gradient;
    block.log_sum_exp = log_sum_exp;
    block.output_dot = output_dot;
    block.admission.causal = causal;
    block.scale = scale_of(query);
    block.query_gradient = query_gradient;
    block.key_gradient = key_gradient;
    block.value_gradient = value_gradient;
    const Buffer workspace = take("ringscale::backward_workspace", attention_backward_workspace_elements(space, block));
    attention_backward(space, block, workspace.data());
    space.fence("ringscale::multihead_backward: attention gradients");
  };
  return cores;
}

void multihead_backward(const ExecutionSpace &space, const MultiheadLayer &layer, ConstTensor3 query, ConstTensor3 key,
                        ConstTensor3 value, const AttentionCores &cores, ConstTensor3 output_gradient,
                        const MultiheadGradients &gradients, const std::function<void(LayerPart)> &part_is_ready) {
  Kokkos::Profiling::ScopedRegion region("ringscale::multihead_backward");
  const Plan plan = plan_of(layer, query, key, value, output_gradient, gradients);
  const auto ready = [&](LayerPart part) {
    if (part_is_ready) {
      part_is_ready(part);
    }
  };
  const Recomputed made = forward_again(space, plan, {query.data(), key.data(), value.data()}, cores);

  const Buffer attended_gradient = take("ringscale::attended_gradient", plan.query_rows() * plan.query_columns());
  project_backward(space, made.output_input.data(), output_gradient.data(), plan.query_rows(), plan.output_projection(),
                   plan.output_gradients(gradients, attended_gradient.data()));
  ready(LayerPart::output);
  const Buffer statistics =
      take("ringscale::row_statistics", layer_norm_backward_workspace_elements(plan.query_rows()));
  if (layer.sub_layer_norm) {
    layer_norm_backward(space, made.attended.data(), attended_gradient.data(), plan.query_rows(), plan.query_columns(),
                        layer.output_norm,
                        {attended_gradient.data(), gradients.output_norm.gain, gradients.output_norm.bias},
                        statistics.data());
    space.fence("ringscale::multihead_backward: output norm's gradients");
    ready(LayerPart::output_norm);
  }

  Buffer projected_gradient[3];
  for (int part = 0; part < 3; ++part) {
    projected_gradient[part] = take("ringscale::projected_gradient", plan.rows(part) * plan.columns(part));
  }
  cores.backward(space, plan.shaped(made.projected[0], 0), plan.shaped(made.projected[1], 1),
                 plan.shaped(made.projected[2], 2), plan.shaped(made.attended, 0), plan.shaped_rows(made.log_sum_exp),
                 plan.shaped(attended_gradient, 0), plan.shaped(projected_gradient[0], 0),
                 plan.shaped(projected_gradient[1], 1), plan.shaped(projected_gradient[2], 2));

  // The norm's own gradients need that of its output even where nobody asked for the tokens'.
  const LayerNormGradients norm_wanted{gradients.query, gradients.input_norm.gain, gradients.input_norm.bias};
  const bool through_norm = layer.sub_layer_norm && (norm_wanted.input != nullptr || norm_wanted.gain != nullptr ||
                                                     norm_wanted.bias != nullptr);
  const Buffer normalised_gradient =
      take("ringscale::normalised_gradient", through_norm ? plan.query_rows() * layer.embed_dim : 0);
  float *const query_gradient = through_norm ? normalised_gradient.data() : gradients.query;
  float *const token_gradients[3] = {query_gradient, plan.self_attention ? query_gradient : gradients.key,
                                     plan.self_attention ? query_gradient : gradients.value};
  for (int part = 0; part < 3; ++part) {
    project_backward(space, made.input[part], projected_gradient[part].data(), plan.rows(part),
                     plan.input_projection(part), plan.input_gradients(part, gradients, token_gradients[part]));
  }
  ready(LayerPart::input);
  if (through_norm) {
    layer_norm_backward(space, query.data(), normalised_gradient.data(), plan.query_rows(), layer.embed_dim,
                        layer.input_norm, norm_wanted, statistics.data());
    space.fence("ringscale::multihead_backward: input norm's gradients");
  }
  if (layer.sub_layer_norm) {
    ready(LayerPart::input_norm);
  }
}

KernelWork multihead_backward_work(const MultiheadLayer &layer, std::int64_t batch, std::int64_t query_tokens,
                                   std::int64_t key_tokens, bool self_attention, const MultiheadGradients &gradients) {
  const Plan plan{layer, batch, query_tokens, key_tokens, self_attention};
  KernelWork work;
  const auto add = [&](const KernelWork &part) {
    work.flop += part.flop;
    work.read_bytes += part.read_bytes;
    work.written_bytes += part.written_bytes;
  };
  float marker = 0.0F; // stands for a gradient that is computed; only its being there counts
  const bool norms = layer.sub_layer_norm;
  const LayerNormGradients norm_wanted{gradients.query, gradients.input_norm.gain, gradients.input_norm.bias};
  const bool through_norm =
      norms && (norm_wanted.input != nullptr || norm_wanted.gain != nullptr || norm_wanted.bias != nullptr);
  float *const query_gradient = through_norm ? &marker : gradients.query;
  float *const token_gradients[3] = {query_gradient, self_attention ? query_gradient : gradients.key,
                                     self_attention ? query_gradient : gradients.value};
  for (int part = 0; part < 3; ++part) {
    add(projection_work(plan.rows(part), plan.input_projection(part)));
    add(projection_backward_work(plan.rows(part), plan.input_projection(part),
                                 plan.input_gradients(part, gradients, token_gradients[part])));
  }
  add(projection_backward_work(plan.query_rows(), plan.output_projection(), plan.output_gradients(gradients, &marker)));
  if (norms) {
    add(layer_norm_work(plan.query_rows(), layer.embed_dim, layer.input_norm));
    add(layer_norm_work(plan.query_rows(), plan.query_columns(), layer.output_norm));
    add(layer_norm_backward_work(plan.query_rows(), plan.query_columns(), layer.output_norm,
                                 {&marker, gradients.output_norm.gain, gradients.output_norm.bias}));
  }
  if (through_norm) {
    add(layer_norm_backward_work(plan.query_rows(), layer.embed_dim, layer.input_norm, norm_wanted));
  }
  return work;
}

} // namespace ringscale::kernels
