// SPDX-License-Identifier: Apache-2.0
// Gradients of the multihead layer, its norms and projections, against central differences of a double-precision
// forward that shares no formula with them.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "kernels/layer_norm_backward.hpp"
#include "kernels/projection_backward.hpp"
#include "multihead_gradient.hpp"

namespace ringscale::kernels::test {
namespace {

/// float32 rounds a few hundred times on the way to a gradient; the largest error seen is a tenth of this.
constexpr double tolerance = 2e-5;

MultiheadLayer sizes(std::int64_t query_heads, std::int64_t kv_heads, bool norms) {
  MultiheadLayer layer;
  layer.embed_dim = 10;
  layer.query_heads = query_heads;
  layer.kv_heads = kv_heads;
  layer.head_dim = 3;
  layer.sub_layer_norm = norms;
  return layer;
}

void expect_right(const GradientCase &shape, const Operands &expected) {
  const auto found = kernel_gradients(shape, dense_attention_cores(shape.shape.causal));
  for (std::size_t operand = 0; operand < operand_count; ++operand) {
    if (shape.operands[operand].empty()) {
      continue;
    }
    const double error = relative_error(found[operand], expected[operand]);
    EXPECT_TRUE(error <= tolerance) << name(static_cast<Operand>(operand)) << " " << error;
  }
}

/// Operands whose gradients the fault makes wrong.
int operands_seen(const GradientCase &shape, GradientFault fault) {
  const Operands faulty = central_differences(shape, fault);
  const auto found = kernel_gradients(shape, dense_attention_cores(shape.shape.causal));
  int seen = 0;
  for (std::size_t operand = 0; operand < operand_count; ++operand) {
    seen += relative_error(found[operand], faulty[operand]) <= 100.0 * tolerance ? 0 : 1;
  }
  return seen;
}

class LayerGradientTest : public ::testing::TestWithParam<std::tuple<std::pair<int, int>, bool, bool, bool>> {};

TEST_P(LayerGradientTest, EqualsCentralDifferences) {
  const auto [heads, norms, biases, causal] = GetParam();
  const GradientCase self(sizes(heads.first, heads.second, norms), {2, 5, 5, causal}, true, biases);
  expect_right(self, central_differences(self));
  const GradientCase cross(sizes(heads.first, heads.second, norms), {2, 4, 6, false}, false, biases);
  expect_right(cross, central_differences(cross));
}

INSTANTIATE_TEST_SUITE_P(Shapes, LayerGradientTest,
                         ::testing::Combine(::testing::Values(std::pair(2, 2), std::pair(4, 2), std::pair(3, 1)),
                                            ::testing::Bool(), ::testing::Bool(), ::testing::Bool()));

TEST(MultiheadBackward, TheDifferentiatedForwardIsTheLayer) {
  for (const bool self_attention : {true, false}) {
    const GradientCase shape(sizes(4, 2, true), {2, 5, self_attention ? 5 : 7, self_attention}, self_attention, true);
    const Operand key = self_attention ? Operand::query : Operand::key;
    const Operand value = self_attention ? Operand::query : Operand::value;
    const auto single = [&](Operand operand) { return shape.single[static_cast<std::size_t>(operand)]; };
    const Bounded expected = reference_multihead(shape.pointed(), shape.shape, single(Operand::query), single(key),
                                                 single(value), self_attention);
    const std::vector<double> found = forward(shape, shape.operands);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t index = 0; index < found.size(); ++index) {
      EXPECT_NEAR(found[index], expected.value[index], 1e-8); // epsilon of the norm is a float in one of them
    }
  }
}

TEST(MultiheadBackward, NegativeControlsAreFound) {
  const GradientCase shape(sizes(4, 2, true), {2, 5, 5, true}, true, true);
  EXPECT_EQ(operands_seen(shape, GradientFault::none), 0);
  for (const GradientFault fault : {GradientFault::lost_sigma, GradientFault::lost_mean, GradientFault::lost_scale,
                                    GradientFault::swapped_heads, GradientFault::lost_mask}) {
    EXPECT_GE(operands_seen(shape, fault), 5) << "fault " << static_cast<int>(fault);
  }
  // A dropped term of a derivative leaves the gradients that do not pass through it.
  EXPECT_GE(operands_seen(shape, GradientFault::frozen_statistics), 3);
  EXPECT_GE(operands_seen(shape, GradientFault::frozen_weights), 3);
  EXPECT_LT(operands_seen(shape, GradientFault::frozen_weights), static_cast<int>(operand_count) - 2);
}

TEST(MultiheadBackward, ACoreThatStandsInIsTheOneUsed) {
  const GradientCase shape(sizes(2, 2, true), {2, 5, 5, false}, true, true);
  const Operands expected = central_differences(shape);
  const AttentionCores dense = dense_attention_cores(false);
  int forwards = 0;
  int backwards = 0;
  AttentionCores counted = dense;
  counted.forward = [&](const auto &...arguments) {
    ++forwards;
    dense.forward(arguments...);
  };
  counted.backward = [&](const auto &...arguments) {
    ++backwards;
    dense.backward(arguments...);
  };
  const auto error_of = [&](const AttentionCores &cores) {
    return relative_error(kernel_gradients(shape, cores)[0], expected[0]);
  };
  EXPECT_TRUE(error_of(counted) <= tolerance);
  EXPECT_EQ(forwards, 1);
  EXPECT_EQ(backwards, 1);
  // Gradients of another attention than the forward's are not the layer's.
  AttentionCores mixed = dense;
  mixed.backward = dense_attention_cores(true).backward;
  EXPECT_FALSE(error_of(mixed) <= 100.0 * tolerance);
}

TEST(MultiheadBackward, PartsAreReadyFromTheLastToTheFirstWithTheirGradientsComplete) {
  for (const bool norms : {true, false}) {
    const GradientCase shape(sizes(2, 2, norms), {1, 5, 5, false}, true, true);
    const auto complete = kernel_gradients(shape, dense_attention_cores(false));
    std::vector<float> output_weights(complete[static_cast<std::size_t>(Operand::output_weights)].size());
    std::vector<float> input_weights(complete[static_cast<std::size_t>(Operand::input_weights)].size());
    MultiheadGradients gradients;
    gradients.output_weights = output_weights.data();
    gradients.input_weights = input_weights.data();
    const ConstTensor3 tokens(shape.single[0].data(), 1, 5, 10);
    std::vector<LayerPart> parts;
    multihead_backward(ExecutionSpace(), shape.pointed(), tokens, tokens, tokens, dense_attention_cores(false),
                       {shape.upstream.data(), 1, 5, 10}, gradients, [&](LayerPart part) {
                         parts.push_back(part);
                         if (part == LayerPart::output) {
                           EXPECT_EQ(output_weights, complete[static_cast<std::size_t>(Operand::output_weights)]);
                           EXPECT_EQ(input_weights, std::vector<float>(input_weights.size())) << "not yet";
                         }
                       });
    EXPECT_EQ(input_weights, complete[static_cast<std::size_t>(Operand::input_weights)]);
    const std::vector<LayerPart> expected =
        norms ? std::vector{LayerPart::output, LayerPart::output_norm, LayerPart::input, LayerPart::input_norm}
              : std::vector{LayerPart::output, LayerPart::input};
    EXPECT_EQ(parts, expected);
  }
}

TEST(MultiheadBackward, RefusesWhatDoesNotFit) {
  GradientCase shape(sizes(2, 2, true), {1, 5, 5, false}, true, true);
  const auto run = [&](const MultiheadLayer &layer, std::size_t upstream_tokens, const MultiheadGradients &gradients) {
    const ConstTensor3 tokens(shape.single[0].data(), 1, 5, 10);
    multihead_backward(ExecutionSpace(), layer, tokens, tokens, tokens, dense_attention_cores(false),
                       {shape.upstream.data(), 1, upstream_tokens, 10}, gradients);
  };
  std::vector<float> room(50);
  run(shape.pointed(), 5, {});
  EXPECT_THROW(run(shape.pointed(), 4, {}), std::invalid_argument);
  MultiheadGradients key_wanted;
  key_wanted.key = room.data();
  EXPECT_THROW(run(shape.pointed(), 5, key_wanted), std::invalid_argument) << "self-attention has no key of its own";
  MultiheadLayer layer = shape.pointed();
  layer.kv_heads = 3;
  EXPECT_THROW(run(layer, 5, {}), std::invalid_argument);
  layer = shape.pointed();
  layer.input_weights = nullptr;
  EXPECT_THROW(run(layer, 5, {}), std::invalid_argument);
}

TEST(MultiheadBackward, DeclaresTheWorkOfItsParts) {
  const GradientCase shape(sizes(4, 2, true), {2, 5, 5, true}, true, true);
  std::vector<float> any(1);
  MultiheadGradients gradients;
  gradients.query = gradients.input_weights = gradients.output_weights = any.data();
  gradients.input_bias = gradients.output_bias = any.data();
  gradients.input_norm = gradients.output_norm = {nullptr, any.data(), any.data()};
  const KernelWork work = multihead_backward_work(shape.pointed(), 2, 5, 5, true, gradients);
  const double rows = 10.0;
  const double columns[3] = {12.0, 6.0, 6.0};
  double flop = 0.0;
  for (int part = 0; part < 3; ++part) {
    flop += rows * (2.0 * 10.0 * columns[part] + columns[part]); // the projection again, with its bias
    flop += rows * (4.0 * 10.0 * columns[part] + columns[part]); // dx, dW and db
    flop += part == 0 ? 0.0 : rows * 10.0;                       // added to the tokens' gradient
  }
  flop += rows * (4.0 * 12.0 * 10.0 + 10.0);
  flop += 8.0 * rows * (10.0 + 12.0) + 19.0 * rows * (10.0 + 12.0);
  EXPECT_EQ(work.flop, flop);
  EXPECT_GT(work.read_bytes, 0.0);
  EXPECT_GT(work.written_bytes, 0.0);
  const KernelWork none = multihead_backward_work(shape.pointed(), 2, 5, 5, true, {});
  EXPECT_LT(none.flop, work.flop);
}

/// y = x W^T + b differentiated by definition, in double precision.
struct ProjectionExpectation {
  std::vector<double> input, weights, bias;

