// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "problem/invalid_input.hpp"
#include "tests/ring/loopback_ring.hpp"

namespace ringscale::ring {
namespace {

using problem::Mask;
using schedule::Placement;

void expect_right(const LoopbackRing &ring, const RingOptions &options, const std::string &where) {
  const problem::ErrorBound bound = ring_error_bound(options);
  for (std::int64_t rank = 0; rank < options.problem.ring_size; ++rank) {
    const RowCheck check = ring.check(rank);
    EXPECT_TRUE(check.all_rows) << where;
    EXPECT_LE(check.max_error, bound.output) << where << " rank " << rank;
    EXPECT_LE(check.max_lse_error, bound.log_sum_exp) << where << " rank " << rank;
    EXPECT_EQ(check.wrong_elements, 0) << where << " rank " << rank;
    EXPECT_TRUE(ring.rank(rank).met_every_block_once()) << where;
    EXPECT_THAT(ring.rank(rank).complaints(), testing::IsEmpty()) << where;
  }
}

TEST(LoopbackRing, EqualsTheReferenceForEveryRingSizeAndPlacement) {
  for (const Placement placement : every_placement) {
    for (const Mask mask : every_mask) {
      for (std::int64_t ring_size = 1; ring_size <= 8; ++ring_size) {
        for (const std::int64_t tokens : {std::int64_t{8}, std::int64_t{151}}) {
          const RingOptions options = small_options(ring_size, tokens, placement, mask);
          LoopbackRing ring(options);
          ring.pass();
          expect_right(ring, options,
                       std::string(name(placement)) + " " + std::string(problem::name(mask)) +
                           " P=" + std::to_string(ring_size) + " tokens=" + std::to_string(tokens));
        }
      }
    }
  }
}

TEST(LoopbackRing, LedgerEqualsTheClosedFormToTheByte) {
  for (const Placement placement : every_placement) {
    for (const memory::KernelKind kernel : {memory::KernelKind::streamed, memory::KernelKind::materialised}) {
      for (std::int64_t ring_size = 1; ring_size <= 8; ++ring_size) {
        for (const std::int64_t tokens : {8, 64, 151, 259}) {
          RingOptions options = small_options(ring_size, tokens, placement, Mask::causal);
          options.kernel = kernel;
          LoopbackRing ring(options);
          for (std::int64_t rank = 0; rank < ring_size; ++rank) {
            ASSERT_EQ(ring.ledger(rank).at_high_water(), planned_memory(options, rank))
                << name(placement) << " P=" << ring_size << " tokens=" << tokens << " rank=" << rank;
          }
        }
      }
    }
  }
}

TEST(LoopbackRing, SeveralSlicesBatchesAndTheMaterialisedKernelAgreeWithTheReference) {
  for (const memory::KernelKind kernel : {memory::KernelKind::streamed, memory::KernelKind::materialised}) {
    RingOptions options = small_options(3, 1201, Placement::zigzag, Mask::causal);
    options.problem.attention.batch = 2;
    options.problem.attention.query_heads = 6;
    options.problem.attention.head_dim = 64;
    options.kernel = kernel;
    for (const double flop : {1e6, 1e7, 1e8}) { // a tile of one head, all rows of a head, several heads
      options.slices.forward_flop = flop;
      LoopbackRing ring(options);
      ring.pass();
      expect_right(ring, options, std::string(memory::name(kernel)));
    }
  }
}

TEST(LoopbackRing, SeveralBackwardSlicesOfEveryHeadAddUp) {
  for (const auto &[mask, placement] :
       {std::pair(Mask::none, Placement::contiguous), {Mask::causal, Placement::zigzag}}) {
    RingOptions options = small_options(3, 601, placement, mask);
    options.problem.pass = schedule::Pass::backward;
    options.problem.attention.batch = 2;
    options.problem.attention.query_heads = 4;
    options.problem.attention.kv_heads = 2;
    options.poison_buffers = true;
    options.slices.backward_flop = 1.0;
    options.slices.least_backward_rows = 1;
    LoopbackRing ring(options);
    ring.pass();
    for (std::int64_t rank = 0; rank < 3; ++rank) {
      const GradientCheck check = ring.check_gradients(rank);
      EXPECT_TRUE(check.all_rows);
      EXPECT_EQ(check.wrong_elements, 0) << name(placement) << " rank " << rank;
      EXPECT_LE(check.max_error.query, check.bound.query);
      EXPECT_LE(check.max_error.key, check.bound.key);
      EXPECT_LE(check.max_error.value, check.bound.value);
    }
  }
}

TEST(LoopbackRing, BlocksComeHomeAndRepetitionsGiveTheSameBits) {
  const RingOptions options = small_options(5, 157, Placement::zigzag, Mask::causal);
  LoopbackRing ring(options);
  ring.pass();
  const std::uint64_t first = ring.output_checksum();
  ring.pass();
  EXPECT_EQ(ring.output_checksum(), first);
  RingOptions other_seed = options;
  other_seed.seed = 2;
  LoopbackRing other(other_seed);
  other.pass();
  EXPECT_NE(other.output_checksum(), first);
  expect_right(ring, options, "second pass");
}

TEST(LoopbackRing, PollingChangesNoBit) {
  RingOptions options = small_options(4, 157, Placement::contiguous, Mask::none);
  LoopbackRing polled(options);
  options.poll_progress = false;
  LoopbackRing unpolled(options);
  polled.pass();
  unpolled.pass();
  EXPECT_EQ(polled.output_checksum(), unpolled.output_checksum());
}

/// Runs one broken ring and says how it was seen: by wrong values, by blocks not met once, by complaints.
struct Seen {
  std::int64_t wrong_elements = 0;
  bool blocks_once = true;
  std::vector<std::string> complaints;
};

Seen run_broken(const RingOptions &options) {
  LoopbackRing ring(options);
  ring.pass();
  Seen seen;
  for (std::int64_t rank = 0; rank < options.problem.ring_size; ++rank) {
    seen.wrong_elements += ring.check(rank).wrong_elements;
    seen.blocks_once = seen.blocks_once && ring.rank(rank).met_every_block_once();
    const auto &complaints = ring.rank(rank).complaints();
    seen.complaints.insert(seen.complaints.end(), complaints.begin(), complaints.end());
  }
  return seen;
}

TEST(NegativeControl, LocalOnlyIsWrongAndMeetsOneBlock) {
  RingOptions options = small_options(3, 97, Placement::contiguous, Mask::none);
  options.problem.schedule = schedule::Schedule::local_only;
  const Seen seen = run_broken(options);
  EXPECT_GT(seen.wrong_elements, 1000);
  EXPECT_FALSE(seen.blocks_once);
}

TEST(NegativeControl, PerChunkSoftmaxIsWrong) {
  RingOptions options = small_options(3, 97, Placement::contiguous, Mask::none);
  options.softmax = SoftmaxRule::per_chunk;
  const Seen seen = run_broken(options);
  EXPECT_GT(seen.wrong_elements, 1000);
  EXPECT_TRUE(seen.blocks_once);
}

TEST(NegativeControl, SkippedHopIsSeenTwice) {
  RingOptions options = small_options(4, 97, Placement::contiguous, Mask::none);
  options.fault = {FaultKind::skip_hop, 1, 1, 0.0};
  const Seen seen = run_broken(options);
  EXPECT_GT(seen.wrong_elements, 0);
  EXPECT_FALSE(seen.blocks_once);
  EXPECT_THAT(seen.complaints, testing::Contains(testing::HasSubstr("instead of rank")));
}

TEST(NegativeControl, OneCorruptedElementIsSeenByChecksumAndByValue) {
  RingOptions options = small_options(4, 97, Placement::contiguous, Mask::none);
  options.fault = {FaultKind::corrupt_element, 2, 1, 0.0};
  const Seen seen = run_broken(options);
  EXPECT_GT(seen.wrong_elements, 0);
  EXPECT_THAT(seen.complaints, testing::Contains(testing::HasSubstr("checksum")));
}

TEST(NegativeControl, SwappedHalvesAreSeenByChecksumAndByValue) {
  RingOptions options = small_options(4, 97, Placement::striped, Mask::causal);
  options.fault = {FaultKind::swap_halves, 2, 1, 0.0};
  const Seen seen = run_broken(options);
  EXPECT_GT(seen.wrong_elements, 0);
  EXPECT_THAT(seen.complaints, testing::Contains(testing::HasSubstr("checksum")));
}

TEST(NegativeControl, AScaleWrongByOnePercentInOneStepIsSeen) {
  RingOptions options = small_options(4, 97, Placement::zigzag, Mask::none);
  options.fault = {FaultKind::wrong_scale, 2, 1, 0.0};
  const Seen seen = run_broken(options);
  EXPECT_GT(seen.wrong_elements, 0);
  EXPECT_THAT(seen.complaints, testing::IsEmpty());
}

TEST(NegativeControl, NaNInTheOutputIsSeen) {
  const RingOptions options = small_options(2, 33, Placement::contiguous, Mask::none);
  LoopbackRing ring(options);
  ring.pass();
  const kernels::ConstTensor4 output = ring.rank(1).output();
  const_cast<float *>(output.data())[7] = std::numeric_limits<float>::quiet_NaN();
  const RowCheck check = ring.check(1);
  EXPECT_EQ(check.wrong_elements, 1);
  EXPECT_TRUE(std::isnan(check.max_error));
}

TEST(NegativeControl, OneLostKeyIsSeenInTheLogSumExp) {
  const RingOptions options = small_options(2, 33, Placement::contiguous, Mask::none);
  LoopbackRing ring(options);
  ring.pass();
  const kernels::ConstTensor3 lse = ring.rank(0).log_sum_exp();
  const_cast<float *>(lse.data())[5] += std::log(32.0F / 33.0F);
  EXPECT_EQ(ring.check(0).wrong_elements, 1);
}

} // namespace
} // namespace ringscale::ring
