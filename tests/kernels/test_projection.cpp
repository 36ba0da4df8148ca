// SPDX-License-Identifier: Apache-2.0
// Projections, layer normalisation and initial weights.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "kernels/blas.hpp"
#include "kernels/initial_weights.hpp"
#include "multihead_case.hpp"

namespace ringscale::kernels::test {
namespace {

struct ProjectionData {
  std::vector<float> input, weights, bias;
  std::int64_t rows;
  Projection projection;

  ProjectionData(std::int64_t rows_, std::int64_t inputs, std::int64_t outputs, bool with_bias)
      : input(random_floats(static_cast<std::size_t>(rows_ * inputs), 1)),
        weights(random_floats(static_cast<std::size_t>(outputs * inputs), 2)),
        bias(random_floats(static_cast<std::size_t>(outputs), 3)),
        rows(rows_), projection{weights.data(), with_bias ? bias.data() : nullptr, inputs, outputs} {}

  std::vector<float> unwritten() const {
    return std::vector<float>(static_cast<std::size_t>(rows * projection.outputs),
                              std::numeric_limits<float>::quiet_NaN());
  }
};

TEST(Projection, EqualsTheDefinitionByCblasAndByTeams) {
  const std::int64_t shapes[][3] = {{1, 1, 1}, {3, 5, 7}, {17, 64, 33}, {260, 40, 65}, {1100, 9, 4}};
  for (const auto &shape : shapes) {
    for (const bool bias : {false, true}) {
      const ProjectionData data(shape[0], shape[1], shape[2], bias);
      const Bounded expected = reference_projection(exactly(data.input), data.rows, data.projection);
      std::vector<float> output = data.unwritten();
      const ProjectionUse use = project(ExecutionSpace(), data.input.data(), data.rows, data.projection,
                                        {{output.data(), data.projection.outputs}});
      EXPECT_EQ(wrong_elements(output, expected), 0) << shape[0] << " rows";
      EXPECT_EQ(use.products, 1);
      EXPECT_EQ(use.allocations, 0);
      output = data.unwritten();
      project_by_teams(ExecutionSpace(), data.input.data(), data.rows, data.projection, output.data());
      EXPECT_EQ(wrong_elements(output, expected), 0) << shape[0] << " rows by teams";
      if (bias) {
        Projection without = data.projection;
        without.bias = nullptr;
        EXPECT_GT(wrong_elements(output, reference_projection(exactly(data.input), data.rows, without)),
                  static_cast<std::int64_t>(output.size()) * 9 / 10);
      }
    }
  }
}

TEST(Projection, PartsHoldWhatOneMatrixWould) {
  for (const std::int64_t rows : {1, 5, 300, 2500}) {
    const ProjectionData data(rows, 24, 30, true);
    std::vector<float> whole = data.unwritten();
    project(ExecutionSpace(), data.input.data(), rows, data.projection, {{whole.data(), 30}});
    std::vector<float> parts = data.unwritten();
    float *second = parts.data() + rows * 13;
    float *third = second + rows * 7;
    const ProjectionUse use = project(ExecutionSpace(), data.input.data(), rows, data.projection,
                                      {{parts.data(), 13}, {second, 7}, {third, 10}});
    EXPECT_EQ(use.products, 1);
    EXPECT_EQ(use.moved_bytes, rows * 30 * 4);
    for (std::int64_t row = 0; row < rows; ++row) {
      const float *expected = whole.data() + row * 30;
      ASSERT_EQ(std::memcmp(parts.data() + row * 13, expected, 13 * sizeof(float)), 0);
      ASSERT_EQ(std::memcmp(second + row * 7, expected + 13, 7 * sizeof(float)), 0);
      ASSERT_EQ(std::memcmp(third + row * 10, expected + 20, 10 * sizeof(float)), 0);
    }
  }
}

TEST(Projection, SameBitsEveryTime) {
  const ProjectionData data(3000, 50, 40, true);
  std::vector<float> first = data.unwritten();
  std::vector<float> second = data.unwritten();
  project(ExecutionSpace(), data.input.data(), data.rows, data.projection, {{first.data(), 40}});
#if defined(KOKKOS_ENABLE_OPENMP)
  // Another number of threads cuts nothing differently.
  const ExecutionSpace whole;
  const auto parts = whole.concurrency() > 1 ? Kokkos::Experimental::partition_space(whole, 1, 1)
                                             : std::array<ExecutionSpace, 2>{whole, whole};
  project(parts[0], data.input.data(), data.rows, data.projection, {{second.data(), 40}});
#else
  project(ExecutionSpace(), data.input.data(), data.rows, data.projection, {{second.data(), 40}});
#endif
  EXPECT_EQ(std::memcmp(first.data(), second.data(), first.size() * sizeof(float)), 0);
}

TEST(Projection, DeclaresItsWorkAndRefusesWhatDoesNotFit) {
  const ProjectionData data(6, 5, 4, true);
  const KernelWork work = projection_work(6, data.projection);
  EXPECT_EQ(work.flop, 6 * 4 * (5 + 5 + 1));
  EXPECT_EQ(work.read_bytes, 4 * (6 * 5 + 5 * 4 + 4));
  EXPECT_EQ(work.written_bytes, 4 * 6 * 4);
  std::vector<float> output = data.unwritten();
  const auto call = [&](std::int64_t columns) {
    project(ExecutionSpace(), data.input.data(), 6, data.projection, {{output.data(), columns}});
  };
  EXPECT_THROW(call(3), std::invalid_argument);
  EXPECT_THROW(call(0), std::invalid_argument);
  EXPECT_THROW(project(ExecutionSpace(), nullptr, 6, data.projection, {{output.data(), 4}}), std::invalid_argument);
  EXPECT_NO_THROW(project(ExecutionSpace(), nullptr, 0, data.projection, {{nullptr, 4}}));
  EXPECT_FALSE(blas_name().empty());
}

TEST(LayerNorm, EqualsTheDefinition) {
  for (const std::int64_t features : {1, 2, 15, 16, 17, 64, 100, 513}) {
    for (const double offset : {0.0, 3.0, 1000.0}) {
      std::vector<float> input = random_floats(static_cast<std::size_t>(5 * features), 7);
      for (float &element : input) {
        element += static_cast<float>(offset);
      }
      const std::vector<float> gain = random_floats(static_cast<std::size_t>(features), 8);
      const std::vector<float> bias = random_floats(static_cast<std::size_t>(features), 9);
      const LayerNorm norms[] = {{}, {gain.data(), nullptr}, {nullptr, bias.data()}, {gain.data(), bias.data(), 1e-3F}};
      for (const LayerNorm &norm : norms) {
        std::vector<float> output(input.size(), std::numeric_limits<float>::quiet_NaN());
        layer_norm(ExecutionSpace(), input.data(), 5, features, norm, output.data());
        ExecutionSpace().fence();
        EXPECT_EQ(wrong_elements(output, reference_layer_norm(exactly(input), 5, features, norm)), 0)
            << features << " features around " << offset;
        std::vector<float> in_place = input;
        layer_norm(ExecutionSpace(), in_place.data(), 5, features, norm, in_place.data());
        ExecutionSpace().fence();
        EXPECT_EQ(std::memcmp(in_place.data(), output.data(), output.size() * sizeof(float)), 0);
      }
    }
  }
}

TEST(LayerNorm, AMissingMeanOrGainOrBiasIsFound) {
  std::vector<float> input = random_floats(5 * 64, 7);
  for (float &element : input) {
    element += 0.3F;
  }
  const std::vector<float> gain = random_floats(64, 8);
  const std::vector<float> bias = random_floats(64, 9);
  std::vector<float> output(input.size());
  layer_norm(ExecutionSpace(), input.data(), 5, 64, {gain.data(), bias.data()}, output.data());
  ExecutionSpace().fence();
  const auto wrong = [&](const LayerNorm &norm, Fault fault) {
    return wrong_elements(output, reference_layer_norm(exactly(input), 5, 64, norm, fault));
  };
  EXPECT_EQ(wrong({gain.data(), bias.data()}, Fault::none), 0);
  EXPECT_GT(wrong({gain.data(), bias.data()}, Fault::norm_without_mean), 300);
  EXPECT_GT(wrong({nullptr, bias.data()}, Fault::none), 300);
  EXPECT_GT(wrong({gain.data(), nullptr}, Fault::none), 300);
  EXPECT_GT(wrong({gain.data(), bias.data(), 0.1F}, Fault::none), 300);
}

TEST(LayerNorm, DeclaresItsWork) {
  const std::vector<float> gain(6, 1.0F);
  const KernelWork work = layer_norm_work(5, 6, {gain.data(), nullptr});
  EXPECT_EQ(work.flop, 5 * 6 * 8);
  EXPECT_EQ(work.read_bytes, 4 * (5 * 6 + 6));
  EXPECT_EQ(work.written_bytes, 4 * 5 * 6);
  std::vector<float> output(30);
  EXPECT_THROW(layer_norm(ExecutionSpace(), gain.data(), 1, 0, {}, output.data()), std::invalid_argument);
}

/// Standard deviation of weights about 0.
double deviation(const float *weights, std::int64_t count) {
  double sum = 0.0;
  for (std::int64_t index = 0; index < count; ++index) {
    sum += static_cast<double>(weights[index]) * static_cast<double>(weights[index]);
  }
  return std::sqrt(sum / static_cast<double>(count));
}

TEST(InitialWeights, GainsAreThoseOfThePaper) {
  // Worked by hand: log 24 = 3.17805, log 36 = 3.58352.
  EXPECT_NEAR(magneto_gain_single_stack(12), 1.78271, 1e-5);
  EXPECT_NEAR(magneto_gain_decoder(12), 1.89302, 1e-5);
  EXPECT_NEAR(magneto_gain_encoder(12, 12), 1.94838, 1e-5);
  EXPECT_NEAR(magneto_gain_encoder(6, 2), std::sqrt(std::log(6.0) * std::log(12.0) / 3.0), 1e-12);
  EXPECT_THROW(magneto_gain_single_stack(0), std::invalid_argument);
  EXPECT_THROW(magneto_gain_encoder(1, 0), std::invalid_argument);
}

TEST(InitialWeights, HaveTheDeviationOfTheirGainAndNoOther) {
  constexpr std::int64_t embed = 96;
  constexpr std::int64_t query_rows = 96; // 6 heads of 16
  constexpr std::int64_t key_rows = 32;
  const double gain = magneto_gain_single_stack(12);
  std::vector<float> input(static_cast<std::size_t>((query_rows + 2 * key_rows) * embed));
  std::vector<float> output(static_cast<std::size_t>(embed * query_rows));
  initialise_multihead(input.data(), output.data(), embed, 6, 2, 16, gain, 5);
  const auto expect = [](const float *weights, std::int64_t rows, std::int64_t columns, double expected_gain) {
    const double expected = expected_gain * std::sqrt(2.0 / static_cast<double>(rows + columns));
    // The deviation of n normal numbers has a relative standard error of 1/sqrt(2n); five of them.
    const double bound = 5.0 / std::sqrt(2.0 * static_cast<double>(rows * columns));
    const double found = deviation(weights, rows * columns) / expected;
    EXPECT_TRUE(std::abs(found - 1.0) <= bound) << found;
    // Forgotten or applied twice, the gain leaves the bound.
    if (expected_gain != 1.0) {
      EXPECT_FALSE(std::abs(found * expected_gain - 1.0) <= bound);
      EXPECT_FALSE(std::abs(found / expected_gain - 1.0) <= bound);
    }
  };
  expect(input.data(), query_rows, embed, 1.0);
  expect(input.data() + query_rows * embed, key_rows, embed, 1.0);
  expect(input.data() + (query_rows + key_rows) * embed, key_rows, embed, gain);
  expect(output.data(), embed, query_rows, gain);
}

TEST(InitialWeights, DependOnSeedStreamAndPlaceAlone) {
  std::vector<float> weights(200);
  std::vector<float> other(200);
  xavier_normal(weights.data(), 10, 20, 1.0, 3, 0);
  xavier_normal(other.data(), 20, 10, 1.0, 3, 0);
  EXPECT_EQ(weights, other);
  xavier_normal(other.data(), 10, 20, 1.0, 4, 0);
  EXPECT_NE(weights, other);
  xavier_normal(other.data(), 10, 20, 1.0, 3, 1);
  EXPECT_NE(weights, other);
  double mean = 0.0;
  double fourth = 0.0;
  std::vector<float> many(100'000);
  xavier_normal(many.data(), 250, 400, std::sqrt(325.0), 9, 0); // deviation 1
  for (const float weight : many) {
    mean += static_cast<double>(weight) / 1e5;
    fourth += std::pow(static_cast<double>(weight), 4) / 1e5;
  }
  EXPECT_TRUE(std::abs(mean) <= 5.0 / std::sqrt(1e5));
  EXPECT_TRUE(std::abs(fourth - 3.0) <= 5.0 * std::sqrt(96.0 / 1e5)); // a uniform distribution would give 1.8
}

} // namespace
} // namespace ringscale::kernels::test
