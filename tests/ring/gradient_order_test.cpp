// SPDX-License-Identifier: Apache-2.0
// Ranks that mark gradients otherwise than the others: one line on every rank, and no gradient changed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "tests/ring/gradient_case.hpp"

namespace ringscale::ring::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::vector<std::int64_t> sizes{40, 300, 7, 129, 64};

/// What one rank, the odd one, does in its round instead of what the others do.
struct OddRound {
  const char *what;
  std::vector<std::int64_t> order;
  const char *line;
};

/// The line of a round in which rank `odd` marks `order`, checked to be the same on all ranks and to leave all
/// gradients alone; `spoil` may change the odd rank's gradients first.
std::string line_of(int odd, const std::vector<std::int64_t> &order, const BucketOptions &options,
                    const std::function<void(RankGradients &)> &spoil = {}) {
  RankGradients gradients(world().rank(), sizes);
  if (spoil && world().rank() == odd) {
    spoil(gradients);
  }
  memory::Ledger ledger;
  GradientBuckets buckets(world(), gradients.tensors(), options, ledger);
  const std::vector<std::int64_t> usual{4, 3, 2, 1, 0};
  const std::string line = common_refusal([&] {
    for (const std::int64_t index : world().rank() == odd ? order : usual) {
      buckets.ready(index);
      buckets.poll();
    }
    buckets.finish();
  });
  if (!spoil) {
    EXPECT_EQ(gradients.values, RankGradients(world().rank(), sizes).values) << "a failed round changes no gradient";
  }
  if (line != "nothing was refused") {
    EXPECT_EQ(common_refusal([&] { buckets.ready(0); }), line) << "of no more use";
    EXPECT_EQ(common_refusal([&] { buckets.finish(); }), line);
  }
  EXPECT_EQ(line.find('\n'), std::string::npos);
  return line;
}

BucketOptions small_buckets() {
  BucketOptions options;
  options.bucket_bytes = 800;
  return options;
}

class OddRank : public testing::TestWithParam<OddRound> {};

TEST_P(OddRank, EndsWithOneLineOnAllRanks) {
  for (const int odd : {1, world().size() - 1}) {
    const std::string line = line_of(odd, GetParam().order, small_buckets());
    EXPECT_THAT(line,
                AllOf(HasSubstr("gradient buckets: rank " + std::to_string(odd) + " "), HasSubstr(GetParam().line)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rounds, OddRank,
    testing::Values(OddRound{"ExchangedWithinABucket", {3, 4, 2, 1, 0}, "tensor_3 ready in place 1, where other"},
                    OddRound{"ExchangedBuckets", {0, 4, 3, 2, 1}, "tensor_0 ready in place 1, where other"},
                    OddRound{"ExchangedAtTheEnd", {4, 3, 2, 0, 1}, "tensor_0 ready in place 4, where other"},
                    OddRound{"Skipped", {4, 2, 1, 0}, "tensor_2 ready in place 2, where other"},
                    OddRound{"MissingAtTheEnd", {4, 3, 2, 1}, "finished without gradient tensor_0"},
                    OddRound{"NothingAtAll", {}, "finished without gradient tensor_4"},
                    OddRound{"Repeated", {4, 3, 3, 2, 1, 0}, "tensor_3 ready twice"},
                    OddRound{"RepeatedAtTheEnd", {4, 3, 2, 1, 0, 0}, "tensor_0 ready twice"},
                    OddRound{"Unknown", {4, 3, 5, 2, 1, 0}, "gradient 5 ready; there are 0 to 4"},
                    OddRound{"Negative", {-1}, "gradient -1 ready; there are 0 to 4"}),
    [](const auto &round) { return std::string(round.param.what); });

TEST(GradientOrder, TheUsualOrderIsNotRefused) {
  EXPECT_THAT(line_of(1, {4, 3, 2, 1, 0}, small_buckets(), [](RankGradients &) {}), HasSubstr("nothing was refused"));
}

TEST(GradientOrder, NumbersThatAreNotFiniteAreRefusedUnlessAllowed) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    const auto spoil = [bad](RankGradients &gradients) { gradients.values[1][17] = bad; };
    EXPECT_THAT(line_of(1, {4, 3, 2, 1, 0}, small_buckets(), spoil),
                HasSubstr("rank 1 gradient tensor_1 is not finite at element 17"));
    BucketOptions lenient = small_buckets();
    lenient.refuse_not_finite = false;
    EXPECT_THAT(line_of(1, {4, 3, 2, 1, 0}, lenient, spoil), HasSubstr("nothing was refused"));
    lenient.compression.kind = Compression::int8;
    EXPECT_THAT(line_of(1, {4, 3, 2, 1, 0}, lenient, spoil), HasSubstr("rank 1 could not compress a bucket"));
  }
}

TEST(GradientOrder, RanksOfDifferentTensorsOrOptionsAreRefusedAtOnce) {
  memory::Ledger ledger;
  const auto refusal = [&](const std::vector<std::int64_t> &of_rank_1, const BucketOptions &options_of_rank_1) {
    RankGradients gradients(world().rank(), world().rank() == 1 ? of_rank_1 : sizes);
    return common_refusal([&] {
      const GradientBuckets buckets(world(), gradients.tensors(),
                                    world().rank() == 1 ? options_of_rank_1 : small_buckets(), ledger);
    });
  };
  EXPECT_THAT(refusal({40, 300, 7, 129, 65}, small_buckets()), HasSubstr("rank 1 has other tensors"));
  EXPECT_THAT(refusal({40, 300, 7, 129}, small_buckets()), HasSubstr("rank 1 has other tensors"));
  BucketOptions other = small_buckets();
  other.compression.kind = Compression::float16;
  EXPECT_THAT(refusal(sizes, other), HasSubstr("rank 1 has other tensors or options"));
  EXPECT_THAT(refusal(sizes, small_buckets()), HasSubstr("nothing was refused"));
  RankGradients gradients(world().rank(), sizes);
  BucketOptions none;
  none.bucket_bytes = 3;
  EXPECT_THAT(common_refusal([&] { GradientBuckets(world(), gradients.tensors(), none, ledger); }),
              HasSubstr("4 bytes or more"));
  EXPECT_EQ(ledger.held().total(), 0);
}

} // namespace
} // namespace ringscale::ring::test
