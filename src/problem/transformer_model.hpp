// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "problem/attention_problem.hpp"

namespace ringscale::problem {

/// A decoder-only transformer (Vaswani et al. 2017; Radford et al. 2019) around one attention shape: token and position
/// embeddings, `layers` blocks of attention and feed-forward network with two norms each, a final norm, a head.
struct TransformerModel {
  AttentionProblem attention; ///< batch, tokens, heads, head_dim, dtype and mask of each layer
  std::int64_t layers = 1;
  std::int64_t embed_dim = 0;
  std::int64_t feed_forward_dim = 0; ///< usually 4 embed_dim
  std::int64_t vocabulary = 0;
  std::int64_t positions = 0; ///< rows of a learned position table; 0 without one
  bool biases = true;         ///< of projections, feed-forward network and norms
  bool tied_head = true;      ///< the head is the token embedding
};

/// Learned numbers by purpose.
struct TransformerParameters {
  double token_embedding = 0.0, position_table = 0.0, attention = 0.0, feed_forward = 0.0, norms = 0.0, head = 0.0;
  double total() const { return token_embedding + position_table + attention + feed_forward + norms + head; }
};

/// FLOPs of one forward pass by purpose: 2 for each multiply and add; norms, softmax and activations are not counted.
struct TransformerFlop {
  double projections = 0.0;  ///< query, key, value and output
  double attention = 0.0;    ///< 4 pairs query_heads head_dim batch a layer
  double feed_forward = 0.0; ///< two products
  double logits = 0.0;       ///< 2 embed_dim vocabulary a token
  double total() const { return projections + attention + feed_forward + logits; }
};

/// Bytes in the dtype of the problem: what a claim of constant memory has to hold besides attention.
struct TransformerBytes {
  double parameters = 0.0;
  double position_table = 0.0; ///< part of parameters; grows with the context that the model is built for
  double hidden_state = 0.0;   ///< batch tokens embed_dim
  double logits = 0.0;         ///< batch tokens vocabulary
};

/// Throws InvalidInput naming the first field that is out of range.
void validate(const TransformerModel &model);

TransformerParameters transformer_parameters(const TransformerModel &model);
TransformerFlop transformer_forward_flop(const TransformerModel &model);
TransformerBytes transformer_bytes(const TransformerModel &model);

} // namespace ringscale::problem
