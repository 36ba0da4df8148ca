// SPDX-License-Identifier: Apache-2.0
// Real rings on 1 to 8 ranks; started once with 8 ranks, of which the first P form a ring.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "problem/invalid_input.hpp"
#include "tests/ring/loopback_ring.hpp"
#include "tests/ring/mpi_main.hpp"

namespace ringscale::ring {
namespace {

using problem::Mask;
using schedule::Placement;

constexpr std::array<int, 7> ring_sizes{1, 2, 3, 4, 5, 7, 8};

struct Shape {
  std::int64_t tokens, query_heads, kv_heads, head_dim, batch;
};
// 149 is prime, so no ring size divides it; 8 tokens on 8 ranks is one each; then grouped heads and a batch.
constexpr std::array<Shape, 3> shapes{{{149, 4, 2, 16, 1}, {8, 2, 2, 8, 1}, {211, 3, 1, 40, 2}}};

RingOptions options_of(int ring_size, const Shape &shape, Placement placement, Mask mask) {
  RingOptions options = small_options(ring_size, shape.tokens, placement, mask);
  options.problem.attention.query_heads = shape.query_heads;
  options.problem.attention.kv_heads = shape.kv_heads;
  options.problem.attention.head_dim = shape.head_dim;
  options.problem.attention.batch = shape.batch;
  return options;
}

std::string joined(const std::vector<std::string> &texts) {
  std::string all;
  for (const std::string &text : texts) {
    all += text + "; ";
  }
  return all;
}

/// Every mask and shape of one placement on one ring; rank 0 prints the largest error met.
void expect_right_everywhere(Communicator &ring, Placement placement) {
  const int ring_size = ring.size();
  double worst_error = 0.0;
  double worst_share = 0.0;
  int ledgers = 0;
  for (const Mask mask : every_mask) {
    for (const Shape &shape : shapes) {
      const RingRun run = run_ring(ring, options_of(ring_size, shape, placement, mask));
      const std::string where = std::string(name(placement)) + " P=" + std::to_string(ring_size) +
                                " tokens=" + std::to_string(shape.tokens) + " " + std::string(problem::name(mask)) +
                                ": " + joined(run.reasons);
      EXPECT_TRUE(run.valid) << where;
      EXPECT_TRUE(run.verified && run.all_rows_checked && run.blocks_once) << where;
      EXPECT_LE(run.max_error, run.error_bound) << where;
      EXPECT_LE(run.max_lse_error, run.lse_error_bound) << where;
      EXPECT_EQ(run.memory_peak_bytes, run.memory_closed_form_bytes) << where;
      EXPECT_EQ(run.hops, ring_size - 1) << where;
      worst_error = std::max(worst_error, run.max_error);
      worst_share = std::max(worst_share, run.max_error / run.error_bound);
      ledgers += ring_size; // run_ring compares every rank's ledger with its closed form
    }
  }
  if (ring.rank() == 0) {
    std::printf("P=%d %-18s largest error %.2e (%.1f %% of its bound), %d ledgers equal\n", ring_size,
                std::string(name(placement)).c_str(), worst_error, 100.0 * worst_share, ledgers);
  }
}

TEST(MpiRing, EqualsTheReferenceForEveryRingSizePlacementMaskAndShape) {
  for (const int ring_size : ring_sizes) {
    on_first_ranks(ring_size, [](Communicator &ring) {
      for (const Placement placement : every_placement) {
        expect_right_everywhere(ring, placement);
      }
    });
  }
}

TEST(MpiRing, SameRingSizeTwiceGivesTheSameBitsWhateverTheProgress) {
  for (const int ring_size : {2, 5, 8}) {
    on_first_ranks(ring_size, [&](Communicator &ring) {
      RingOptions options = options_of(ring_size, shapes[0], Placement::zigzag, Mask::causal);
      options.repetitions = 3;
      const RingRun first = run_ring(ring, options);
      options.poll_progress = false;
      const RingRun second = run_ring(ring, options);
      options.seed = 7;
      const RingRun other = run_ring(ring, options);
      EXPECT_TRUE(first.valid && second.valid && other.valid);
      EXPECT_EQ(first.output_checksum, second.output_checksum);
      EXPECT_NE(first.output_checksum, other.output_checksum);
      EXPECT_EQ(first.samples_s.size(), 3U);
      EXPECT_EQ(first.compute_samples_s.size(), 3U);
    });
  }
}

TEST(MpiRing, MaterialisedScoresAreRightAndCounted) {
  on_first_ranks(4, [&](Communicator &ring) {
    RingOptions options = options_of(4, shapes[0], Placement::replicated_queries, Mask::causal);
    options.kernel = memory::KernelKind::materialised;
    const RingRun run = run_ring(ring, options);
    EXPECT_TRUE(run.valid) << joined(run.reasons);
    EXPECT_EQ(run.memory[memory::Purpose::scores], 4 * 4 * 149 * 38); // heads x bytes x rows x longest chunk
  });
}

/// Expects a ring to be refused, for reasons with all of `words` in them.
void expect_refused(Communicator &ring, const RingOptions &options, const std::vector<std::string> &words) {
  const RingRun run = run_ring(ring, options);
  EXPECT_FALSE(run.valid) << words.front();
  for (const std::string &word : words) {
    EXPECT_THAT(joined(run.reasons), testing::HasSubstr(word));
  }
}

TEST(MpiNegativeControl, EveryWrongRingIsRefused) {
  on_first_ranks(4, [](Communicator &ring) {
    const RingOptions right = options_of(4, shapes[0], Placement::contiguous, Mask::none);
    RingOptions per_chunk = right;
    per_chunk.softmax = SoftmaxRule::per_chunk;
    expect_refused(ring, per_chunk, {"elements are wrong"});
    RingOptions local_only = right;
    local_only.problem.schedule = schedule::Schedule::local_only;
    expect_refused(ring, local_only, {"elements are wrong", "exactly once"});
    RingOptions broken = right;
    broken.fault = {FaultKind::skip_hop, 1, 1, 0.0};
    expect_refused(ring, broken, {"elements are wrong", "exactly once", "instead of rank"});
    broken.fault = {FaultKind::corrupt_element, 2, 1, 0.0};
    expect_refused(ring, broken, {"elements are wrong", "checksum of the block"});
    broken.fault = {FaultKind::swap_halves, 2, 1, 0.0};
    expect_refused(ring, broken, {"checksum of the block"});
    broken.fault = {FaultKind::wrong_scale, 3, 2, 0.0};
    expect_refused(ring, broken, {"elements are wrong"});
  });
}

TEST(MpiNegativeControl, PerChunkAndLocalOnlyAreRightOnOneRank) {
  on_first_ranks(1, [&](Communicator &ring) {
    RingOptions options = options_of(1, shapes[0], Placement::contiguous, Mask::causal);
    options.softmax = SoftmaxRule::per_chunk;
    options.problem.schedule = schedule::Schedule::local_only;
    const RingRun run = run_ring(ring, options);
    EXPECT_TRUE(run.valid) << joined(run.reasons);
  });
}

TEST(MpiRing, WithoutVerificationItSaysSo) {
  on_first_ranks(2, [&](Communicator &ring) {
    RingOptions options = options_of(2, shapes[0], Placement::striped, Mask::causal);
    options.verify = false;
    const RingRun run = run_ring(ring, options);
    EXPECT_TRUE(run.valid);
    EXPECT_FALSE(run.verified);
    EXPECT_THAT(joined(run.reasons), testing::HasSubstr("not compared"));
  });
}

TEST(MpiRing, RefusesBadOptionsOnEveryRank) {
  on_first_ranks(2, [&](Communicator &ring) {
    RingOptions options = options_of(3, shapes[0], Placement::contiguous, Mask::none);
    EXPECT_THROW(run_ring(ring, options), problem::InvalidInput);
    options.problem.ring_size = 2;
    options.repetitions = 0;
    EXPECT_THROW(run_ring(ring, options), problem::InvalidInput);
    options.repetitions = 1;
    options.problem.attention.dtype = problem::DType::float16;
    EXPECT_THROW(run_ring(ring, options), problem::InvalidInput);
    options.problem.attention.dtype = problem::DType::float32;
    options.problem.attention.tokens = 1;
    EXPECT_THROW(run_ring(ring, options), problem::InvalidInput);
  });
}

} // namespace
} // namespace ringscale::ring
