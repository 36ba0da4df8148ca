// SPDX-License-Identifier: Apache-2.0
// Compressed gradients: bytes, errors within their bounds, residuals that lose nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>

#include "problem/counter_random.hpp"
#include "problem/invalid_input.hpp"
#include "ring/gradient_compression.hpp"

namespace ringscale::ring {
namespace {

using problem::InvalidInput;

constexpr float largest_float = std::numeric_limits<float>::max();
constexpr float smallest_float = std::numeric_limits<float>::denorm_min();

std::vector<float> normal_values(std::size_t count, double deviation, std::uint64_t seed) {
  std::vector<float> values(count);
  for (std::size_t index = 0; index < count; ++index) {
    values[index] = static_cast<float>(deviation * problem::random_normal(seed, 0, index));
  }
  return values;
}

CompressionOptions kind(Compression compression) {
  CompressionOptions options;
  options.kind = compression;
  return options;
}

/// What arrives of `values`.
std::vector<float> through(GradientCompressor &compressor, const std::vector<float> &values) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(compressor.compressed_bytes()));
  compressor.compress(values, bytes);
  std::vector<float> arrived(values.size());
  compressor.add_to(arrived, bytes);
  return arrived;
}

/// How many numbers are farther off than `factor` times their bounds.
std::int64_t beyond_bounds(const std::vector<float> &values, const std::vector<float> &arrived,
                           const std::vector<double> &bounds, double factor = 1.0) {
  std::int64_t beyond = 0;
  for (std::size_t index = 0; index < values.size(); ++index) {
    const double error = std::abs(static_cast<double>(values[index]) - static_cast<double>(arrived[index]));
    beyond += error <= factor * bounds[index] ? 0 : 1;
  }
  return beyond;
}

TEST(Compression, WordsAreThereAndBack) {
  for (const auto &[compression, word] :
       {std::pair{Compression::none, "none"}, std::pair{Compression::float16, "float16"},
        std::pair{Compression::int8, "int8"}, std::pair{Compression::top_k, "top_k"}}) {
    EXPECT_EQ(name(compression), word);
    EXPECT_EQ(parse_compression(word), compression);
  }
  EXPECT_THROW(parse_compression("fp16"), InvalidInput);
}

TEST(Compression, BytesAreThoseOfTheFormulas) {
  CompressionOptions options = kind(Compression::none);
  EXPECT_EQ(GradientCompressor(options, 1000).compressed_bytes(), 4000);
  options.kind = Compression::float16;
  EXPECT_EQ(GradientCompressor(options, 1000).compressed_bytes(), 2000 + 2 * 4);
  options.kind = Compression::int8;
  EXPECT_EQ(GradientCompressor(options, 1000).compressed_bytes(), 1000 + 4 * 4);
  options.block_elements = 1000;
  EXPECT_EQ(GradientCompressor(options, 1000).compressed_bytes(), 1004);
  options.kind = Compression::top_k;
  EXPECT_EQ(GradientCompressor(options, 1000).compressed_bytes(), 80);
  EXPECT_EQ(GradientCompressor(options, 1001).compressed_bytes(), 88);
  EXPECT_EQ(GradientCompressor(options, 1).compressed_bytes(), 8);
  EXPECT_EQ(GradientCompressor(options, 0).compressed_bytes(), 0);
}

TEST(Compression, ErrorsStayWithinTheirBoundsAndHalfTheBoundIsTooLittle) {
  for (const Compression compression : {Compression::float16, Compression::int8, Compression::top_k}) {
    for (const double deviation : {1.0, 1e-3, 1e-30, 1e-41, 1e30}) {
      const std::vector<float> values = normal_values(3001, deviation, 3);
      GradientCompressor compressor(kind(compression), 3001);
      const std::vector<double> bounds = compressor.error_bounds(values);
      const std::vector<float> arrived = through(compressor, values);
      EXPECT_EQ(beyond_bounds(values, arrived, bounds), 0) << name(compression) << " " << deviation;
      if (deviation > 1e-38) {
        EXPECT_GT(beyond_bounds(values, arrived, bounds, 0.5), 100) << name(compression) << " " << deviation;
      }
    }
  }
}