  ProjectionExpectation(const std::vector<float> &x, const std::vector<float> &dy, const std::vector<float> &w,
                        std::size_t rows, std::size_t inputs, std::size_t outputs)
      : input(rows * inputs), weights(outputs * inputs), bias(outputs) {
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t output = 0; output < outputs; ++output) {
        const auto upstream = static_cast<double>(dy[row * outputs + output]);
        bias[output] += upstream;
        for (std::size_t column = 0; column < inputs; ++column) {
          input[row * inputs + column] += upstream * static_cast<double>(w[output * inputs + column]);
          weights[output * inputs + column] += upstream * static_cast<double>(x[row * inputs + column]);
        }
      }
    }
  }
};

TEST(ProjectionBackward, EqualsTheDefinitionOnBothPathsAndAccumulates) {
  for (const std::size_t rows : {1, 37, 530}) {
    const std::size_t inputs = 19;
    const std::size_t outputs = 150;
    const std::vector<float> x = random_floats(rows * inputs, 1);
    const std::vector<float> dy = random_floats(rows * outputs, 2);
    const std::vector<float> w = random_floats(outputs * inputs, 3);
    const ProjectionExpectation expected(x, dy, w, rows, inputs, outputs);
    const Projection projection{w.data(), nullptr, 19, 150};
    for (const auto kernel : {project_backward, project_backward_by_elements}) {
      std::vector<float> dx(rows * inputs, std::numeric_limits<float>::quiet_NaN());
      std::vector<float> dw(outputs * inputs, std::numeric_limits<float>::quiet_NaN());
      std::vector<float> db(outputs, std::numeric_limits<float>::quiet_NaN());
      ProjectionGradients gradients{dx.data(), false, dw.data(), db.data()};
      kernel(ExecutionSpace(), x.data(), dy.data(), static_cast<std::int64_t>(rows), projection, gradients);
      EXPECT_TRUE(relative_error(dx, expected.input) <= tolerance);
      EXPECT_TRUE(relative_error(dw, expected.weights) <= tolerance);
      EXPECT_TRUE(relative_error(db, expected.bias) <= tolerance);
      gradients.accumulate_input = true;
      kernel(ExecutionSpace(), x.data(), dy.data(), static_cast<std::int64_t>(rows), projection, gradients);
      EXPECT_FALSE(relative_error(dx, expected.input) <= tolerance) << "added once more";
      for (float &element : dx) {
        element /= 2.0F;
      }
      EXPECT_TRUE(relative_error(dx, expected.input) <= tolerance);
      EXPECT_TRUE(relative_error(dw, expected.weights) <= tolerance) << "weights are overwritten";
    }
  }
}

