// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/multihead.hpp"
#include "tests/kernels/attention_case.hpp"

namespace ringscale::kernels::test {

/// Numbers in double precision, each with a bound on how far a float32 computation of it may be off.
struct Bounded {
  std::vector<double> value;
  std::vector<double> error;

  explicit Bounded(std::size_t count) : value(count), error(count) {}
  std::size_t size() const { return value.size(); }
};

/// Exact numbers, as float32 stores them.
Bounded exactly(const std::vector<float> &values);

/// `count` numbers, uniform in (-largest, largest), of a fixed sequence per seed.
std::vector<float> random_floats(std::size_t count, std::uint64_t seed, double largest = 1.0);

/// How the reference may be made wrong: each must be caught by the bound.
enum class Fault {
  none,
  swapped_heads,       ///< query heads read each other's key/value heads
  missing_input_bias,  ///< the projections' bias is forgotten
  missing_output_bias, ///< that of the output
  wrong_fused_order,   ///< stacked weights taken as key, query, value
  norm_without_mean,   ///< deviations not taken from the mean
  missing_output_norm, ///< only one of the two norms
  lost_scale           ///< scores not divided by sqrt(head_dim)
};

/// y = x W^T + b by definition; rounding by Higham's gamma, for sums in any order.
Bounded reference_projection(const Bounded &input, std::int64_t rows, const Projection &projection);

/// Layer normalisation by definition.
Bounded reference_layer_norm(const Bounded &input, std::int64_t rows, std::int64_t features, const LayerNorm &norm,
                             Fault fault = Fault::none);

/// A layer with random weights and norms, in vectors of its own (host memory).
struct LayerData {
  MultiheadLayer layer;
  std::vector<float> input_weights, input_bias, output_weights, output_bias;
  std::vector<float> input_gain, input_shift, output_gain, output_shift;

  LayerData(std::int64_t embed_dim, std::int64_t query_heads, std::int64_t kv_heads, std::int64_t head_dim, bool norms,
            bool biases);
  LayerData(const LayerData &) = delete;
  LayerData &operator=(const LayerData &) = delete;
};

/// Tokens of a call: [batch, query_tokens, embed_dim] and [batch, key_tokens, embed_dim].
struct LayerInput {
  std::int64_t batch = 1;
  std::int64_t query_tokens = 1;
  std::int64_t key_tokens = 1;
  bool causal = false;
};

/// The layer's output by definition, with its bound.
Bounded reference_multihead(const MultiheadLayer &layer, const LayerInput &shape, const std::vector<float> &query,
                            const std::vector<float> &key, const std::vector<float> &value, bool self_attention,
                            Fault fault = Fault::none);

/// How many of `found` are farther from the expected values than their bounds; a NaN is.
std::int64_t wrong_elements(const std::vector<float> &found, const Bounded &expected);

} // namespace ringscale::kernels::test
