// SPDX-License-Identifier: Apache-2.0
#include "problem/transformer_model.hpp"

#include <string>

#include "problem/invalid_input.hpp"

namespace ringscale::problem {

namespace {

void require_between(const char *field, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high) {
    throw InvalidInput(std::string(field) + " is " + std::to_string(value) + "; it must be between " +
                       std::to_string(low) + " and " + std::to_string(high));
  }
}

double real(std::int64_t value) { return static_cast<double>(value); }

/// Columns of the query's, key's and value's projections together.
double input_columns(const AttentionProblem &attention) {
  return real((attention.query_heads + 2 * attention.kv_heads) * attention.head_dim);
}

double output_rows(const AttentionProblem &attention) { return real(attention.query_heads * attention.head_dim); }

} // namespace

void validate(const TransformerModel &model) {
  validate(model.attention);
  constexpr std::int64_t most = std::int64_t{1} << 40;
  require_between("layers", model.layers, 1, 1 << 20);
  require_between("embed_dim", model.embed_dim, 1, 1 << 24);
  require_between("feed_forward_dim", model.feed_forward_dim, 1, 1 << 26);
  require_between("vocabulary", model.vocabulary, 1, 1 << 30);
  require_between("positions", model.positions, 0, most);
}

TransformerParameters transformer_parameters(const TransformerModel &model) {
  validate(model);
  const double embed = real(model.embed_dim);
  const double layers = real(model.layers);
  const double biased = model.biases ? 1.0 : 0.0;
  TransformerParameters parameters;
  parameters.token_embedding = real(model.vocabulary) * embed;
  parameters.position_table = real(model.positions) * embed;
  parameters.attention =
      layers * (input_columns(model.attention) * (embed + biased) + embed * (output_rows(model.attention) + biased));
  parameters.feed_forward =
      layers * (real(model.feed_forward_dim) * (embed + biased) + embed * (real(model.feed_forward_dim) + biased));
  parameters.norms = (2.0 * layers + 1.0) * embed * (1.0 + biased);
  parameters.head = model.tied_head ? 0.0 : parameters.token_embedding;
  return parameters;
}

TransformerFlop transformer_forward_flop(const TransformerModel &model) {
  validate(model);
  const double rows = real(model.attention.batch) * real(model.attention.tokens);
  const double embed = real(model.embed_dim);
  const double layers = real(model.layers);
  TransformerFlop flop;
  flop.projections = layers * 2.0 * rows * embed * (input_columns(model.attention) + output_rows(model.attention));
  flop.attention = layers * forward_flop(model.attention);
  flop.feed_forward = layers * 4.0 * rows * embed * real(model.feed_forward_dim);
  flop.logits = 2.0 * rows * embed * real(model.vocabulary);
  return flop;
}

TransformerBytes transformer_bytes(const TransformerModel &model) {
  const double element = real(storage_bytes(model.attention.dtype));
  const TransformerParameters parameters = transformer_parameters(model);
  const double rows = real(model.attention.batch) * real(model.attention.tokens);
  TransformerBytes bytes;
  bytes.parameters = element * parameters.total();
  bytes.position_table = element * parameters.position_table;
  bytes.hidden_state = element * rows * real(model.embed_dim);
  bytes.logits = element * rows * real(model.vocabulary);
  return bytes;
}

} // namespace ringscale::problem
