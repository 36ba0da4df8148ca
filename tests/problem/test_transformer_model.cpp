// SPDX-License-Identifier: Apache-2.0
// The transformer calculator against parameter counts that others published and against sums worked by hand.
#include <gtest/gtest.h>

#include "problem/invalid_input.hpp"
#include "problem/transformer_model.hpp"

namespace ringscale::problem {
namespace {

/// GPT-2 (Radford et al. 2019): learned positions, biases, tied head.
TransformerModel gpt2(std::int64_t layers, std::int64_t heads) {
  TransformerModel model;
  model.attention.tokens = 1024;
  model.attention.query_heads = heads;
  model.attention.kv_heads = heads;
  model.attention.head_dim = 64;
  model.attention.mask = Mask::causal;
  model.layers = layers;
  model.embed_dim = 64 * heads;
  model.feed_forward_dim = 4 * model.embed_dim;
  model.vocabulary = 50257;
  model.positions = 1024;
  return model;
}

TEST(TransformerModel, CountsTheParametersThatArePublishedForGpt2) {
  EXPECT_EQ(transformer_parameters(gpt2(12, 12)).total(), 124439808.0);
  EXPECT_EQ(transformer_parameters(gpt2(24, 16)).total(), 354823168.0);
  EXPECT_EQ(transformer_parameters(gpt2(48, 25)).total(), 1557611200.0);
}

TEST(TransformerModel, AWrongModelHasAnotherCount) {
  TransformerModel model = gpt2(12, 12);
  model.tied_head = false;
  EXPECT_EQ(transformer_parameters(model).total(), 124439808.0 + 50257.0 * 768.0);
  model = gpt2(12, 12);
  model.biases = false;
  EXPECT_LT(transformer_parameters(model).total(), 124439808.0);
}

TEST(TransformerModel, ForwardWorkIsTwiceTheMultipliedParametersAndAttention) {
  const TransformerModel model = gpt2(12, 12);
  const TransformerFlop flop = transformer_forward_flop(model);
  const double multiplied = 12.0 * 12.0 * 768.0 * 768.0; // 4 E^2 of attention and 8 E^2 of the network, 12 layers
  EXPECT_EQ(flop.projections + flop.feed_forward, 2.0 * 1024.0 * multiplied);
  EXPECT_EQ(flop.attention, 12.0 * 4.0 * (1024.0 * 1025.0 / 2.0) * 768.0);
  EXPECT_EQ(flop.logits, 2.0 * 1024.0 * 768.0 * 50257.0);
  EXPECT_EQ(flop.total(), flop.projections + flop.attention + flop.feed_forward + flop.logits);
}

TEST(TransformerModel, GroupedHeadsShrinkTheProjections) {
  TransformerModel model = gpt2(1, 8);
  model.attention.kv_heads = 2;
  model.biases = false;
  // Q and O 512 x 512 each, K and V 512 x 128 each.
  EXPECT_EQ(transformer_parameters(model).attention, 2.0 * 512.0 * 512.0 + 2.0 * 512.0 * 128.0);
}

TEST(TransformerModel, BytesIncludeLogitsAndThePositionTable) {
  TransformerModel model = gpt2(12, 12);
  model.attention.dtype = DType::bfloat16;
  model.positions = 1LL << 30; // a table for a billion positions is larger than the model
  const TransformerBytes bytes = transformer_bytes(model);
  EXPECT_EQ(bytes.position_table, 2.0 * 1073741824.0 * 768.0);
  EXPECT_EQ(bytes.logits, 2.0 * 1024.0 * 50257.0);
  EXPECT_EQ(bytes.hidden_state, 2.0 * 1024.0 * 768.0);
  EXPECT_EQ(bytes.parameters, 2.0 * (124439808.0 - 1024.0 * 768.0) + bytes.position_table);
}

TEST(TransformerModel, RefusesWhatIsOutOfRange) {
  TransformerModel model = gpt2(12, 12);
  model.vocabulary = 0;
  EXPECT_THROW(transformer_parameters(model), InvalidInput);
  model = gpt2(0, 12);
  EXPECT_THROW(transformer_forward_flop(model), InvalidInput);
}

} // namespace
} // namespace ringscale::problem
