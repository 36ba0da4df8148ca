// SPDX-License-Identifier: Apache-2.0
// Buckets that reduce gradients while others are made: sums, means, memory, overlap.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <stdexcept>

#include "ring/gradient_reduction.hpp"
#include "tests/ring/gradient_case.hpp"

namespace ringscale::ring::test {
namespace {

const std::vector<std::int64_t> sizes{40, 300, 7, 0, 129, 64};

/// How many elements differ from the sum (or mean) over ranks by more than float32 rounds in any order.
std::int64_t wrong_elements(const RankGradients &reduced, bool mean) {
  const int ranks = world().size();
  const double divisor = mean ? ranks : 1.0;
  std::int64_t wrong = 0;
  for (std::size_t tensor = 0; tensor < reduced.values.size(); ++tensor) {
    for (std::size_t index = 0; index < reduced.values[tensor].size(); ++index) {
      double sum = 0.0;
      double magnitude = 0.0;
      for (int rank = 0; rank < ranks; ++rank) {
        const auto value = static_cast<double>(RankGradients::element(rank, tensor, index));
        sum += value;
        magnitude += std::abs(value);
      }
      const double error = std::abs(static_cast<double>(reduced.values[tensor][index]) - sum / divisor);
      wrong += error <= ranks * 0x1p-23 * magnitude / divisor ? 0 : 1;
    }
  }
  return wrong;
}

bool same_on_all_ranks(const RankGradients &gradients) {
  std::uint64_t digest = 0;
  for (const auto &tensor : gradients.values) {
    for (const float value : tensor) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof(bits));
      digest = problem::mix64(digest ^ bits);
    }
  }
  return world().sum(digest) == digest * static_cast<std::uint64_t>(world().size());
}

BucketOptions small_buckets() {
  BucketOptions options;
  options.bucket_bytes = 800;
  return options;
}

TEST(GradientBuckets, DealTensorsFromTheLastToTheFirstAndKeepALargeOneWhole) {
  RankGradients gradients(world().rank(), sizes);
  memory::Ledger ledger;
  {
    const GradientBuckets buckets(world(), gradients.tensors(), small_buckets(), ledger);
    // Of 200 elements at most: 64 + 129 + 0 + 7, then 300 alone, then 40.
    EXPECT_EQ(buckets.bucket_count(), 3);
    const std::vector<std::int64_t> expected{2, 1, 0, 0, 0, 0};
    for (std::int64_t index = 0; index < buckets.tensor_count(); ++index) {
      EXPECT_EQ(buckets.bucket_of(index), expected[static_cast<std::size_t>(index)]) << index;
    }
    EXPECT_EQ(ledger.held()[memory::Purpose::communication], 4 * 540);
    EXPECT_EQ(ledger.held().total(), 4 * 540);
    EXPECT_EQ(buckets.sent_bytes(), 4 * 540);
    EXPECT_THROW(buckets.bucket_of(6), std::out_of_range);
  }
  EXPECT_EQ(ledger.held().total(), 0);
  EXPECT_EQ(BucketOptions().bucket_bytes, 25'000'000);
}

TEST(GradientBuckets, SumAndMeanOverRanksRoundAfterRound) {
  for (const bool mean : {false, true}) {
    RankGradients gradients(world().rank(), sizes);
    memory::Ledger ledger;
    BucketOptions options = small_buckets();
    options.mean = mean;
    GradientBuckets buckets(world(), gradients.tensors(), options, ledger);
    for (int round = 0; round < 3; ++round) {
      gradients.fill(world().rank());
      EXPECT_GT(wrong_elements(gradients, mean), 500) << "before the reduction: the comparison sees a missing one";
      mark_backwards(buckets);
      buckets.finish();
      EXPECT_EQ(wrong_elements(gradients, mean), 0);
      EXPECT_EQ(wrong_elements(gradients, !mean) > 500, world().size() > 1) << "a sum is no mean";
      EXPECT_TRUE(same_on_all_ranks(gradients));
    }
  }
}

