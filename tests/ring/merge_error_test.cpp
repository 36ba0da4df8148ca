// SPDX-License-Identifier: Apache-2.0
#include "ring/merge_error.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "problem/error_bound.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::ring {
namespace {

using problem::DType;

MergeErrorOptions options_of(DType dtype, DType merge_dtype, std::int64_t blocks) {
  MergeErrorOptions options;
  options.problem.tokens = 512;
  options.problem.query_heads = 2;
  options.problem.kv_heads = 1;
  options.problem.head_dim = 33;
  options.problem.dtype = dtype;
  options.query_tokens = 20;
  options.merge_dtype = merge_dtype;
  options.merged_blocks = blocks;
  options.samples = 2;
  return options;
}

double largest(const std::vector<double> &samples) { return *std::max_element(samples.begin(), samples.end()); }

TEST(MergeError, StaysWithinItsBoundForEveryDtypeAndNumberOfBlocks) {
  for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16}) {
    for (const DType merge_dtype : {DType::float32, dtype}) {
      for (const std::int64_t blocks : {1, 7, 512}) {
        const MergeErrorRun run = measure_merge_error(options_of(dtype, merge_dtype, blocks));
        EXPECT_EQ(run.max_error_samples.size(), 2U);
        EXPECT_EQ(run.wrong_elements, 0) << problem::name(dtype) << " " << blocks;
        EXPECT_TRUE(largest(run.max_error_samples) <= run.error_bound);
        EXPECT_GT(largest(run.max_error_samples), 0.0);
        EXPECT_TRUE(largest(run.total_max_error_samples) <= run.total_error_bound);
        EXPECT_TRUE(largest(run.max_lse_error_samples) <= run.lse_error_bound);
        EXPECT_LE(largest(run.mean_error_samples), largest(run.max_error_samples));
      }
    }
  }
}

TEST(MergeError, RoundingThePartialCostsMoreWithEveryMergeAndKeepingItFloat32DoesNot) {
  for (const DType dtype : {DType::bfloat16, DType::float16}) {
    const double unit = problem::unit_roundoff(dtype);
    const auto mean = [&](DType merge_dtype, std::int64_t blocks) {
      const MergeErrorRun run = measure_merge_error(options_of(dtype, merge_dtype, blocks));
      return run.mean_error_samples[0] / run.output_rms_samples[0];
    };
    const double once = mean(dtype, 1);
    EXPECT_GT(once, 0.1 * unit); // one rounding: a good part of a unit roundoff
    EXPECT_LT(once, unit);
    EXPECT_GT(mean(dtype, 512), 5.0 * once);
    EXPECT_LT(mean(DType::float32, 512), 0.01 * once);
  }
}

TEST(MergeError, OfFloat32StorageHasNoPartOfStorage) {
  const MergeErrorRun run = measure_merge_error(options_of(DType::float32, DType::float32, 8));
  EXPECT_EQ(run.max_error_samples, run.total_max_error_samples);
  EXPECT_EQ(run.error_bound, run.total_error_bound);
  const MergeErrorRun stored = measure_merge_error(options_of(DType::bfloat16, DType::float32, 8));
  EXPECT_GT(largest(stored.total_max_error_samples), 100.0 * largest(stored.max_error_samples));
}

TEST(MergeError, SameSeedSameBits) {
  const MergeErrorRun first = measure_merge_error(options_of(DType::bfloat16, DType::bfloat16, 16));
  const MergeErrorRun second = measure_merge_error(options_of(DType::bfloat16, DType::bfloat16, 16));
  EXPECT_EQ(first.max_error_samples, second.max_error_samples);
  EXPECT_NE(first.max_error_samples[0], first.max_error_samples[1]); // each sample has data of its own
}

TEST(MergeError, RefusesWhatItCannotMeasure) {
  const auto refused = [](const auto &damage) {
    MergeErrorOptions options = options_of(DType::bfloat16, DType::bfloat16, 4);
    EXPECT_NO_THROW(validate(options));
    damage(options);
    EXPECT_THROW(measure_merge_error(options), problem::InvalidInput);
  };
  refused([](MergeErrorOptions &options) { options.problem.dtype = DType::float8_e4m3; });
  refused([](MergeErrorOptions &options) { options.merge_dtype = DType::float16; });
  refused([](MergeErrorOptions &options) { options.merged_blocks = 513; });
  refused([](MergeErrorOptions &options) { options.merged_blocks = 0; });
  refused([](MergeErrorOptions &options) { options.query_tokens = 0; });
  refused([](MergeErrorOptions &options) { options.samples = 0; });
  refused([](MergeErrorOptions &options) { options.problem.mask = problem::Mask::causal; });
  refused([](MergeErrorOptions &options) { options.problem.kv_heads = 3; });
}

} // namespace
} // namespace ringscale::ring
