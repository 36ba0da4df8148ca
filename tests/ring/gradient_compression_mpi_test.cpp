// SPDX-License-Identifier: Apache-2.0
// Buckets that travel compressed: within the ranks' bounds of the true sum, the same bits everywhere.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/ring/gradient_case.hpp"

namespace ringscale::ring::test {
namespace {

const std::vector<std::int64_t> sizes{90, 700, 33};

struct CompressedSum {
  std::int64_t beyond_bounds = 0;
  std::int64_t not_exact = 0;
  bool same_bits = false;
  std::int64_t ledger_bytes = 0;
  std::int64_t sent_bytes = 0;
};

CompressedSum reduce(const CompressionOptions &compression) {
  RankGradients gradients(world().rank(), sizes);
  memory::Ledger ledger;
  BucketOptions options;
  options.compression = compression;
  options.mean = false;
  GradientBuckets buckets(world(), gradients.tensors(), options, ledger);
  mark_backwards(buckets);
  buckets.finish();

  // All three tensors are one bucket, the last tensor first.
  std::vector<float> sum;
  for (std::size_t tensor = sizes.size(); tensor-- > 0;) {
    sum.insert(sum.end(), gradients.values[tensor].begin(), gradients.values[tensor].end());
  }
  std::vector<double> exact(sum.size());
  std::vector<double> bound(sum.size());
  for (int rank = 0; rank < world().size(); ++rank) {
    const RankGradients theirs(rank, sizes);
    std::vector<float> values;
    for (std::size_t tensor = sizes.size(); tensor-- > 0;) {
      values.insert(values.end(), theirs.values[tensor].begin(), theirs.values[tensor].end());
    }
    const GradientCompressor compressor(compression, static_cast<std::int64_t>(values.size()));
    const std::vector<double> own = compressor.error_bounds(values);
    for (std::size_t index = 0; index < values.size(); ++index) {
      const auto value = static_cast<double>(values[index]);
      exact[index] += value;
      // Each rank's own error, and what adding up in float32 rounds.
      bound[index] += own[index] + world().size() * 0x1p-24 * (std::abs(value) + own[index]);
    }
  }
  CompressedSum result;
  std::uint64_t digest = 0;
  for (std::size_t index = 0; index < sum.size(); ++index) {
    const double error = std::abs(static_cast<double>(sum[index]) - exact[index]);
    result.beyond_bounds += error <= bound[index] ? 0 : 1;
    result.not_exact += error <= 1e-6 ? 0 : 1;
    std::uint32_t bits = 0;
    std::memcpy(&bits, &sum[index], sizeof(bits));
    digest = problem::mix64(digest ^ bits);
  }
  result.same_bits = world().sum(digest) == digest * static_cast<std::uint64_t>(world().size());
  result.ledger_bytes = ledger.held()[memory::Purpose::communication];
  result.sent_bytes = buckets.sent_bytes();
  return result;
}

TEST(CompressedBuckets, AreWithinTheBoundsOfTheirRanksAndEqualEverywhere) {
  for (const Compression kind : {Compression::none, Compression::float16, Compression::int8, Compression::top_k}) {
    CompressionOptions compression;
    compression.kind = kind;
    compression.kept_fraction = 0.25;
    const CompressedSum sum = reduce(compression);
    EXPECT_EQ(sum.beyond_bounds, 0) << name(kind);
    EXPECT_TRUE(sum.same_bits) << name(kind);
    // The comparison sees a compression: only the uncompressed sum is exact.
    EXPECT_EQ(sum.not_exact > 300, kind != Compression::none) << name(kind);
    const GradientCompressor compressor(compression, 823);
    EXPECT_EQ(sum.sent_bytes, compressor.compressed_bytes());
    const std::int64_t gathered =
        kind == Compression::none ? 0 : (1 + world().size()) * compressor.compressed_bytes() + compressor.held_bytes();
    EXPECT_EQ(sum.ledger_bytes, 4 * 823 + gathered) << name(kind);
  }
}

TEST(CompressedBuckets, FeedbackDeliversOverRoundsWhatOneRoundLeavesOut) {
  for (const bool feedback : {true, false}) {
    RankGradients gradients(world().rank(), sizes);
    memory::Ledger ledger;
    BucketOptions options;
    options.mean = false;
    options.compression.kind = Compression::top_k;
    options.compression.kept_fraction = 0.2;
    options.compression.error_feedback = feedback;
    GradientBuckets buckets(world(), gradients.tensors(), options, ledger);
    // The same gradients again and again: with feedback every element is delivered in time, without some never are.
    const int rounds = 40;
    std::vector<double> delivered(700);
    for (int round = 0; round < rounds; ++round) {
      gradients.fill(world().rank());
      mark_backwards(buckets);
      buckets.finish();
      for (std::size_t index = 0; index < 700; ++index) {
        delivered[index] += static_cast<double>(gradients.values[1][index]) / rounds;
      }
    }
    double worst = 0.0;
    for (std::size_t index = 0; index < 700; ++index) {
      double exact = 0.0;
      for (int rank = 0; rank < world().size(); ++rank) {
        exact += static_cast<double>(RankGradients::element(rank, 1, index));
      }
      worst = std::max(worst, std::abs(delivered[index] - exact) / world().size());
    }
    // A residual stays below a few of the largest gradients (0.5), which 40 rounds divide.
    EXPECT_EQ(worst <= 0.1, feedback) << worst;
  }
}

} // namespace
} // namespace ringscale::ring::test