TEST(Compression, ExtremeBlocksNeitherOverflowNorSaturate) {
  std::vector<float> values{largest_float, -largest_float, 1e-30F, smallest_float, 0.0F, -0.0F, 65520.0F, 1e38F};
  for (const Compression compression : {Compression::float16, Compression::int8}) {
    GradientCompressor compressor(kind(compression), 8);
    const std::vector<float> arrived = through(compressor, values);
    EXPECT_EQ(beyond_bounds(values, arrived, compressor.error_bounds(values)), 0) << name(compression);
    EXPECT_THAT(arrived, testing::Each(testing::Truly([](float value) { return std::isfinite(value); })));
  }
  for (const float lonely : {smallest_float, -smallest_float, 100.0F * smallest_float, 1e-38F, 70000.0F, 3e5F}) {
    for (const Compression compression : {Compression::float16, Compression::int8}) {
      GradientCompressor compressor(kind(compression), 2);
      const std::vector<float> pair{lonely, 0.0F};
      EXPECT_EQ(beyond_bounds(pair, through(compressor, pair), compressor.error_bounds(pair)), 0) << lonely;
    }
  }
  GradientCompressor zeros(kind(Compression::int8), 5);
  EXPECT_EQ(through(zeros, std::vector<float>(5)), std::vector<float>(5));
}

TEST(Compression, ABlocksScaleIsItsOwn) {
  // One large number spoils the other numbers of its block, and no others.
  std::vector<float> values(512, 1e-4F);
  values[3] = 1000.0F;
  GradientCompressor compressor(kind(Compression::int8), 512);
  const std::vector<float> arrived = through(compressor, values);
  EXPECT_EQ(arrived[4], 0.0F);
  EXPECT_NEAR(arrived[400], 1e-4F, 1e-7F);
}

TEST(TopK, KeepsTheLargestExactlyAndOfEqualOnesTheFirst) {
  CompressionOptions options = kind(Compression::top_k);
  options.kept_fraction = 0.4;
  GradientCompressor compressor(options, 5);
  EXPECT_EQ(through(compressor, {1.0F, -3.0F, 3.0F, 0.5F, 3.0F}), (std::vector<float>{0.0F, -3.0F, 3.0F, 0.0F, 0.0F}));
  EXPECT_THAT(compressor.residual(), testing::ElementsAre(1.0F, 0.0F, 0.0F, 0.5F, 3.0F));
}

TEST(TopK, WhatWasSentAndTheResidualAddUpToWhatWasGiven) {
  for (const bool feedback : {true, false}) {
    CompressionOptions options = kind(Compression::top_k);
    options.kept_fraction = 0.1;
    options.error_feedback = feedback;
    GradientCompressor compressor(options, 400);
    const int rounds = 12;
    std::vector<double> given(400);
    std::vector<double> sent(400);
    std::vector<double> magnitude(400);
    for (int round = 0; round < rounds; ++round) {
      const std::vector<float> values = normal_values(400, 1.0, static_cast<std::uint64_t>(round));
      const std::vector<float> arrived = through(compressor, values);
      for (std::size_t index = 0; index < 400; ++index) {
        given[index] += static_cast<double>(values[index]);
        magnitude[index] += std::abs(static_cast<double>(values[index]));
        sent[index] += static_cast<double>(arrived[index]);
      }
    }
    EXPECT_EQ(compressor.residual().size(), feedback ? 400U : 0U);
    std::int64_t lost = 0;
    for (std::size_t index = 0; index < 400; ++index) {
      const double held = feedback ? static_cast<double>(compressor.residual()[index]) : 0.0;
      const double error = std::abs(sent[index] + held - given[index]);
      lost += error <= rounds * 0x1p-24 * magnitude[index] ? 0 : 1;
    }
    EXPECT_EQ(lost > 0, !feedback) << lost << " sums are lost; without feedback they must be";
    EXPECT_EQ(compressor.held_bytes(), 4 * 400 * (feedback ? 3 : 2));
  }
}

