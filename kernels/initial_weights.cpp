// SPDX-License-Identifier: Apache-2.0
#include "kernels/initial_weights.hpp"

#include <cmath>
#include <stdexcept>

namespace ringscale::kernels {

namespace {

void require_layers(std::int64_t layers) {
  if (layers < 1) {
    throw std::invalid_argument("magneto gain: a stack has at least one layer");
  }
}

/// The output mix of SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t mix(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31U);
}

/// Uniform in (0, 1), never 0, so that its logarithm is finite.
double uniform(std::uint64_t bits) { return (static_cast<double>(bits >> 11U) + 0.5) * 0x1p-53; }

} // namespace

double magneto_gain_single_stack(std::int64_t layers) {
  require_layers(layers);
  return std::sqrt(std::log(2.0 * static_cast<double>(layers)));
}

double magneto_gain_encoder(std::int64_t encoder_layers, std::int64_t decoder_layers) {
  require_layers(encoder_layers);
  require_layers(decoder_layers);
  return std::sqrt(std::log(3.0 * static_cast<double>(decoder_layers)) *
                   std::log(2.0 * static_cast<double>(encoder_layers)) / 3.0);
}

double magneto_gain_decoder(std::int64_t decoder_layers) {
  require_layers(decoder_layers);
  return std::sqrt(std::log(3.0 * static_cast<double>(decoder_layers)));
}

void xavier_normal(float *weights, std::int64_t outputs, std::int64_t inputs, double gain, std::uint64_t seed,
                   std::uint64_t stream) {
  if (outputs <= 0 || inputs <= 0 || !(gain >= 0.0)) {
    throw std::invalid_argument("xavier_normal: outputs, inputs or gain are out of range");
  }
  const double deviation = gain * std::sqrt(2.0 / static_cast<double>(inputs + outputs));
  const std::uint64_t key = mix(mix(seed) + stream);
  constexpr double two_pi = 6.28318530717958647692;
  for (std::int64_t index = 0; index < outputs * inputs; ++index) {
    // Box and Muller (1958), one of the two numbers.
    const std::uint64_t bits = mix(key + static_cast<std::uint64_t>(index));
    const double radius = std::sqrt(-2.0 * std::log(uniform(bits)));
    weights[index] = static_cast<float>(deviation * radius * std::cos(two_pi * uniform(mix(bits))));
  }
}

void initialise_multihead(float *input_weights, float *output_weights, std::int64_t embed_dim, std::int64_t query_heads,
                          std::int64_t kv_heads, std::int64_t head_dim, double gain, std::uint64_t seed) {
  const std::int64_t query_rows = query_heads * head_dim;
  const std::int64_t key_rows = kv_heads * head_dim;
  xavier_normal(input_weights, query_rows, embed_dim, 1.0, seed, 0);
  xavier_normal(input_weights + query_rows * embed_dim, key_rows, embed_dim, 1.0, seed, 1);
  xavier_normal(input_weights + (query_rows + key_rows) * embed_dim, key_rows, embed_dim, gain, seed, 2);
  xavier_normal(output_weights, embed_dim, query_rows, gain, seed, 3);
}

} // namespace ringscale::kernels