TEST(ProjectionBackward, WithoutRowsWeightsHaveNoGradientAndWrongPointersAreRefused) {
  const std::vector<float> w(6, 1.0F);
  std::vector<float> dw(6, 5.0F);
  std::vector<float> db(2, 5.0F);
  const Projection projection{w.data(), nullptr, 3, 2};
  for (const auto kernel : {project_backward, project_backward_by_elements}) {
    dw.assign(6, 5.0F);
    kernel(ExecutionSpace(), nullptr, nullptr, 0, projection, {nullptr, false, dw.data(), db.data()});
    EXPECT_EQ(dw, std::vector<float>(6));
    EXPECT_EQ(db, std::vector<float>(2));
    EXPECT_THROW(kernel(ExecutionSpace(), nullptr, w.data(), 3, projection, {nullptr, false, dw.data(), nullptr}),
                 std::invalid_argument);
    EXPECT_THROW(kernel(ExecutionSpace(), w.data(), nullptr, 3, projection, {}), std::invalid_argument);
    EXPECT_THROW(kernel(ExecutionSpace(), w.data(), w.data(), 3, {nullptr, nullptr, 3, 2}, {dw.data()}),
                 std::invalid_argument);
    EXPECT_THROW(kernel(ExecutionSpace(), w.data(), w.data(), -1, projection, {}), std::invalid_argument);
  }
  const KernelWork work = projection_backward_work(4, projection, {dw.data(), true, dw.data(), db.data()});
  EXPECT_EQ(work.flop, 4.0 * (4.0 * 6.0 + 3.0 + 2.0));
  EXPECT_EQ(work.written_bytes, 4.0 * (12.0 + 6.0 + 2.0));
}