TEST(Compression, RefusesWhatItCannotDo) {
  CompressionOptions options = kind(Compression::top_k);
  for (const double fraction : {0.0, -0.1, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    options.kept_fraction = fraction;
    EXPECT_THROW(GradientCompressor(options, 10), InvalidInput);
  }
  options = kind(Compression::int8);
  options.block_elements = 0;
  EXPECT_THROW(GradientCompressor(options, 10), InvalidInput);
  EXPECT_THROW(GradientCompressor(kind(Compression::int8), std::int64_t{1} << 32), InvalidInput);
  EXPECT_THROW(GradientCompressor(kind(Compression::int8), -1), InvalidInput);
  for (const Compression compression :
       {Compression::none, Compression::float16, Compression::int8, Compression::top_k}) {
    GradientCompressor compressor(kind(compression), 3);
    std::vector<std::byte> bytes(static_cast<std::size_t>(compressor.compressed_bytes()));
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      EXPECT_THROW(compressor.compress(std::vector<float>{1.0F, bad, 1.0F}, bytes), InvalidInput) << name(compression);
    }
    EXPECT_THROW(compressor.compress(std::vector<float>(2), bytes), std::invalid_argument);
    std::vector<float> sum(4);
    EXPECT_THROW(compressor.add_to(sum, bytes), std::invalid_argument);
  }
  GradientCompressor one(kind(Compression::top_k), 3);
  std::vector<std::byte> bytes(8, std::byte{0xFF});
  std::vector<float> sum(3);
  EXPECT_THROW(one.add_to(sum, bytes), std::invalid_argument) << "an index beyond the end";
}

/// Relative error in the 2-norm of normally distributed gradients, as the table of the documentation has it.
double relative_error(const CompressionOptions &options, const std::vector<float> &values) {
  GradientCompressor compressor(options, static_cast<std::int64_t>(values.size()));
  const std::vector<float> arrived = through(compressor, values);
  double error = 0.0;
  double norm = 0.0;
  for (std::size_t index = 0; index < values.size(); ++index) {
    const auto value = static_cast<double>(values[index]);
    error += std::pow(static_cast<double>(arrived[index]) - value, 2);
    norm += value * value;
  }
  return std::sqrt(error / norm);
}

TEST(Compression, ErrorsAreThoseOfTheTableInTheDocs) {
  std::ifstream page(RINGSCALE_GRADIENTS_PAGE);
  ASSERT_TRUE(page.is_open()) << RINGSCALE_GRADIENTS_PAGE;
  const std::vector<float> values = normal_values(65536, 0.01, 1);
  int rows = 0;
  for (std::string line; std::getline(page, line);) {
    std::istringstream cells(line);
    std::string bar, word, parameter;
    std::int64_t bytes = 0;
    double error = 0.0;
    // | word | block_elements or kept_fraction | bytes | error |
    if (!(cells >> bar >> word >> bar >> parameter >> bar >> bytes >> bar >> error)) {
      continue;
    }
    ++rows;
    CompressionOptions options = kind(parse_compression(word));
    if (options.kind == Compression::top_k) {
      options.kept_fraction = std::stod(parameter);
    } else if (options.kind != Compression::none) {
      options.block_elements = std::stol(parameter);
    }
    EXPECT_EQ(GradientCompressor(options, 65536).compressed_bytes(), bytes) << line;
    const double found = relative_error(options, values);
    // Three digits are printed.
    EXPECT_TRUE(std::abs(found - error) <= 0.005 * error) << line << " but found " << found;
  }
  EXPECT_EQ(rows, 8) << "rows of the table";
}

} // namespace
} // namespace ringscale::ring
