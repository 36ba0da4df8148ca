// SPDX-License-Identifier: Apache-2.0
// A whole multihead layer, its batch split over ranks, reduced through buckets while its backward pass runs.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/multihead_backward.hpp"
#include "ring/sampling.hpp"
#include "tests/ring/gradient_case.hpp"

namespace ringscale::ring::test {
namespace {

constexpr std::int64_t embed_dim = 12;
constexpr std::int64_t token_count = 6;
constexpr std::size_t sample_elements = embed_dim * token_count;

std::vector<float> fixed_numbers(std::size_t count, std::uint64_t stream, std::size_t first = 0) {
  std::vector<float> numbers(count);
  for (std::size_t index = 0; index < count; ++index) {
    numbers[index] = static_cast<float>(problem::random_uniform(11, stream, first + index) - 0.5);
  }
  return numbers;
}

/// A layer of 4 query and 2 key/value heads and its gradients, by part.
struct Layer {
  std::vector<float> input_weights = fixed_numbers(8 * 3 * embed_dim, 1);
  std::vector<float> input_bias = fixed_numbers(8 * 3, 2);
  std::vector<float> output_weights = fixed_numbers(12 * embed_dim, 3);
  std::vector<float> output_bias = fixed_numbers(embed_dim, 4);
  // In the order of the forward pass: input norm, input projections, output norm, output projection.
  std::vector<std::vector<float>> gradients{
      std::vector<float>(embed_dim), std::vector<float>(embed_dim), input_weights,  input_bias,
      std::vector<float>(12),        std::vector<float>(12),        output_weights, output_bias};

  std::vector<GradientTensor> tensors() {
    const char *const names[] = {"input gain",  "input shift",  "input weights",  "input bias",
                                 "output gain", "output shift", "output weights", "output bias"};
    std::vector<GradientTensor> result;
    for (std::size_t index = 0; index < gradients.size(); ++index) {
      result.push_back({names[index], gradients[index]});
    }
    return result;
  }

  /// The backward pass of `batch` samples, the first of which is `first` of the whole batch.
  void backward(std::size_t first, std::size_t batch, const std::function<void(kernels::LayerPart)> &ready) {
    const std::vector<float> tokens = fixed_numbers(batch * sample_elements, 5, first * sample_elements);
    const std::vector<float> upstream = fixed_numbers(batch * sample_elements, 6, first * sample_elements);
    kernels::MultiheadLayer layer;
    layer.embed_dim = embed_dim;
    layer.query_heads = 4;
    layer.kv_heads = 2;
    layer.head_dim = 3;
    layer.input_weights = input_weights.data();
    layer.input_bias = input_bias.data();
    layer.output_weights = output_weights.data();
    layer.output_bias = output_bias.data();
    kernels::MultiheadGradients wanted;
    wanted.input_norm = {nullptr, gradients[0].data(), gradients[1].data()};
    wanted.input_weights = gradients[2].data();
    wanted.input_bias = gradients[3].data();
    wanted.output_norm = {nullptr, gradients[4].data(), gradients[5].data()};
    wanted.output_weights = gradients[6].data();
    wanted.output_bias = gradients[7].data();
    const auto shaped = [batch](const std::vector<float> &values) {
      return kernels::ConstTensor3(values.data(), batch, token_count, embed_dim);
    };
    kernels::multihead_backward(kernels::ExecutionSpace(), layer, shaped(tokens), shaped(tokens), shaped(tokens),
                                kernels::dense_attention_cores(true), shaped(upstream), wanted, ready);
  }
};

/// Largest difference of any element, relative to the largest element of its gradient.
double difference(const Layer &found, const Layer &expected) {
  double worst = 0.0;
  for (std::size_t tensor = 0; tensor < found.gradients.size(); ++tensor) {
    double largest = 1e-30;
    double error = 0.0;
    for (std::size_t index = 0; index < found.gradients[tensor].size(); ++index) {
      const auto right = static_cast<double>(expected.gradients[tensor][index]);
      const double off = std::abs(static_cast<double>(found.gradients[tensor][index]) - right);
      raise_to(error, off);
      largest = std::max(largest, std::abs(right));
    }
    raise_to(worst, error / largest);
  }
  return worst;
}

TEST(WholeLayer, GradientsOfABatchSplitOverRanksAreThoseOfTheWholeBatch) {
  const auto ranks = static_cast<std::size_t>(world().size());
  const auto rank = static_cast<std::size_t>(world().rank());
  Layer whole;
  whole.backward(0, 2 * ranks, {});
  Layer split;
  memory::Ledger ledger;
  BucketOptions options;
  options.bucket_bytes = 1000; // several buckets, some of them under way while the input's gradients are computed
  options.mean = false;
  GradientBuckets buckets(world(), split.tensors(), options, ledger);
  ASSERT_GT(buckets.bucket_count(), 2);
  for (int round = 0; round < 2; ++round) {
    split.backward(2 * rank, 2, [&](kernels::LayerPart part) {
      const std::int64_t last[] = {7, 5, 3, 1}; // by part, from the output to the input norm
      buckets.ready(last[static_cast<std::size_t>(part)]);
      buckets.ready(last[static_cast<std::size_t>(part)] - 1);
    });
    if (round == 0) {
      EXPECT_FALSE(difference(split, whole) <= 1e-2) << "a part of the batch has other gradients";
    }
    buckets.finish();
    EXPECT_TRUE(difference(split, whole) <= 2e-5) << difference(split, whole);
  }
}

} // namespace
} // namespace ringscale::ring::test
