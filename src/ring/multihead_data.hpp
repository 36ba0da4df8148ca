// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/multihead_backward.hpp"
#include "memory/ledger.hpp"
#include "memory/tracked_buffer.hpp"
#include "problem/token_span.hpp"
#include "ring/gradient_buckets.hpp"

namespace ringscale::ring {

/// Sizes of a multihead layer over a whole sequence.
struct MultiheadShape {
  std::int64_t batch = 1;
  std::int64_t tokens = 0;
  std::int64_t embed_dim = 0;
  std::int64_t query_heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;

  std::int64_t query_columns() const { return query_heads * head_dim; }
  std::int64_t key_columns() const { return kv_heads * head_dim; }
  std::int64_t projected_columns() const { return query_columns() + 2 * key_columns(); }
};

/// The trained parts of a layer in the order of its forward pass, which is the order that GradientBuckets expect.
enum class LayerWeight {
  input_gain,
  input_shift,
  input_weights,
  input_bias,
  output_gain,
  output_shift,
  output_weights,
  output_bias
};
inline constexpr std::size_t layer_weight_count = 8;

/// "input_gain": the word of result rows.
const char *name(LayerWeight weight);
std::int64_t elements_of(const MultiheadShape &shape, LayerWeight weight);

/// A number each element of every part, on the host.
using LayerNumbers = std::array<std::vector<float>, layer_weight_count>;

/// Weights from the seed: uniform, of variance 1 / inputs, so that projections of normalised tokens have variance 1;
/// biases and shifts in (-0.5, 0.5), gains in (0.5, 1.5).
LayerNumbers synthetic_weights(const MultiheadShape &shape, std::uint64_t seed);

/// What a layer is given: its tokens, or the gradient of its output.
enum class LayerInput { tokens, output_gradient };

/// The rows of `tokens`, [batch, tokens.count(), embed_dim], uniform with variance 1 from the seed; a layer's tokens
/// have mean 0.5, so that the norm's mean matters. Any rank can make any rows alone.
std::vector<float> synthetic_rows(const MultiheadShape &shape, std::uint64_t seed, LayerInput input,
                                  const problem::TokenSet &tokens);
/// The same of one batch entry, [tokens.count(), embed_dim].
std::vector<float> synthetic_rows_of_entry(const MultiheadShape &shape, std::uint64_t seed, LayerInput input,
                                           std::int64_t batch, const problem::TokenSet &tokens);

/// A run of floats in the kernels' memory, counted in a ledger.
class LayerBuffer {
public:
  LayerBuffer() = default;
  LayerBuffer(memory::Ledger &ledger, memory::Purpose purpose, const char *label, std::int64_t elements);
  LayerBuffer(memory::Ledger &ledger, memory::Purpose purpose, const char *label, const std::vector<float> &values);

  float *data() const { return buffer_.as<float>(); }
  void copy_to(std::span<float> host) const;

private:
  memory::TrackedBuffer<kernels::MemorySpace> buffer_;
};

/// A layer and its gradients in the kernels' memory, with host copies of the gradients to reduce.
class LayerMemory {
public:
  LayerMemory(const MultiheadShape &shape, const LayerNumbers &weights, memory::Ledger &ledger);

  kernels::MultiheadLayer layer() const;
  /// Where kernels::multihead_backward writes; `tokens` gets the gradient of the tokens.
  kernels::MultiheadGradients gradients(float *tokens) const;

  /// The gradients of a part that is complete come to the host; their places in tensors(), the last one first.
  std::array<std::int64_t, 2> fetch(kernels::LayerPart part);
  /// Host copies of all gradients.
  std::vector<GradientTensor> tensors();
  LayerNumbers &host_gradients() { return host_; }

private:
  const float *weight(LayerWeight which) const { return weights_[static_cast<std::size_t>(which)].data(); }
  float *gradient(LayerWeight which) const { return gradients_[static_cast<std::size_t>(which)].data(); }

  MultiheadShape shape_;
  std::array<LayerBuffer, layer_weight_count> weights_, gradients_;
  LayerNumbers host_;
};

} // namespace ringscale::ring