TEST(GradientBuckets, AnyOrderWillDoWhenAllRanksHaveIt) {
  RankGradients gradients(world().rank(), sizes);
  memory::Ledger ledger;
  GradientBuckets buckets(world(), gradients.tensors(), small_buckets(), ledger);
  for (const std::int64_t index : {0, 4, 1, 3, 5, 2}) {
    buckets.ready(index);
  }
  buckets.finish();
  EXPECT_EQ(wrong_elements(gradients, true), 0);
}

TEST(GradientBuckets, RanksMayBeFarApartInTime) {
  RankGradients gradients(world().rank(), sizes);
  memory::Ledger ledger;
  GradientBuckets buckets(world(), gradients.tensors(), small_buckets(), ledger);
  // Rank 0 has marked everything before any other rank begins.
  if (world().rank() == 0) {
    mark_backwards(buckets);
  }
  world().barrier();
  if (world().rank() != 0) {
    mark_backwards(buckets);
  }
  buckets.finish();
  EXPECT_EQ(wrong_elements(gradients, true), 0);
}

TEST(GradientBuckets, GradientsStayAsTheyAreUntilTheEnd) {
  RankGradients gradients(world().rank(), sizes);
  const auto before = gradients.values;
  memory::Ledger ledger;
  GradientBuckets buckets(world(), gradients.tensors(), small_buckets(), ledger);
  mark_backwards(buckets);
  world().barrier();
  for (int look = 0; look < 100; ++look) {
    buckets.poll();
  }
  EXPECT_EQ(gradients.values, before);
  // What was copied when it was ready is what is summed.
  gradients.values[1].assign(gradients.values[1].size(), 1e30F);
  buckets.finish();
  EXPECT_EQ(wrong_elements(gradients, true), 0);
}

TEST(GradientReduction, MeasuresBothAloneAndTogetherAndLeavesReducedGradients) {
  RankGradients gradients(world().rank(), sizes);
  memory::Ledger ledger;
  GradientBuckets buckets(world(), gradients.tensors(), small_buckets(), ledger);
  int passes = 0;
  const BackwardPass backward = [&](const std::function<void(std::int64_t)> &ready) {
    ++passes;
    gradients.fill(world().rank());
    for (std::int64_t index = buckets.tensor_count(); index-- > 0;) {
      ready(index);
      buckets.poll();
    }
  };
  const GradientReduction measured = reduce_gradients_while(world(), buckets, backward, {1, 3});
  EXPECT_EQ(passes, 2 * 4);
  for (const auto &samples : {measured.backward_s, measured.reduction_s, measured.both_s}) {
    ASSERT_EQ(samples.size(), 3U);
    for (const double sample : samples) {
      EXPECT_GT(sample, 0.0);
      EXPECT_EQ(world().max(sample), sample) << "every rank has the slowest rank's time";
    }
  }
  EXPECT_GE(measured.hidden_fraction, 0.0);
  EXPECT_LE(measured.hidden_fraction, 1.0);
  EXPECT_EQ(measured.sent_bytes, 4 * 540);
  EXPECT_EQ(wrong_elements(gradients, true), 0);
  EXPECT_THAT(common_refusal([&] {
                reduce_gradients_while(world(), buckets, backward, {1, 0});
              }),
              testing::HasSubstr("one sample or more"));
}

TEST(GradientReduction, APassThatFailsOnOneRankEndsOnAllWithItsReason) {
  for (const int failing_pass : {1, 2}) {
    RankGradients gradients(world().rank(), sizes);
    memory::Ledger ledger;
    GradientBuckets buckets(world(), gradients.tensors(), small_buckets(), ledger);
    const int last = world().size() - 1;
    int passes = 0;
    const BackwardPass backward = [&](const std::function<void(std::int64_t)> &ready) {
      ++passes;
      for (std::int64_t index = buckets.tensor_count(); index-- > 0;) {
        if (world().rank() == last && passes == failing_pass && index == 1) {
          throw std::runtime_error("no memory left");
        }
        ready(index);
      }
    };
    const std::string line = common_refusal([&] { reduce_gradients_while(world(), buckets, backward, {0, 1}); });
    EXPECT_THAT(line, testing::HasSubstr("rank " + std::to_string(last) + " abandoned the round: no memory left"));
  }
}

} // namespace
} // namespace ringscale::ring::test
