// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace ringscale::kernels {

/// The gain by which MAGNETO (Wang et al. 2022, arXiv 2210.06423, section 2.3) scales the Xavier initialisation of
/// value, output and feed-forward weights; query and key weights keep gain 1. Layers are counted per stack.
double magneto_gain_single_stack(std::int64_t layers);                                 ///< sqrt(log(2 N))
double magneto_gain_encoder(std::int64_t encoder_layers, std::int64_t decoder_layers); ///< sqrt(log(3 M) log(2 N) / 3)
double magneto_gain_decoder(std::int64_t decoder_layers);                              ///< sqrt(log(3 M))

/// Fills weights [outputs, inputs] in host memory with independent normal numbers of standard deviation
/// gain sqrt(2 / (inputs + outputs)) (Glorot and Bengio 2010). Element i depends on seed, stream and i alone.
void xavier_normal(float *weights, std::int64_t outputs, std::int64_t inputs, double gain, std::uint64_t seed,
                   std::uint64_t stream);

/// The weights of a multihead layer in host memory: input_weights [(query_heads + 2 kv_heads) head_dim, embed_dim] with
/// gain 1 for query and key and `gain` for value, output_weights [embed_dim, query_heads head_dim] with `gain`. Each of
/// the four is a matrix of its own for its fan-in and fan-out.
void initialise_multihead(float *input_weights, float *output_weights, std::int64_t embed_dim, std::int64_t query_heads,
                          std::int64_t kv_heads, std::int64_t head_dim, double gain, std::uint64_t seed);

} // namespace ringscale::kernels
