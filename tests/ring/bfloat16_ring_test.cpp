// SPDX-License-Identifier: Apache-2.0
// Rings that store and send bfloat16, on virtual ranks: right within their bounds, and really of two bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/attention_low_precision.hpp"
#include "problem/invalid_input.hpp"
#include "ring/checksum.hpp"
#include "ring/pack_in_place.hpp"
#include "tests/ring/loopback_ring.hpp"

namespace ringscale::ring {
namespace {

using problem::DType;
using problem::Mask;
using schedule::Hops;
using schedule::MessageLayout;
using schedule::Moving;
using schedule::Placement;
using schedule::Schedule;

RingOptions bfloat16_options(std::int64_t ring_size, std::int64_t tokens, Placement placement, Mask mask) {
  RingOptions options = small_options(ring_size, tokens, placement, mask);
  options.problem.attention.dtype = DType::bfloat16;
  return options;
}

std::string label(const RingOptions &options) {
  const schedule::RingProblem &problem = options.problem;
  return std::string(name(problem.schedule)) + "/" + std::to_string(problem.inner_ring_size) + " " +
         std::string(name(problem.moving)) + " hops " + std::string(name(problem.hops)) + " " +
         std::string(name(problem.placement)) + " " + std::string(problem::name(problem.attention.mask)) + " " +
         std::string(name(problem.layout)) + " P=" + std::to_string(problem.ring_size);
}

/// What all ranks of a ring found wrong.
struct Found {
  std::int64_t wrong_elements = 0;
  double max_error = 0.0;
  std::vector<std::string> complaints;
};

Found found_by(LoopbackRing &ring, const RingOptions &options) {
  Found found;
  for (std::int64_t rank = 0; rank < options.problem.ring_size; ++rank) {
    const RowCheck check = ring.check(rank);
    EXPECT_TRUE(check.all_rows);
    found.wrong_elements += check.wrong_elements;
    found.max_error = std::max(found.max_error, check.max_error);
    const auto &complaints = ring.rank(rank).complaints();
    found.complaints.insert(found.complaints.end(), complaints.begin(), complaints.end());
  }
  return found;
}

Found found_in(const RingOptions &options) {
  LoopbackRing ring(options);
  ring.pass();
  return found_by(ring, options);
}

/// Within the bounds of bfloat16 and outside of float32's, ledger equal to the closed form, nothing stale.
void expect_right(RingOptions options) {
  options.poison_buffers = true;
  LoopbackRing ring(options);
  ring.pass();
  const std::string where = label(options);
  const Found found = found_by(ring, options);
  EXPECT_THAT(found.complaints, testing::IsEmpty()) << where;
  EXPECT_EQ(found.wrong_elements, 0) << where << " error " << found.max_error;
  EXPECT_LE(found.max_error, ring_error_bound(options).output) << where;
  RingOptions full = options;
  full.problem.attention.dtype = DType::float32;
  EXPECT_GT(found.max_error, ring_error_bound(full).output) << where << ": not of lower precision";
  for (std::int64_t rank = 0; rank < options.problem.ring_size; ++rank) {
    EXPECT_TRUE(ring.rank(rank).met_every_block_once()) << where << " rank " << rank;
    EXPECT_EQ(ring.ledger(rank).at_high_water(), planned_memory(options, rank)) << where << " rank " << rank;
  }
}

TEST(Bfloat16Ring, EveryScheduleAndMovingEqualsTheReferenceInItsBoundOnly) {
  for (const std::int64_t ring_size : {1, 2, 3, 4, 5}) {
    for (const Moving moving : {Moving::key_value, Moving::query}) {
      for (const Hops hops : {Hops::all, Hops::needed}) {
        RingOptions options = bfloat16_options(ring_size, 37, Placement::zigzag, Mask::causal);
        options.problem.moving = moving;
        options.problem.hops = hops;
        for_every_schedule(options, expect_right);
      }
    }
  }
}

TEST(Bfloat16Ring, EveryPlacementMaskAndShapeIsRight) {
  for (const Placement placement : every_placement) {
    for (const Mask mask : every_mask) {
      RingOptions options = bfloat16_options(3, 151, placement, mask);
      options.problem.attention.batch = 2;
      options.problem.attention.query_heads = 6;
      expect_right(options);
      if (placement != Placement::replicated_queries) {
        options.problem.moving = Moving::query;
        expect_right(options);
      }
    }
  }
}

TEST(Bfloat16Ring, OddSizesAndUnevenChunksAreRight) {
  for (const Moving moving : {Moving::key_value, Moving::query}) {
    // 7 tokens of one head of 5: an odd number of patterns in a block of queries.
    RingOptions options = bfloat16_options(3, 17, Placement::contiguous, Mask::none);
    options.problem.attention.query_heads = 1;
    options.problem.attention.kv_heads = 1;
    options.problem.attention.head_dim = 5;
    options.problem.moving = moving;
    options.problem.chunks = schedule::weighted_chunks({7.0, 3.0, 7.0});
    for_every_schedule(options, expect_right);
  }
}

TEST(Bfloat16Ring, LayoutsAndCollectivesGiveTheSameBits) {
  RingOptions options = bfloat16_options(4, 151, Placement::zigzag, Mask::causal);
  options.problem.schedule = Schedule::all_gather;
  LoopbackRing plain(options);
  plain.pass();
  RingOptions gathered = options;
  gathered.collective = true;
  RingOptions copied = options;
  copied.problem.layout = MessageLayout::copied;
  for (const RingOptions &other : {gathered, copied}) {
    LoopbackRing ring(other);
    ring.pass();
    EXPECT_EQ(ring.output_checksum(), plain.output_checksum());
  }
  options.seed = 2;
  LoopbackRing seeded(options);
  seeded.pass();
  EXPECT_NE(seeded.output_checksum(), plain.output_checksum());
}

TEST(Bfloat16Ring, BlocksHaveHalfTheBytesAndPartialsAllOfThem) {
  for (const Moving moving : {Moving::key_value, Moving::query}) {
    RingOptions half = bfloat16_options(4, 512, Placement::contiguous, Mask::none);
    half.problem.moving = moving;
    RingOptions full = half;
    full.problem.attention.dtype = DType::float32;
    EXPECT_EQ(2 * (block_bytes(half.problem, 1) - memory::block_header_bytes),
              block_bytes(full.problem, 1) - memory::block_header_bytes);
    EXPECT_EQ(result_bytes(half.problem, 1), result_bytes(full.problem, 1));
    EXPECT_LT(planned_memory(half, 0).total() - kernel_footprint(half).workspace_bytes,
              planned_memory(full, 0).total() - kernel_footprint(full).workspace_bytes);
  }
}

TEST(Bfloat16RingControl, EveryFaultIsSeenAgainstTheStoredInputs) {
  for (const Moving moving : {Moving::key_value, Moving::query}) {
    RingOptions options = bfloat16_options(4, 97, Placement::contiguous, Mask::none);
    options.problem.moving = moving;
    EXPECT_EQ(found_in(options).wrong_elements, 0);
    for (const FaultKind kind :
         {FaultKind::skip_hop, FaultKind::corrupt_element, FaultKind::swap_halves, FaultKind::wrong_scale}) {
      options.fault = {kind, 1, 1, 0.0};
      const Found found = found_in(options);
      EXPECT_GT(found.wrong_elements, 0) << name(kind) << " moving " << name(moving);
      EXPECT_EQ(found.complaints.empty(), kind == FaultKind::wrong_scale) << name(kind);
      if (kind == FaultKind::wrong_scale) {
        EXPECT_LE(found.max_error, ring_error_bound(options).output) << "the bound of the exact inputs would hide it";
      }
    }
  }
}

TEST(Bfloat16Ring, BoundsAreThoseThatThePageStates) {
  RingOptions options = bfloat16_options(2, 1024, Placement::contiguous, Mask::none);
  options.problem.attention.head_dim = 64;
  EXPECT_NEAR(ring_error_bound(options).output, 0.43, 0.005);
  if (kernels::has_native_bfloat16()) {
    EXPECT_NEAR(stored_error_bound(options).output, 0.014, 0.0005);
  }
}

TEST(Bfloat16RingControl, RingsThatDoNotRotateOrDoNotJoinAreWrong) {
  RingOptions still = bfloat16_options(3, 200, Placement::contiguous, Mask::none);
  still.problem.schedule = Schedule::local_only;
  EXPECT_GT(found_in(still).wrong_elements, 0);
  RingOptions apart = bfloat16_options(3, 200, Placement::contiguous, Mask::causal);
  apart.softmax = SoftmaxRule::per_chunk;
  EXPECT_GT(found_in(apart).wrong_elements, 0);
}

TEST(Bfloat16Ring, WhatHasNoSuchKernelIsRefused) {
  const RingOptions right = bfloat16_options(2, 256, Placement::contiguous, Mask::none);
  EXPECT_NO_THROW(validate(right));
  EXPECT_EQ(bfloat16_obstacle(right), "");
  const std::vector<std::pair<std::function<void(RingOptions &)>, const char *>> obstacles{
      {[](RingOptions &o) { o.problem.pass = schedule::Pass::backward; }, "backward"},
      {[](RingOptions &o) { o.problem.pattern.kind = problem::PatternKind::block_sparse; }, "block_sparse"},
      {[](RingOptions &o) { o.kernel = memory::KernelKind::materialised; }, "materialised"},
      {[](RingOptions &o) { o.problem.layout = MessageLayout::separate; }, "separate"},
      {[](RingOptions &o) { o.problem.attention.dtype = DType::float16; }, "float16"},
      {[](RingOptions &o) {
         o.grid = {1, 1, 2, 2};
         o.problem.attention.head_dim = 15;
       },
       "sequence"}};
  for (const auto &[change, word] : obstacles) {
    RingOptions wrong = right;
    change(wrong);
    try {
      validate(wrong);
      FAIL() << word << " was let through";
    } catch (const problem::InvalidInput &error) {
      EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("dtype is"), testing::HasSubstr(word)));
    }
  }
}

