// SPDX-License-Identifier: Apache-2.0
// The multihead layer against its definition: self- and cross-attention, fused and separate projections, grouped heads,
// norms and biases, and faults that the bound must catch.
#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

#include "multihead_case.hpp"

namespace ringscale::kernels::test {
namespace {

ConstTensor3 tokens(const std::vector<float> &values, std::int64_t batch, std::int64_t count, std::int64_t embed_dim) {
  return {values.data(), static_cast<std::size_t>(batch), static_cast<std::size_t>(count),
          static_cast<std::size_t>(embed_dim)};
}

/// One call of the layer under test on tensors in host memory.
struct Call {
  MultiheadUse use;
  std::vector<float> output;
};

Call run(const MultiheadLayer &layer, const LayerInput &shape, const std::vector<float> &query,
         const std::vector<float> &key, const std::vector<float> &value,
         ProjectionPath path = ProjectionPath::automatic) {
  Call call;
  call.output.assign(query.size(), std::numeric_limits<float>::quiet_NaN());
  call.use = multihead_attention(
      ExecutionSpace(), layer, tokens(query, shape.batch, shape.query_tokens, layer.embed_dim),
      tokens(key, shape.batch, shape.key_tokens, layer.embed_dim),
      tokens(value, shape.batch, shape.key_tokens, layer.embed_dim), dense_attention_core(shape.causal),
      {call.output.data(), static_cast<std::size_t>(shape.batch), static_cast<std::size_t>(shape.query_tokens),
       static_cast<std::size_t>(layer.embed_dim)},
      path);
  return call;
}

std::vector<float> token_values(std::int64_t batch, std::int64_t count, std::int64_t embed_dim, std::uint64_t seed) {
  return random_floats(static_cast<std::size_t>(batch * count * embed_dim), seed, 1.7);
}

class LayerTest : public ::testing::TestWithParam<std::tuple<std::pair<int, int>, int, bool, bool>> {};

TEST_P(LayerTest, SelfAttentionEqualsTheDefinitionFusedAndSeparate) {
  const auto [heads, head_dim, norms, biases] = GetParam();
  const LayerData data(48, heads.first, heads.second, head_dim, norms, biases);
  for (const bool causal : {false, true}) {
    for (const std::int64_t count : {1, 7, 70}) {
      const LayerInput shape{2, count, count, causal};
      const std::vector<float> input = token_values(2, count, 48, 21);
      const Bounded expected = reference_multihead(data.layer, shape, input, input, input, true);
      for (const ProjectionPath path : {ProjectionPath::automatic, ProjectionPath::fused, ProjectionPath::separate}) {
        const Call call = run(data.layer, shape, input, input, input, path);
        EXPECT_TRUE(call.use.self_attention);
        EXPECT_EQ(call.use.fused, path != ProjectionPath::separate);
        EXPECT_EQ(wrong_elements(call.output, expected), 0) << count << " tokens";
      }
    }
  }
}

TEST_P(LayerTest, CrossAttentionEqualsTheDefinition) {
  const auto [heads, head_dim, norms, biases] = GetParam();
  const LayerData data(40, heads.first, heads.second, head_dim, norms, biases);
  const LayerInput shape{2, 13, 67, false};
  const std::vector<float> query = token_values(2, 13, 40, 31);
  const std::vector<float> key = token_values(2, 67, 40, 32);
  const std::vector<float> value = token_values(2, 67, 40, 33);
  const Call call = run(data.layer, shape, query, key, value);
  EXPECT_FALSE(call.use.self_attention);
  EXPECT_EQ(wrong_elements(call.output, reference_multihead(data.layer, shape, query, key, value, false)), 0);
}

INSTANTIATE_TEST_SUITE_P(Shapes, LayerTest,
                         ::testing::Combine(::testing::Values(std::pair(1, 1), std::pair(4, 4), std::pair(6, 2)),
                                            ::testing::Values(3, 16), ::testing::Bool(), ::testing::Bool()));

TEST(Multihead, SelfAttentionIsTheSameTensorThreeTimesAndNothingElse) {
  const LayerData data(32, 4, 4, 8, true, true);
  const LayerInput shape{1, 30, 30, false};
  const std::vector<float> query = token_values(1, 30, 32, 41);
  const std::vector<float> copy = query;
  EXPECT_TRUE(run(data.layer, shape, query, query, query).use.self_attention);
  EXPECT_FALSE(run(data.layer, shape, query, query, copy).use.self_attention);
  EXPECT_FALSE(run(data.layer, shape, query, copy, copy).use.self_attention);
  EXPECT_FALSE(
      run(data.layer, {1, 20, 30, false}, std::vector<float>(query.begin(), query.begin() + 20 * 32), query, query)
          .use.self_attention);
  // Two lengths of one tensor are not the same tensor either.
  std::vector<float> output(static_cast<std::size_t>(20 * 32));
  const MultiheadUse use =
      multihead_attention(ExecutionSpace(), data.layer, tokens(query, 1, 20, 32), tokens(query, 1, 30, 32),
                          tokens(query, 1, 30, 32), dense_attention_core(false), {output.data(), 1, 20, 32});
  EXPECT_FALSE(use.self_attention);
  EXPECT_THROW(run(data.layer, shape, query, copy, copy, ProjectionPath::fused), std::invalid_argument);
}

TEST(Multihead, NegativeControlsAreFound) {
  const LayerData data(32, 4, 2, 8, true, true);
  const LayerInput shape{2, 37, 37, true};
  std::vector<float> input = token_values(2, 37, 32, 51);
  for (float &element : input) {
    element += 0.5F; // so that the mean matters
  }
  const Call call = run(data.layer, shape, input, input, input);
  const auto elements = static_cast<std::int64_t>(input.size());
  ASSERT_EQ(wrong_elements(call.output, reference_multihead(data.layer, shape, input, input, input, true)), 0);
  for (const Fault fault :
       {Fault::swapped_heads, Fault::missing_input_bias, Fault::missing_output_bias, Fault::wrong_fused_order,
        Fault::norm_without_mean, Fault::missing_output_norm, Fault::lost_scale}) {
    const Bounded faulty = reference_multihead(data.layer, shape, input, input, input, true, fault);
    EXPECT_GT(wrong_elements(call.output, faulty), elements / 4) << "fault " << static_cast<int>(fault);
  }
}

TEST(Multihead, TheFusedPathTakenForDifferentTensorsIsFound) {
  const LayerData data(32, 4, 4, 8, true, true);
  const LayerInput shape{1, 25, 25, false};
  const std::vector<float> query = token_values(1, 25, 32, 61);
  const std::vector<float> memory = token_values(1, 25, 32, 62);
  const Bounded expected = reference_multihead(data.layer, shape, query, memory, memory, false);
  EXPECT_EQ(wrong_elements(run(data.layer, shape, query, memory, memory).output, expected), 0);
  // What a layer that only looks at shapes would compute:
  EXPECT_GT(wrong_elements(run(data.layer, shape, query, query, query).output, expected), 25 * 8);
}

TEST(Multihead, AnyAttentionRunsInside) {
  const LayerData data(24, 3, 3, 8, false, false);
  const std::vector<float> input = token_values(1, 11, 24, 71);
  std::vector<float> output(input.size());
  int calls = 0;
  // Attention to itself alone: the output is the value.
  const AttentionCore own_value = [&](const ExecutionSpace &space, ConstTensor4 query, ConstTensor4, ConstTensor4 value,
                                      Tensor4 attended) {
    ++calls;
    EXPECT_EQ(query.extent(1), 11U);
    EXPECT_EQ(value.extent(2), 3U);
    Kokkos::deep_copy(space, attended, value);
    space.fence();
  };
  multihead_attention(ExecutionSpace(), data.layer, tokens(input, 1, 11, 24), tokens(input, 1, 11, 24),
                      tokens(input, 1, 11, 24), own_value, {output.data(), 1, 11, 24});
  EXPECT_EQ(calls, 1);
  const Bounded values =
      reference_projection(exactly(input), 11, {data.layer.input_weights + 48 * 24, nullptr, 24, 24});
  EXPECT_EQ(wrong_elements(output, reference_projection(values, 11, {data.layer.output_weights, nullptr, 24, 24})), 0);
}

TEST(Multihead, CountsProductsAllocationsAndBytes) {
  const LayerData data(32, 4, 2, 8, true, true);
  const LayerInput shape{2, 10, 10, false};
  const std::vector<float> input = token_values(2, 10, 32, 81);
  const MultiheadUse fused = run(data.layer, shape, input, input, input, ProjectionPath::fused).use;
  const MultiheadUse separate = run(data.layer, shape, input, input, input, ProjectionPath::separate).use;
  EXPECT_EQ(fused.projections.products, 2);
  EXPECT_EQ(separate.projections.products, 4);
  // Normalised tokens, query, key, value and attended rows; the fused product needs a buffer of its own.
  EXPECT_EQ(separate.allocations, 5);
  EXPECT_EQ(separate.allocated_bytes, 4 * 20 * (32 + 32 + 16 + 16 + 32));
  EXPECT_EQ(separate.projections.moved_bytes, 0);
  EXPECT_EQ(fused.allocations, 6);
  EXPECT_EQ(fused.allocated_bytes, separate.allocated_bytes + 4 * 20 * 64 * ExecutionSpace().concurrency());
  EXPECT_EQ(fused.projections.moved_bytes, 4 * 20 * 64);
}

TEST(Multihead, DeclaresTheWorkOfItsProjectionsAndNorms) {
  const LayerData data(32, 4, 2, 8, true, true);
  const KernelWork self = multihead_work(data.layer, 2, 10, 10, true);
  const KernelWork cross = multihead_work(data.layer, 2, 10, 10, false);
  double flop = 0.0;
  for (int row = 0; row < 20; ++row) {
    for (int output = 0; output < 64 + 32; ++output) {
      flop += 1.0 + 2.0 * 32.0; // bias, and a product and a sum for each input
    }
    flop += 8.0 * (32 + 32);
  }
  EXPECT_EQ(self.flop, flop);
  EXPECT_EQ(cross.flop, flop);
  EXPECT_EQ(cross.read_bytes - self.read_bytes, 4.0 * 2 * 20 * 32); // the input is read three times instead of once
  EXPECT_EQ(cross.written_bytes, self.written_bytes);
}

TEST(Multihead, RefusesShapesThatDoNotFit) {
  LayerData data(32, 4, 2, 8, true, true);
  const LayerInput shape{1, 5, 5, false};
  const std::vector<float> input = token_values(1, 5, 32, 91);
  data.layer.kv_heads = 3;
  EXPECT_THROW(run(data.layer, shape, input, input, input), std::invalid_argument);
  data.layer.kv_heads = 2;
  data.layer.embed_dim = 0;
  EXPECT_THROW(run(data.layer, shape, input, input, input), std::invalid_argument);
  data.layer.embed_dim = 32;
  data.layer.output_weights = nullptr;
  EXPECT_THROW(run(data.layer, shape, input, input, input), std::invalid_argument);
}

} // namespace
} // namespace ringscale::kernels::test