/// The norm of one row and its loss, for differences.
double norm_loss(const std::vector<double> &x, const std::vector<float> &gain, const std::vector<float> &dy) {
  double mean = 0.0;
  double variance = 0.0;
  for (const double value : x) {
    mean += value / static_cast<double>(x.size());
  }
  for (const double value : x) {
    variance += (value - mean) * (value - mean) / static_cast<double>(x.size());
  }
  double sum = 0.0;
  for (std::size_t feature = 0; feature < x.size(); ++feature) {
    sum += (x[feature] - mean) / std::sqrt(variance + 1e-5) * static_cast<double>(gain[feature]) *
           static_cast<double>(dy[feature]);
  }
  return sum;
}

TEST(LayerNormBackward, InputGradientEqualsDifferencesAndMayOverwriteTheUpstreamOne) {
  for (const std::size_t features : {3, 17, 64}) {
    const std::size_t rows = 5;
    const std::vector<float> x = random_floats(rows * features, 5, 2.0);
    const std::vector<float> dy = random_floats(rows * features, 6);
    const std::vector<float> gain = random_floats(features, 7);
    std::vector<double> expected;
    for (std::size_t row = 0; row < rows; ++row) {
      const auto begin = static_cast<std::ptrdiff_t>(row * features);
      const auto end = begin + static_cast<std::ptrdiff_t>(features);
      std::vector<double> moved(x.begin() + begin, x.begin() + end);
      const std::vector<float> upstream(dy.begin() + begin, dy.begin() + end);
      for (double &element : moved) {
        const double centre = element;
        element = centre + 1e-6;
        const double above = norm_loss(moved, gain, upstream);
        element = centre - 1e-6;
        expected.push_back((above - norm_loss(moved, gain, upstream)) / 2e-6);
        element = centre;
      }
    }
    std::vector<float> workspace(static_cast<std::size_t>(layer_norm_backward_workspace_elements(5)));
    std::vector<float> dx = dy;
    std::vector<float> dgain(features, std::numeric_limits<float>::quiet_NaN());
    std::vector<float> dbias(features, std::numeric_limits<float>::quiet_NaN());
    layer_norm_backward(ExecutionSpace(), x.data(), dx.data(), 5, static_cast<std::int64_t>(features),
                        {gain.data(), nullptr}, {dx.data(), dgain.data(), dbias.data()}, workspace.data());
    ExecutionSpace().fence();
    EXPECT_TRUE(relative_error(dx, expected) <= tolerance) << relative_error(dx, expected);
    std::vector<float> normalised(x.size());
    layer_norm(ExecutionSpace(), x.data(), 5, static_cast<std::int64_t>(features), {}, normalised.data());
    ExecutionSpace().fence();
    std::vector<double> bias_sum(features);
    std::vector<double> gain_sum(features);
    for (std::size_t index = 0; index < dy.size(); ++index) {
      bias_sum[index % features] += static_cast<double>(dy[index]);
      gain_sum[index % features] += static_cast<double>(dy[index]) * static_cast<double>(normalised[index]);
    }
    EXPECT_TRUE(relative_error(dbias, bias_sum) <= tolerance);
    EXPECT_TRUE(relative_error(dgain, gain_sum) <= tolerance);
    EXPECT_FALSE(relative_error(dgain, bias_sum) <= tolerance) << "the normalised input matters";
  }
}