TEST(PackInPlace, GivesThePatternsOfPackElementsForEveryLengthAndGoesBack) {
  const kernels::ExecutionSpace space;
  for (const std::int64_t count : {0, 1, 2, 3, 5, 64, 1000, 40000}) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (std::size_t index = 0; index < values.size(); ++index) {
      values[index] = std::sin(static_cast<float>(index)) * 100.0F;
    }
    for (const kernels::NumberFormat format : {kernels::NumberFormat::bfloat16, kernels::NumberFormat::float16}) {
      std::vector<std::uint16_t> expected(values.size());
      kernels::pack_elements(space, values.data(), count, format, expected.data());
      std::vector<float> memory = values;
      const std::uint16_t *packed = pack_in_place(space, memory.data(), count, format);
      space.fence();
      EXPECT_EQ(std::vector<std::uint16_t>(packed, packed + count), expected) << count;
      std::vector<float> exact(values.size());
      kernels::unpack_elements(space, expected.data(), count, format, exact.data());
      std::copy(expected.begin(), expected.end(), reinterpret_cast<std::uint16_t *>(memory.data()) + count);
      unpack_in_place(space, memory.data(), count, format);
      space.fence();
      EXPECT_EQ(memory, exact) << count;
    }
  }
  float one = 1.0F;
  EXPECT_THROW(pack_in_place(space, &one, 1, kernels::NumberFormat::float8_e4m3), std::invalid_argument);
}

TEST(PatternChecksum, SeesTheLastPatternOfAnOddNumber) {
  const kernels::ExecutionSpace space;
  std::vector<std::uint16_t> patterns{1, 2, 3, 4, 5};
  const std::uint64_t before = checksum(space, patterns.data(), 5);
  EXPECT_EQ(checksum(space, patterns.data(), 2) + checksum(space, patterns.data() + 2, 3, 2), before);
  patterns[4] = 6;
  EXPECT_NE(checksum(space, patterns.data(), 5), before);
}

} // namespace
} // namespace ringscale::ring
