// SPDX-License-Identifier: Apache-2.0
#include "ring/multihead_data.hpp"

#include <algorithm>
#include <cmath>

#include "problem/counter_random.hpp"

namespace ringscale::ring {

namespace {

// Keep the layer's numbers apart from the streams of attention's tensors, whose lowest bits are 1 to 4 of 4.
constexpr std::uint64_t weight_stream = 0x6C61796572000000;
constexpr std::uint64_t row_stream = 0x726F770000000000;
constexpr auto float_bytes = static_cast<std::int64_t>(sizeof(float));

std::size_t at(LayerWeight weight) { return static_cast<std::size_t>(weight); }

/// Uniform in (-1, 1).
double symmetric(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
  return 2.0 * problem::random_uniform(seed, stream, counter) - 1.0;
}

} // namespace

const char *name(LayerWeight weight) {
  constexpr std::array<const char *, layer_weight_count> names{"input_gain",     "input_shift", "input_weights",
                                                               "input_bias",     "output_gain", "output_shift",
                                                               "output_weights", "output_bias"};
  return names[at(weight)];
}

std::int64_t elements_of(const MultiheadShape &shape, LayerWeight weight) {
  switch (weight) {
  case LayerWeight::input_gain:
  case LayerWeight::input_shift:
  case LayerWeight::output_bias:
    return shape.embed_dim;
  case LayerWeight::input_weights:
    return shape.projected_columns() * shape.embed_dim;
  case LayerWeight::input_bias:
    return shape.projected_columns();
  case LayerWeight::output_gain:
  case LayerWeight::output_shift:
    return shape.query_columns();
  case LayerWeight::output_weights:
    return shape.embed_dim * shape.query_columns();
  }
  return 0;
}

LayerNumbers synthetic_weights(const MultiheadShape &shape, std::uint64_t seed) {
  LayerNumbers numbers;
  for (std::size_t place = 0; place < layer_weight_count; ++place) {
    const auto weight = static_cast<LayerWeight>(place);
    double centre = 0.0;
    double width = 0.5;
    if (weight == LayerWeight::input_gain || weight == LayerWeight::output_gain) {
      centre = 1.0;
    } else if (weight == LayerWeight::input_weights) {
      width = std::sqrt(3.0 / static_cast<double>(shape.embed_dim));
    } else if (weight == LayerWeight::output_weights) {
      width = std::sqrt(3.0 / static_cast<double>(shape.query_columns()));
    }
    numbers[place].resize(static_cast<std::size_t>(elements_of(shape, weight)));
    for (std::size_t element = 0; element < numbers[place].size(); ++element) {
      numbers[place][element] = static_cast<float>(centre + width * symmetric(seed, weight_stream + place, element));
    }
  }
  return numbers;
}

std::vector<float> synthetic_rows_of_entry(const MultiheadShape &shape, std::uint64_t seed, LayerInput input,
                                           std::int64_t batch, const problem::TokenSet &tokens) {
  const std::uint64_t stream = row_stream + static_cast<std::uint64_t>(input);
  const double mean = input == LayerInput::tokens ? 0.5 : 0.0;
  std::vector<float> rows;
  rows.reserve(static_cast<std::size_t>(tokens.count() * shape.embed_dim));
  for (std::int64_t row = 0; row < tokens.count(); ++row) {
    const std::int64_t first = (batch * shape.tokens + tokens.position(row)) * shape.embed_dim;
    for (std::int64_t feature = 0; feature < shape.embed_dim; ++feature) {
      const double uniform = symmetric(seed, stream, static_cast<std::uint64_t>(first + feature));
      rows.push_back(static_cast<float>(mean + std::sqrt(3.0) * uniform));
    }
  }
  return rows;
}

std::vector<float> synthetic_rows(const MultiheadShape &shape, std::uint64_t seed, LayerInput input,
                                  const problem::TokenSet &tokens) {
  std::vector<float> rows;
  for (std::int64_t batch = 0; batch < shape.batch; ++batch) {
    const std::vector<float> entry = synthetic_rows_of_entry(shape, seed, input, batch, tokens);
    rows.insert(rows.end(), entry.begin(), entry.end());
  }
  return rows;
}

LayerBuffer::LayerBuffer(memory::Ledger &ledger, memory::Purpose purpose, const char *label, std::int64_t elements)
    : buffer_(ledger, purpose, label, elements * float_bytes) {}

LayerBuffer::LayerBuffer(memory::Ledger &ledger, memory::Purpose purpose, const char *label,
                         const std::vector<float> &values)
    : LayerBuffer(ledger, purpose, label, static_cast<std::int64_t>(values.size())) {
  Kokkos::deep_copy(Kokkos::View<float *, kernels::MemorySpace, kernels::Unmanaged>(data(), values.size()),
                    Kokkos::View<const float *, Kokkos::HostSpace, kernels::Unmanaged>(values.data(), values.size()));
}

void LayerBuffer::copy_to(std::span<float> host) const {
  Kokkos::deep_copy(Kokkos::View<float *, Kokkos::HostSpace, kernels::Unmanaged>(host.data(), host.size()),
                    Kokkos::View<const float *, kernels::MemorySpace, kernels::Unmanaged>(data(), host.size()));
}

LayerMemory::LayerMemory(const MultiheadShape &shape, const LayerNumbers &weights, memory::Ledger &ledger)
    : shape_(shape) {
  for (std::size_t place = 0; place < layer_weight_count; ++place) {
    weights_[place] = LayerBuffer(ledger, memory::Purpose::workspace, "layer_weights", weights[place]);
    gradients_[place] = LayerBuffer(ledger, memory::Purpose::gradient, "layer_gradients",
                                    static_cast<std::int64_t>(weights[place].size()));
    host_[place].resize(weights[place].size());
  }
}

kernels::MultiheadLayer LayerMemory::layer() const {
  kernels::MultiheadLayer layer;
  layer.embed_dim = shape_.embed_dim;
  layer.query_heads = shape_.query_heads;
  layer.kv_heads = shape_.kv_heads;
  layer.head_dim = shape_.head_dim;
  layer.input_norm = {weight(LayerWeight::input_gain), weight(LayerWeight::input_shift)};
  layer.input_weights = weight(LayerWeight::input_weights);
  layer.input_bias = weight(LayerWeight::input_bias);
  layer.output_norm = {weight(LayerWeight::output_gain), weight(LayerWeight::output_shift)};
  layer.output_weights = weight(LayerWeight::output_weights);
  layer.output_bias = weight(LayerWeight::output_bias);
  return layer;
}

kernels::MultiheadGradients LayerMemory::gradients(float *tokens) const {
  kernels::MultiheadGradients wanted;
  wanted.query = tokens;
  wanted.input_norm = {nullptr, gradient(LayerWeight::input_gain), gradient(LayerWeight::input_shift)};
  wanted.input_weights = gradient(LayerWeight::input_weights);
  wanted.input_bias = gradient(LayerWeight::input_bias);
  wanted.output_norm = {nullptr, gradient(LayerWeight::output_gain), gradient(LayerWeight::output_shift)};
  wanted.output_weights = gradient(LayerWeight::output_weights);
  wanted.output_bias = gradient(LayerWeight::output_bias);
  return wanted;
}

std::array<std::int64_t, 2> LayerMemory::fetch(kernels::LayerPart part) {
  // Parts are numbered from the output to the input norm, weights the other way round.
  const auto last = static_cast<std::int64_t>(layer_weight_count) - 1 - 2 * static_cast<std::int64_t>(part);
  for (const std::int64_t place : {last, last - 1}) {
    const auto index = static_cast<std::size_t>(place);
    gradients_[index].copy_to(host_[index]);
  }
  return {last, last - 1};
}

std::vector<GradientTensor> LayerMemory::tensors() {
  std::vector<GradientTensor> all;
  for (std::size_t place = 0; place < layer_weight_count; ++place) {
    all.push_back({name(static_cast<LayerWeight>(place)), host_[place]});
  }
  return all;
}

} // namespace ringscale::ring
