// SPDX-License-Identifier: Apache-2.0
// The multihead layer with dilated attention inside: at dilation 1 over one segment it is plain multihead attention.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/dilated_attention.hpp"
#include "multihead_case.hpp"

namespace ringscale::kernels::test {
namespace {

AttentionCore dilated_core(const Dilation &dilation, bool causal) {
  return [=](const ExecutionSpace &space, ConstTensor4 query, ConstTensor4 key, ConstTensor4 value, Tensor4 output) {
    const Owned3 log_sum_exp("lse", query.extent(0), query.extent(1), query.extent(2));
    DilatedAttention attention;
    attention.query = query;
    attention.key = key;
    attention.value = value;
    attention.dilation = dilation;
    attention.causal = causal;
    attention.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(query.extent(3))));
    attention.output = output;
    attention.log_sum_exp = log_sum_exp;
    const Owned1 workspace("workspace", dilated_workspace_elements(attention));
    dilated_attention(space, attention, workspace.data());
    space.fence();
  };
}

/// A layer of 6 query and 3 key/value heads over 2 sequences of 67 tokens.
class MultiheadPattern : public ::testing::TestWithParam<bool> {
protected:
  static constexpr std::int64_t batch = 2;
  static constexpr std::int64_t count = 67;
  static constexpr std::int64_t embed_dim = 48;

  MultiheadPattern()
      : data(embed_dim, 6, 3, 16, true, true),
        input(random_floats(static_cast<std::size_t>(batch * count * embed_dim), 71, 1.7)),
        expected(reference_multihead(data.layer, {batch, count, count, GetParam()}, input, input, input, true)) {}

  std::vector<float> run(const AttentionCore &core) const {
    const ConstTensor3 tokens(input.data(), batch, count, embed_dim);
    std::vector<float> output(input.size(), std::numeric_limits<float>::quiet_NaN());
    multihead_attention(ExecutionSpace(), data.layer, tokens, tokens, tokens, core,
                        {output.data(), batch, count, embed_dim});
    return output;
  }

  LayerData data;
  std::vector<float> input;
  Bounded expected;
};

TEST_P(MultiheadPattern, AtDilationOneItIsPlainMultiheadAttention) {
  for (const auto convention :
       {DilationConvention::split, DilationConvention::longnet, DilationConvention::longnet_blocked}) {
    const std::vector<float> output = run(dilated_core({{count}, {1}, convention}, GetParam()));
    EXPECT_EQ(wrong_elements(output, expected), 0);
    EXPECT_EQ(wrong_elements(output, exactly(run(dense_attention_core(GetParam())))), 0) << "not the same bits";
  }
}

TEST_P(MultiheadPattern, SegmentsShorterThanTheSequenceAreSeen) {
  EXPECT_GT(wrong_elements(run(dilated_core({{count - 1}, {1}, DilationConvention::split}, GetParam())), expected), 0);
}

TEST_P(MultiheadPattern, ADilationIsSeen) {
  EXPECT_GT(wrong_elements(run(dilated_core({{count}, {2}, DilationConvention::split}, GetParam())), expected), 0);
}

TEST_P(MultiheadPattern, AGroupThatCountsTwiceChangesNothing) {
  // Every pair has multiplicity 2, and the softmax divides by it.
  const Dilation twice{{count, 2 * count}, {1, 1}, DilationConvention::longnet};
  EXPECT_EQ(wrong_elements(run(dilated_core(twice, GetParam())), expected), 0);
}

INSTANTIATE_TEST_SUITE_P(Masks, MultiheadPattern, ::testing::Bool());

} // namespace
} // namespace ringscale::kernels::test