TEST(LayerNormBackward, RefusesWhatIsOutOfRangeAndDeclaresItsWork) {
  std::vector<float> row(8, 1.0F);
  const auto run = [&](std::int64_t rows, std::int64_t features, float epsilon, float *workspace) {
    layer_norm_backward(ExecutionSpace(), row.data(), row.data(), rows, features, {nullptr, nullptr, epsilon}, {},
                        workspace);
  };
  run(2, 4, 1e-5F, row.data());
  ExecutionSpace().fence();
  EXPECT_THROW(run(-1, 4, 1e-5F, row.data()), std::invalid_argument);
  EXPECT_THROW(run(2, 0, 1e-5F, row.data()), std::invalid_argument);
  EXPECT_THROW(run(2, 4, -1.0F, row.data()), std::invalid_argument);
  EXPECT_THROW(run(2, 4, std::numeric_limits<float>::quiet_NaN(), row.data()), std::invalid_argument);
  EXPECT_THROW(run(2, 4, 1e-5F, nullptr), std::invalid_argument);
  const KernelWork work = layer_norm_backward_work(3, 4, {row.data(), nullptr}, {row.data(), row.data(), row.data()});
  EXPECT_EQ(work.flop, 12.0 * 19.0);
  EXPECT_EQ(work.read_bytes, 4.0 * (24.0 + 4.0));
  EXPECT_EQ(work.written_bytes, 4.0 * (12.0 + 8.0));
}

} // namespace
} // namespace ringscale::kernels::test
